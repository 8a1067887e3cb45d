"""A model's reply -> the one representation it commits to, or why there is none.

The written policy, the same for every model and never aware of gold:

1. A think block (`<think>...</think>`) is no answer. Text after an end-of-turn mark (`<|im_end|>`, `</s>`, ...) is
   another turn and is dropped. At most the first 20,000 characters are read.
2. Prose, code fences, quotes and a closing full stop around a representation are ignored: the text is searched for
   `name(` from left to right and parsed there. `name (`, with a space, counts only when it parses.
3. A representation that does not parse is an attempt. It uses up the text to the parenthesis that closes it on its
   line, or the rest of the line, so an inner piece of a broken answer is never taken for an answer.
4. A closing bracket too many right after a representation, a slot that goes on after it, or an opening bracket right
   before it that is never closed, makes it an attempt. Brackets that a surrounding pair explains are prose.
5. `name()` counts only when nothing with slots is there: prose mentions functions that way.
6. One representation, also when repeated (equal but for order, case and white space): that is the answer, the last
   one as written. Several different ones: no answer, `ambiguous`. An attempt beside a complete one is ignored.
7. No representation: `malformed` when there was an attempt or a `name[`, else `no_representation`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from tasks.functional.grammar import NAME, MalformedError, Representation, normal_value, parse_at

Failure = Literal["malformed", "ambiguous", "no_representation"]
MAX_CHARACTERS = 20_000
MAX_ATTEMPTS = 50  # bounds the work on hostile text: each attempt reads at most to the end
_END_MARKS = ("<|im_end|>", "</s>", "<|endoftext|>", "<|eot_id|>", "<|end_of_text|>", "<end_of_turn>", "<|end|>")
_THINK = re.compile(r"<think>.*?</think>", re.DOTALL)
_HEAD = re.compile(rf"(?<!\w){NAME.pattern}[^\S\n]*\(")
_SLOT_HEAD = re.compile(rf"(?<!\w){NAME.pattern}\s*\[")
_GOES_ON = re.compile(rf"\s*,?\s*{NAME.pattern}\s*\[")


@dataclass(frozen=True, kw_only=True)
class Extraction:
    """What was found: a representation and its text, or the failure."""

    representation: Representation | None
    span: str
    failure: Failure | None


Key = tuple[str, tuple[tuple[str, tuple[str, ...]], ...]]


def content(representation: Representation) -> Key:
    """`representation` free of order, case and outer white space: equal keys mean the same content."""
    slots = ((slot.name, tuple(sorted(map(normal_value, slot.values)))) for slot in representation.slots)
    return representation.function, tuple(sorted(slots))


def extract(reply: str) -> Extraction:
    """The one representation in `reply`, by the policy above. Never raises."""
    text = _answer_text(reply[:MAX_CHARACTERS])
    found, attempted = _search(text)
    with_slots = [item for item in found if item[0].slots]
    chosen = with_slots or found
    if len({content(item[0]) for item in chosen}) > 1:
        return Extraction(representation=None, span="", failure="ambiguous")
    if chosen:
        return Extraction(representation=chosen[-1][0], span=chosen[-1][1], failure=None)
    broken = attempted or _SLOT_HEAD.search(text) is not None
    return Extraction(representation=None, span="", failure="malformed" if broken else "no_representation")


def _answer_text(reply: str) -> str:
    text = _THINK.sub("", reply)
    if "</think>" in text:  # some templates put the opening tag into the prompt
        text = text.rpartition("</think>")[2]
    text = text.partition("<think>")[0].lstrip()
    while leading := next((mark for mark in _END_MARKS if text.startswith(mark)), ""):
        text = text[len(leading) :].lstrip()
    ends = [place for mark in _END_MARKS if (place := text.find(mark)) >= 0]
    return text[: min(ends)] if ends else text


def _search(text: str) -> tuple[list[tuple[Representation, str]], bool]:
    """The representations with their texts, left to right, and whether there was an attempt that failed."""
    found: list[tuple[Representation, str]] = []
    place, attempts, open_brackets = 0, 0, 0
    while attempts < MAX_ATTEMPTS and (head := _HEAD.search(text, place)):
        start = head.start()
        open_brackets = _still_open(text[place:start], open_brackets)
        try:
            representation, end = parse_at(text, start)
        except MalformedError:
            if text[head.end() - 2].isspace():
                place = head.end() - 1  # prose before a parenthesis; the search goes on inside it
                continue
            attempts, place = attempts + 1, _end_of_attempt(text, head.end())
            continue
        if _is_unbalanced(text, (start, end), open_brackets):
            attempts += 1
        else:
            found.append((representation, text[start:end]))
        place = end
    return found, attempts > 0


def _still_open(prose: str, open_brackets: int) -> int:
    for mark in prose:
        if mark in "([":
            open_brackets += 1
        elif mark in ")]" and open_brackets:
            open_brackets -= 1
    return open_brackets


def _is_unbalanced(text: str, span: tuple[int, int], open_brackets: int) -> bool:
    start, end = span
    following = text[end : end + 200].lstrip(" \t")
    extra = len(following) - len(following.lstrip(")]"))
    if extra > open_brackets or _GOES_ON.match(text, end):
        return True
    touching = start - len(text[:start].rstrip("(["))
    return touching > 0 and not _closes(text[end:], touching)


def _closes(prose: str, open_brackets: int) -> bool:
    """Whether `prose` closes that many brackets opened before it."""
    for mark in prose:
        open_brackets += (mark in "([") - (mark in ")]")
        if open_brackets == 0:
            return True
    return False


def _end_of_attempt(text: str, place: int) -> int:
    """Where the search goes on after an attempt whose parenthesis opened just before `place`."""
    line_end = text.find("\n", place)
    line_end = len(text) if line_end < 0 else line_end
    depth = 1
    for index in range(place, line_end):
        depth += (text[index] == "(") - (text[index] == ")")
        if depth == 0:
            return index + 1
    return line_end
