"""The text of one answer, LaTeX or plain -> a typed value, or UnreadableError.

Special notations (based digits, times, dates, numbers in words) are tried first, then the grammar, then plain text.
Units, currency, percent and degree marks next to a value are dropped (policy rule 4); numbers never are. The limits of
values.py hold before any arithmetic, and nothing is evaluated here.
"""

from __future__ import annotations

import functools
import re
from fractions import Fraction

from tasks.math.build import real_line
from tasks.math.grammar import Reader
from tasks.math.lex import SCALES, Token, plain, tokens
from tasks.math.values import MAX_ITEMS, Based, Collection, Number, Ratio, Text, UnreadableError, Value
from tasks.math.words import clean_words, date_words, number_words

_BASE = re.compile(
    r"\(?([0-9A-Za-z]{1,60})\)?\s*(?:_\s*\{?\s*(?:\\text\{)?\s*(\d{1,2}|[a-z]+)\s*\}{0,2}|\(?\s*(?:in\s+)?base[\s-]*(\d{1,2}|[a-z]+)\)?)"
)
_BASE_NAMES = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
               "twelve": 12, "sixteen": 16}  # fmt: skip
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)(?:\s*([AaPp])\.?\s*[Mm]\.?)?")
_HOUR = re.compile(r"(\d{1,2})\s*([AaPp])\.?\s*[Mm]\.?")
_UNION_LETTER = re.compile(r"([)\]])\s*U\s*(?=([(\[]))")
_REALS = frozenset({"all real numbers", "all reals", "real numbers", "every real number", "all real x"})
_BARE_OVER = re.compile(r"^([^{}]*)\\over(?![a-z])([^{}]*)$")
_CHOOSE = re.compile(r"\{([^{}]*)\\choose(?![a-z])([^{}]*)\}")
_OVER = re.compile(r"\{([^{}]*)\\over(?![a-z])([^{}]*)\}")
_CURRENCY_CODE = re.compile(
    r"^(?:(?:USD|EUR|GBP|INR|CAD|AUD|Rs\.?)\s*(?=\\?\$?\s*[\d.])|(?:US|CA|AU|NZ|HK|[AC])\s*(?=\\?\$\s*[\d.]))"
)
_WORD_SIGN = re.compile(r"^(?:negative|minus)\s+(?=[\d.$\\])", re.I)
_AND_A_PART = re.compile(r"^(\d{1,9})\s+and\s+(?:a|one)\s+(half|third|quarter|fourth|fifth)\b", re.I)
_PARTS = {"half": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5}
_BASE_TWICE = re.compile(r"(?<=\d)(_\{?\d{1,2}\}?)\$?\s*\((?:in\s+)?base[\s-]*\w+\)$", re.I)  # 111_3 (base three)
_TEXT_DIGITS = re.compile(r"^\\(?:text|mbox|mathrm|textbf)\s*\{\s*([0-9A-Za-z]+)\s*\}(?=\s*_)")
_TEXT_LETTERS = re.compile(r"^\\(?:text|mbox|mathrm|textbf)\s*\{((?:\s*[A-Za-z]\s*,){1,20}\s*[A-Za-z]\s*)\}$")
_ALL_TEXT = re.compile(r"^\\(?:text|mbox|mathrm|textbf)\s*\{([^{}]*)\}$")
_BETWEEN_NAMES = re.compile(r"\s*,\s*(?:and\s+)?|\s+and\s+")
_NAMED_BASE = re.compile(r"\s+in\s+(binary|octal|hexadecimal)$", re.I)
_BASES_BY_NAME = {"binary": 2, "octal": 8, "hexadecimal": 16}
_PART_SUFFIX = re.compile(r"(?<=/)(\d{1,4})(?:ths?|rds?|nds)\b")
_WORD_OPERATOR = re.compile(
    r"(?<=\d)\s+(times|plus|minus|divided\s+by|x)\s+(?=\d)|(?<=\d)(x)(?=10\s*(?:\^|\*\*))", re.I
)
_OPERATORS = {"times": "*", "x": "*", "plus": "+", "minus": "-", "divided": "/"}
_TO_RATIO = re.compile(r"^(\d{1,9}(?:\.\d{1,9})?) to (\d{1,9}(?:\.\d{1,9})?)$")
_LEADING = re.compile(r"(?:[A-Za-z]{2,20}[ ,]+){1,6}(?=[-$\d.(\\])")


@functools.lru_cache(maxsize=8192)
def read(text: str) -> Value:
    """The value that `text` writes. Raises UnreadableError when it is none or too large."""
    text = _spelled(_strip(plain(text)))
    if not text:
        raise UnreadableError("nothing is written")
    if "\\over" in text:
        text = _BARE_OVER.sub(r"\\frac{\1}{\2}", _OVER.sub(r"\\frac{\1}{\2}", text))
    if "\\choose" in text:
        text = _CHOOSE.sub(r"\\binom{\1}{\2}", text)
    special = _special(text)
    if special is not None:
        return special
    if "U" in text:
        text = _UNION_LETTER.sub(r"\1 \\cup ", text)
    found = tokens(text)
    mathematical = [
        t
        for t in found
        if t.kind != "word"
        and t.text not in ("and", "or", "(", ")", ".", "'", ",", "-", "!", ":", ";", "?", "circ", "^")
    ]
    if not mathematical or (len(found) > 2 and _mostly_words(found)):
        return _worded(text)
    try:
        return Reader(_without_units(found)).value()
    except UnreadableError:
        rest = _LEADING.sub("", text, count=1) if _LEADING.match(text) else _stated(text)
        if rest:
            return read(rest)
        if any(t.kind == "word" for t in found):
            return Text(clean_words(text))
        raise
    except RecursionError:
        raise UnreadableError("nested too deeply") from None


def _worded(text: str) -> Value:
    """Words; names between commas are a list."""
    words = clean_words(text)
    if words in _REALS:
        return real_line()
    inner = _ALL_TEXT.sub(r"\1", text)
    names = [clean_words(name) for name in _BETWEEN_NAMES.split(inner)] if "," in inner else []
    if 1 < len(names) <= MAX_ITEMS and all(names) and all(len(name.split()) <= 3 for name in names):
        return Collection("list", tuple(map(Text, names)))
    return Text(words)


def _spelled(text: str) -> str:
    """`text` with a sign in words as a sign, "2 and a half" as 2 1/2, and no currency code in front of its number."""
    text = _CURRENCY_CODE.sub("", text, count=1)
    text = _BASE_TWICE.sub(r"\1", text)
    text = _TEXT_LETTERS.sub(r"\1", _TEXT_DIGITS.sub(r"\1", text))
    text = _WORD_SIGN.sub("-", text, count=1)
    text = _NAMED_BASE.sub(lambda found: f" in base {_BASES_BY_NAME[found[1].lower()]}", text)
    text = _PART_SUFFIX.sub(r"\1", text)
    text = _WORD_OPERATOR.sub(lambda found: _OPERATORS[(found[1] or found[2]).lower().split()[0]], text)
    text = _AND_A_PART.sub(lambda found: f"{found[1]} 1/{_PARTS[found[2].lower()]}", text)
    return _TO_RATIO.sub(r"\1:\2", text)


_TRAILING = re.compile(r"(?:\s|\\[,;!]|[.,;:?])+$")


def _strip(text: str) -> str:
    """`text` without the marks around a formula and the punctuation behind it."""
    text = text.strip().strip('`"').strip()
    while len(text) > 1:
        inner = text
        for opening, closing in (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ("**", "**"), ("*", "*")):
            body = text[len(opening) : len(text) - len(closing)]
            if text.startswith(opening) and text.endswith(closing) and body and opening not in body:
                inner = body.strip()
                break
        if inner == text and not text.endswith("..."):
            inner = _TRAILING.sub("", text)
        if inner == text:
            break
        text = inner
    return text


def _stated(text: str) -> str:
    """What stands behind the last "=" when what stands before it is no formula: P(red) = 1/2, \\angle ABC = 7."""
    name, _, stated = text.rpartition("=")
    if not name.strip() or not stated.strip() or name.rstrip()[-1:] in "<>!":
        return ""
    try:
        Reader(_without_units(tokens(name))).value()
    except (UnreadableError, RecursionError):
        return stated
    return ""


def _special(text: str) -> Value | None:
    """Notations that are no formulas: based digits, times, dates, numbers in words."""
    low = text.lower()
    if "_" in text or "base" in low:
        based = _BASE.fullmatch(text.replace("$", ""))
        if based:
            base = based[2] or based[3]
            size = int(base) if base.isdigit() else _BASE_NAMES.get(base, 0)
            digits = based[1].upper()
            if 2 <= size <= 36 and all(int(c, 36) < size for c in digits) and (based[1][0].isdigit() or size > 10):
                return Based(digits.lstrip("0") or "0", size) if size != 10 else Number(Fraction(int(digits)))
    if ":" in text or "m" in low[-4:]:
        clean = re.sub(r"\\text\s*\{([^{}]*)\}", r" \1", text).replace("\\ ", " ").replace("\\,", " ").strip()
        clock = _CLOCK.fullmatch(clean)
        if clock:
            meridiem = f"{clock[3].lower()}m" if clock[3] else ""
            return Ratio((Number(Fraction(int(clock[1]))), Number(Fraction(int(clock[2])))), meridiem, True)
        hour = _HOUR.fullmatch(clean)
        if hour:
            return Ratio((Number(Fraction(int(hour[1]))), Number(Fraction(0))), f"{hour[2].lower()}m", True)
    if any(c.isalpha() for c in text) and len(text) < 120:
        dated = date_words(text)
        if dated:
            return Text(dated)
        value = number_words(text)
        if value is not None:
            return Number(value)
    return None


def _mostly_words(found: list[Token]) -> bool:
    """A sentence rather than a formula: more words than anything else and no number."""
    words = sum(len(t.text.split()) for t in found if t.kind == "word")
    numbers = sum(t.kind == "number" for t in found)
    return numbers == 0 and words > 1 and not any(t.text in ("=", "<", ">", "le", "ge", "in") for t in found)


def _without_units(found: list[Token]) -> list[Token]:
    """`found` without the words that stand after a value as its unit (5 cm^2, 60 miles per hour, 3 million is kept)."""
    kept: list[Token] = []
    place = 0
    named = next((k for k, token in enumerate(found) if token.kind != "word"), 0)
    if named and named < len(found) and found[named].text == "=":  # "the area is 5"
        kept.append(Token("letter", " ".join(token.text.lower() for token in found[:named])))
        place = named
    if len(found) > 1 and found[0].text == "a" and found[1].kind == "word":
        raise UnreadableError("the article a before a word")
    while place < len(found):
        token = found[place]
        slash = token.text == "/" and place + 1 < len(found) and found[place + 1].kind == "word"
        if slash and kept and _ends_value(kept[-1]):  # 70/quiz
            place = _after_unit(found, place)
            continue
        follower = _unit_end(found, place) if kept and _ends_value(kept[-1]) else place
        if follower > place:
            place = follower
            continue
        if _is_article(found, place) and kept and kept[-1].kind == "number":
            place = _after_unit(found, place + 1)
            continue
        if token.kind == "word" and kept and _ends_value(kept[-1]):
            scale = SCALES.get(token.text.lower())
            if scale and kept[-1].kind == "number":
                kept[-1] = Token("number", "scaled", kept[-1].value * scale, kept[-1].spaced)
                place += 1
                continue
            place = _after_unit(found, place)
            continue
        if token.kind == "word":
            raise UnreadableError(f"the word {token.text[:20]!r} is no part of a formula")
        kept.append(token)
        place += 1
    return kept


def _unit_end(found: list[Token], place: int) -> int:
    """The place behind a unit that begins with no word: (units), \\frac{m}{s}, min; `place` when none begins there."""
    texts = [token.text for token in found[place : place + 7]]
    kinds = [token.kind for token in found[place : place + 7]]
    if texts[0] == "(" and texts[2:3] == [")"] and kinds[1] == "word":
        return place + 3
    worded = kinds[2:3] == kinds[5:6] == ["word"] and texts[3:5] == ["}", "{"]
    if texts[0] == "frac" and worded:
        return place + 7
    if texts[0] in ("min", "sec") and texts[1:2] not in (["("], ["{"], ["\\{"]) and found[place - 1].kind == "number":
        return _after_unit(found, place + 1)
    return place


def _is_article(found: list[Token], place: int) -> bool:
    """The "a" of "18 dollars a day" or "5 a day"."""
    token = found[place]
    follower = found[place + 1] if place + 1 < len(found) else None
    return (
        token.kind == "letter"
        and token.text == "a"
        and token.spaced
        and follower is not None
        and follower.kind == "word"
    )


def _ends_value(token: Token) -> bool:
    return token.kind in ("number", "letter", "end") or token.text in (
        ")",
        "]",
        "}",
        "\\}",
        "circ",
        "pi",
        "infty",
        "!",
        "|",
    )


def _after_unit(found: list[Token], place: int) -> int:
    """The place behind a unit: its words, powers and "per" parts."""
    while place < len(found):
        token = found[place]
        joins = token.text in ("and", "or") and place + 1 < len(found) and found[place + 1].kind == "word"
        if joins and not any(later.kind == "number" for later in found[place:]):
            place += 2  # 25 apples and oranges
        elif token.kind == "word" or (token.kind == "letter" and token.text in ("a", "m", "s", "h", "g", "L", "l")):
            place += 1
        elif token.text == "^" and place + 1 < len(found):
            place += 1
            if found[place].text == "{":
                while place < len(found) and found[place].text != "}":
                    place += 1
            else:
                place += found[place].text == "-"
            place += 1
        elif (
            token.text in ("/", "*", "-", ".")
            and place + 1 < len(found)
            and (found[place + 1].kind == "word" or (found[place + 1].kind == "letter" and token.text == "/"))
        ) or (token.text in ("(", ")") and place + 1 < len(found) and found[place + 1].kind == "word"):
            place += 1
        else:
            break
    return place
