"""The grammar: which texts are representations, and what they hold."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.functional.grammar import MalformedError, Representation, Slot, normal_value, parse

VALUES = {
    # ViGGO
    "one value": ("good", ("good",)),
    "a list": ("driving/racing, sport", ("driving/racing", "sport")),
    "parentheses are text": ("E 10+ (for Everyone 10 and Older)", ("E 10+ (for Everyone 10 and Older)",)),
    "a date is one value": ("December 1, 2018", ("December 1, 2018",)),
    "two dates are two": ("May 3, 2018, June 4, 2019", ("May 3, 2018", "June 4, 2019")),
    "an empty value is a value": ("", ("",)),
    "white space alone is an empty value": ("  ", ("",)),
    "an apostrophe does not quote": ("Tony Hawk's Pro Skater 3, Tony's", ("Tony Hawk's Pro Skater 3", "Tony's")),
    "outside ASCII": ("Eidos Montréal, 東京", ("Eidos Montréal", "東京")),
    # ours
    "no space after the comma": ("a,b", ("a", "b")),
    "nested brackets": ("Foo [Remastered] 2", ("Foo [Remastered] 2",)),
    "a comma in nested brackets": ("Foo [a, b], c", ("Foo [a, b]", "c")),
    "a comma in parentheses": ("Ann (lead, vocals), Bob", ("Ann (lead, vocals)", "Bob")),
    "a comma in curly brackets": ("{a, b}, c", ("{a, b}", "c")),
    "a lone parenthesis is text": ("smile :), a", ("smile :)", "a")),
    "a lone opening one shields nothing": ("sad :(, a", ("sad :(", "a")),
    "thousands": ("40,000, 50,000", ("40,000", "50,000")),
    "quotes shield commas and stay": ('"a, b", c', ('"a, b"', "c")),
    "quotes shield brackets": ('"a ] b"', ('"a ] b"',)),
    "single quotes": ("'a, b', c", ("'a, b'", "c")),
    "curly quotes": ("“a, b”", ("“a, b”",)),
    "a quote in the middle is text": ('5" screen, 6" screen', ('5" screen', '6" screen')),
    "a quote never closed is text": ('"a, b', ('"a', "b")),
    "an empty item of a list": ("a, ", ("a", "")),
    "a line break": ("a,\n  b", ("a", "b")),
}


@pytest.mark.parametrize(("written", "values"), VALUES.values(), ids=list(VALUES))
def test_the_values_between_brackets(written: str, values: tuple[str, ...]) -> None:
    parsed = parse(f"inform(x[{written}], y[z])")
    assert parsed.slots == (Slot(name="x", values=values), Slot(name="y", values=("z",)))


WELL_FORMED = {
    "no slot": ("f()", ("f", [])),
    "free white space": (" f ( a [x] , b[y] ) ", ("f", ["a", "b"])),
    "one slot a line": ("f(\n  a[x],\n  b[y]\n)", ("f", ["a", "b"])),
    "a slot written twice": ("f(a[x], a[x])", ("f", ["a", "a"])),
    "names with digits, dots, hyphens": ("hotel.book-2(room_1[x])", ("hotel.book-2", ["room_1"])),
    "names outside ASCII": ("größe(länge[x])", ("größe", ["länge"])),
}


@pytest.mark.parametrize(("text", "expected"), WELL_FORMED.values(), ids=list(WELL_FORMED))
def test_well_formed_texts(text: str, expected: tuple[str, list[str]]) -> None:
    parsed = parse(text)
    assert (parsed.function, [slot.name for slot in parsed.slots]) == expected


MALFORMED = {
    "empty": "",
    "a name alone": "inform",
    "no closing parenthesis": "f(a[x]",
    "no closing bracket": "f(a[x)",
    "no opening parenthesis": "fa[x])",
    "no opening bracket": "f(ax])",
    "one closing bracket too many": "f(a[x]], b[y])",
    "one opening bracket too many": "f(a[[x], b[y])",
    "one opening parenthesis too many": "f((a[x])",
    "text after the end": "f(a[x]))",
    "no comma": "f(a[x] b[y])",
    "a trailing comma": "f(a[x],)",
    "a semicolon": "f(a[x]; b[y])",
    "an attribute without brackets": "f(a)",
    "an equals sign": "f(a=x)",
    "round brackets for values": "f(a(x))",
    "square brackets for the function": "f[a[x]]",
    "no function": "(a[x])",
    "cut in a value": "f(a[x], b[y",
    "a wall of brackets": "f(a" + "[" * 10_000,
    "full-width brackets": "f（a［x］）",
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=list(MALFORMED))
def test_malformed_texts_are_refused(text: str) -> None:
    with pytest.raises(MalformedError):
        parse(text)


def test_the_error_says_where_and_what() -> None:
    with pytest.raises(MalformedError, match=r"',' was expected at character 7, got 'b\[y\]\)'"):
        parse("f(a[x] b[y])")


SAME_VALUES = [("Dirt 5", " dirt 5 "), ("É", "e\u0301"), ("STRASSE", "straße")]


@pytest.mark.parametrize(("left", "right"), SAME_VALUES)
def test_values_that_are_compared_as_the_same(left: str, right: str) -> None:
    assert normal_value(left) == normal_value(right)


@pytest.mark.parametrize(("left", "right"), [("Dirt 5", "Dirt  5"), ("Dirt 5", '"Dirt 5"'), ("é", "e"), ("5", "5.0")])
def test_values_that_differ(left: str, right: str) -> None:
    assert normal_value(left) != normal_value(right)


names = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
plain_values = st.text("abc XYZ0123()/'é:+", max_size=12).map(str.strip)
slots = st.builds(
    lambda name, values: Slot(name=name, values=tuple(values)), names, st.lists(plain_values, min_size=1, max_size=3)
)
representations = st.builds(
    lambda function, parts: Representation(function=function, slots=tuple(parts)), names, st.lists(slots, max_size=4)
)


@settings(deadline=None)  # a loaded machine is no failure
@given(representations)
def test_what_is_written_is_read_back_to_the_same_text(representation: Representation) -> None:
    assert str(parse(str(representation))) == str(representation)


@settings(deadline=None)  # a loaded machine is no failure
@given(st.text("f(a[x], ]\"'“1\n", max_size=60))
def test_any_text_is_a_representation_or_malformed(text: str) -> None:
    try:
        parsed = parse(text)
    except MalformedError:
        return
    assert parse(str(parsed)).function == parsed.function
