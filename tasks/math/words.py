"""Answers in words: numbers ("twenty-five", "two thirds", "3rd"), dates, and plain text made comparable."""

from __future__ import annotations

import re
from fractions import Fraction

_ONES = {word: k for k, word in enumerate((
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
))}  # fmt: skip
_TENS = {
    w: 10 * k
    for k, w in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], start=2)
}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_ORDINALS = {word: k for k, word in enumerate((
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh",
    "twelfth",
), start=1)}  # fmt: skip
_PARTS = {"half": 2, "halves": 2, "third": 3, "thirds": 3, "quarter": 4, "quarters": 4, "fourth": 4, "fourths": 4,
          "fifth": 5, "fifths": 5, "sixth": 6, "sixths": 6, "seventh": 7, "sevenths": 7, "eighth": 8, "eighths": 8,
          "ninth": 9, "ninths": 9, "tenth": 10, "tenths": 10}  # fmt: skip
_MONTHS = {word: k for k, word in enumerate((
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
), start=1)}  # fmt: skip
_MONTHS.update({name[:3]: number for name, number in list(_MONTHS.items())})
_ORDINAL_DIGITS = re.compile(r"(\d{1,9})\s*(?:\^\{?)?\s*(?:\\text\{)?\s*(?:st|nd|rd|th)\}{0,2}(?:\s+[a-z]+)?", re.I)
_TEXT_COMMAND = re.compile(r"\\[A-Za-z]+\s*")
_NOISE = re.compile(r"[^0-9a-z+\-]+")
_ARTICLES = frozenset({"the", "a", "an"})


def number_words(text: str) -> Fraction | None:
    """The number that `text` says in words, with an optional unit of up to three words behind it; else None."""
    ordinal = _ORDINAL_DIGITS.fullmatch(text.strip())
    if ordinal:
        return Fraction(int(ordinal[1]))
    words = re.sub(r"\\(?:text|mbox|mathrm)\s*\{([^{}]*)\}", r"\1", text).lower().replace("-", " ").split()
    negative = bool(words) and words[0] in ("minus", "negative")
    words = words[negative:]
    if not words or not all(word.isalpha() for word in words) or len(words) > 16:
        return None
    if len(words) == 1 and words[0] in _ORDINALS:
        return Fraction(_ORDINALS[words[0]])
    if words[0] == "a" and words[1:2] and words[1] in _SCALES:
        words = ["one", *words[1:]]
    if words[0] in _SCALES:
        words = ["one", *words]
    value, used = _cardinal(words)
    if words[:2] in (["half", "a"], ["half", "an"]) and len(words) <= 4:
        return Fraction(1, 2)
    if used == 0 and words[0] in ("a", "half") and words[-1] in _PARTS and len(words) <= 2:
        return Fraction(1, _PARTS[words[-1]])
    if used == 0:
        return None
    if used < len(words) and words[used] in _PARTS:
        value, used = value / _PARTS[words[used]], used + 1
    elif words[used : used + 3] in (["and", "a", "half"], ["and", "one", "half"]):
        value, used = value + Fraction(1, 2), used + 3
    rest = words[used:]
    if len(rest) > 3 or set(rest) & {"or", "and", "to", "point", "of"}:
        return None
    return -value if negative else value


def number_run(text: str) -> tuple[int, int] | None:
    """The span of the last number in words that `text` holds; "one" alone is no number."""
    found = list(re.finditer(r"[A-Za-z]+", text[-2000:]))
    words = [word[0].lower() for word in found]
    offset = max(0, len(text) - 2000)
    place, run = 0, None
    while place < len(words):
        _, used = _cardinal(words[place : place + 16])
        if used and words[place : place + used] != ["one"]:
            end = place + used
            if words[end : end + 3] == ["and", "a", "half"]:
                end += 3
            elif words[end : end + 1] and words[end] in _PARTS:
                end += 1
            first = place - (place > 0 and words[place - 1] in ("minus", "negative"))
            run = (offset + found[first].start(), offset + found[end - 1].end())
        place += max(used, 1)
    return run


def _cardinal(words: list[str]) -> tuple[Fraction, int]:
    total, current, used = 0, 0, 0
    for place, word in enumerate(words):
        if word in _ONES:
            if (current % 10 and current % 100 >= 20) or 0 < current % 100 < 20:
                break
            current += _ONES[word]
        elif word in _TENS and current % 100 == 0:
            current += _TENS[word]
        elif word == "hundred" and 0 < current < 100:
            current *= 100
        elif word in _SCALES and 0 < current < 1000:
            total, current = total + current * _SCALES[word], 0
        elif (
            word == "and"
            and used
            and place + 1 < len(words)
            and (words[place + 1] in _ONES or words[place + 1] in _TENS)
        ):
            if not (total or current >= 100):
                break
            continue
        else:
            break
        used = place + 1
    return Fraction(total + current), used


def date_words(text: str) -> str | None:
    """A calendar date as one spelling ("5 march 2020"), or None when `text` is none."""
    words = re.sub(r"\\text\s*\{([^{}]*)\}", r"\1", text).lower().replace(",", " ").replace(".", " ").split()
    if words and words[0] in ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"):
        words = words[1:]
    words = [re.sub(r"^(\d{1,2})(?:st|nd|rd|th)$", r"\1", word) for word in words if word not in ("of", "the")]
    months = [word for word in words if word in _MONTHS]
    days = [word for word in words if word.isdigit()]
    if len(months) != 1 or not 1 <= len(days) <= 2 or len(months) + len(days) != len(words):
        return None
    return f"date {int(days[0])} {_MONTHS[months[0]]} {' '.join(days[1:])}".strip()


def clean_words(text: str) -> str:
    """`text` in lower case, without LaTeX commands, punctuation, articles at the front, and doubled spaces."""
    words = _NOISE.sub(" ", _TEXT_COMMAND.sub(" ", text).lower()).split()
    while len(words) > 1 and words[0] in _ARTICLES and len(words[1]) > 1:  # "A, D" begins with no article
        words = words[1:]
    return " ".join(word.strip("-") or word for word in words)
