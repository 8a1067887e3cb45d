"""Text -> `Representation`: the parser of `function(slot[value, value], slot[value])`.

    representation  function "(" [ slot { "," slot } ] ")"
    slot            name "[" value { "," value } "]"
    name            a letter or underscore, then letters, digits, underscores; "-" and "." inside
    value           any text; square brackets in it balance; an empty one is a value

White space between tokens is free, line breaks included. The parser walks the characters and keeps count of the
brackets; it is no regular expression, since values hold brackets and commas of their own:

- Inside a value only square brackets are counted. A parenthesis there is text, also a lone one: `esrb[E 10+ (for
  Everyone 10 and Older)]`, `mood[:)]`.
- A comma separates two values, except inside brackets that balance, inside a quoted value, between two digits with no
  space (`40,000`), and in a date (`December 1, 2018`).
- A value is quoted when it opens with ", ', or a curly quote and the next closing quote stands before `,` or `]`.
  Commas and brackets inside it are text; commas also inside double quotes around words of it (`say "hi, there"`). The
  quotes stay part of the value.

Source of the grammar: ViGGO (Juraska et al. 2019, https://aclanthology.org/W19-8623/); the rest is ours, written above.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

MAX_VALUE_DEPTH = 200  # no real value nests deeper; a wall of brackets is refused early
NAME = re.compile(r"[^\W\d]\w*(?:[.-]\w+){0,8}")  # bounded, so that a search stays linear
_CLOSING_QUOTE = {'"': '"', "'": "'", "“": "”", "‘": "’"}
_OPENS, _CLOSES = "([{", ")]}"
_QUOTED_WORDS = re.compile(r'(?<=\s)"(?=\S)[^"\[\]]*(?<=\S)"(?![^\s,\].])')
_DAY = re.compile(r"[^\W\d_]+ \d{1,2}")
_YEAR = re.compile(r"\d{4}")


class MalformedError(ValueError):
    """The text does not follow the grammar; the message says what was expected and where."""


@dataclass(frozen=True, kw_only=True)
class Slot:
    """One attribute as written: its name and its values, outer white space removed, in the order of the text."""

    name: str
    values: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name}[{', '.join(self.values)}]"


@dataclass(frozen=True, kw_only=True)
class Representation:
    """A parsed meaning representation; slots keep their order and their duplicates."""

    function: str
    slots: tuple[Slot, ...]

    def __str__(self) -> str:
        return f"{self.function}({', '.join(map(str, self.slots))})"


def parse(text: str) -> Representation:
    """The representation that is the whole of `text`. Raises MalformedError on anything else."""
    start = _after_space(text, 0)
    representation, end = parse_at(text, start)
    if _after_space(text, end) != len(text):
        raise MalformedError(f"text after the closing parenthesis: {text[end : end + 40]!r}")
    return representation


def parse_at(text: str, start: int) -> tuple[Representation, int]:
    """The representation that begins at `start` and the place after its closing parenthesis. Raises MalformedError."""
    function, place = _name(text, start, "a function name")
    place = _expect(text, place, "(")
    slots: list[Slot] = []
    if text[place : place + 1] == ")":
        return Representation(function=function, slots=()), place + 1
    while True:
        name, place = _name(text, place, "an attribute name")
        place = _expect(text, place, "[")
        values, place = _values(text, place)
        slots.append(Slot(name=name, values=values))
        place = _after_space(text, place)
        if text[place : place + 1] == ")":
            return Representation(function=function, slots=tuple(slots)), place + 1
        place = _expect(text, place, ",")


def normal_value(value: str) -> str:
    """`value` as it is compared: letter case and white space around it and its commas gone, composed (NFC)."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", value).strip().casefold())
    return ",".join(part.strip() for part in folded.split(","))


def _after_space(text: str, place: int) -> int:
    while place < len(text) and text[place].isspace():
        place += 1
    return place


def _name(text: str, place: int, wanted: str) -> tuple[str, int]:
    found = NAME.match(text, place)
    if found is None:
        raise MalformedError(f"{wanted} was expected at character {place}, got {text[place : place + 20]!r}")
    return found.group(), found.end()


def _expect(text: str, place: int, mark: str) -> int:
    """The first place after `mark` and the white space around it."""
    place = _after_space(text, place)
    if text[place : place + 1] != mark:
        raise MalformedError(f"{mark!r} was expected at character {place}, got {text[place : place + 20]!r}")
    return _after_space(text, place + 1)


def _values(text: str, start: int) -> tuple[tuple[str, ...], int]:
    """The values from `start`, just after `[`, and the place after the `]` that balances it."""
    depth, place, fresh = 1, start, True  # fresh: only white space since "[" or a comma, so a quote may open
    commas: list[int] = []
    quoted: list[tuple[int, int]] = []
    while place < len(text):
        mark = text[place]
        closing = _quote_end(text, place) if fresh and depth == 1 and mark in _CLOSING_QUOTE else None
        if closing is not None:
            quoted.append((place, closing))
            place, fresh = closing + 1, False
            continue
        if mark == "[":
            depth += 1
            if depth > MAX_VALUE_DEPTH:
                raise MalformedError(f"more than {MAX_VALUE_DEPTH} nested brackets at character {place}")
        elif mark == "]":
            depth -= 1
            if depth == 0:
                return _split(text, (start, place), commas, quoted), place + 1
        elif mark == "," and depth == 1:
            commas.append(place)
        fresh = mark == "," or (fresh and mark.isspace())
        place += 1
    raise MalformedError(f"the bracket before character {start} is never closed")


def _quote_end(text: str, start: int) -> int | None:
    """Where the quote opened at `start` closes, when that is directly before a comma or a closing bracket."""
    end = text.find(_CLOSING_QUOTE[text[start]], start + 1)
    if end < 0:
        return None
    following = _after_space(text, end + 1)
    return end if text[following : following + 1] in (",", "]") else None


def _split(text: str, span: tuple[int, int], commas: list[int], quoted: list[tuple[int, int]]) -> tuple[str, ...]:
    start, end = span
    shielded = _bracketed(text, span, quoted) if commas else set()
    if commas:
        shielded.update(place for words in _QUOTED_WORDS.finditer(text, *span) for place in range(*words.span()))
    parts, begin = [], start
    for comma in commas:
        if comma in shielded or (text[comma - 1 : comma].isdigit() and text[comma + 1 : comma + 2].isdigit()):
            continue
        parts.append(text[begin:comma].strip())
        begin = comma + 1
    parts.append(text[begin:end].strip())
    values: list[str] = []
    for part in parts:
        if values and _YEAR.fullmatch(part) and _DAY.fullmatch(values[-1]):
            values[-1] = f"{values[-1]}, {part}"
        else:
            values.append(part)
    return tuple(values)


def _bracketed(text: str, span: tuple[int, int], quoted: list[tuple[int, int]]) -> set[int]:
    """The places inside a pair of round or curly brackets that balances within the value."""
    inside: set[int] = set()
    opened: list[tuple[str, int]] = []
    skip = {place for begin, end in quoted for place in range(begin, end + 1)}
    for place in range(*span):
        mark = text[place]
        if place in skip:
            continue
        if mark in _OPENS:
            opened.append((mark, place))
        elif mark in _CLOSES and opened and opened[-1][0] == _OPENS[_CLOSES.index(mark)]:
            begin = opened.pop()[1]
            if not opened:
                inside.update(range(begin, place))
    return inside
