"""A model's reply -> the one representation it commits to, or why there is none.

The written policy, the same for every model and never aware of gold:

1. A think block (`<think>...</think>` and the like) is no answer. Text after an end-of-turn mark (`<|im_end|>`,
   `</s>`, ...) is another turn and is dropped, and so is what follows a new item: a line that begins with `Text:`,
   `Input:` or the like behind a representation. At most the first 20,000 characters are read.
2. Prose, code fences, quotes and a closing full stop around a representation are ignored: the text is searched for
   `name(` from left to right and parsed there. `name (`, with a space, counts only when it parses.
3. A representation that does not parse is an attempt. It uses up the text to the parenthesis that closes it on its
   line, or the rest of the line, so an inner piece of a broken answer is never taken for an answer.
4. A closing bracket too many right after a representation, a slot that goes on after it, or an opening bracket right
   before it that is never closed, makes it an attempt. Brackets that a surrounding pair explains are prose.
5. `name()` counts only when nothing with slots is there: prose mentions functions that way.
6. One representation, also when repeated (equal but for order, case and white space): that is the answer, the last
   one as written. Several different ones: no answer, `ambiguous`, unless a word of correction ("wait", "that is
   wrong") or the label "Final:" stands between them: then the later one. An attempt beside a complete one is ignored.
7. No representation: `malformed` when there was an attempt or a `name[`, else `no_representation`.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import Literal

from tasks.functional.grammar import NAME, MalformedError, Representation, normal_value, parse_at

Failure = Literal["malformed", "ambiguous", "no_representation"]
MAX_CHARACTERS = 20_000
MAX_ATTEMPTS = 50  # bounds the work on hostile text: each attempt reads at most to the end
_END_MARKS = ("<|im_end|>", "</s>", "<|endoftext|>", "<|eot_id|>", "<|end_of_text|>", "<end_of_turn>", "<|end|>")
_THINK = re.compile(r"<think>.*?</think>", re.DOTALL)
_THINK_TAG = re.compile(r"<(/?)(?:think|thinking|thought|reasoning|scratchpad)>", re.I)
_HEAD = re.compile(rf"(?<!\w){NAME.pattern}[^\S\n]*\(")
_SLOT_HEAD = re.compile(rf"(?<!\w){NAME.pattern}\s*\[")
_GOES_ON = re.compile(rf"\s*(?:,\s*)?{NAME.pattern}\s*\[")


_NEW_ITEM = re.compile(
    r"^[ \t>*]*(?:#+[ \t]*)?(?:text|input|sentence|utterance|question|query|example|user|human|instruction)"
    r"(?:[ \t]*\d+)?[ \t]*\**:",
    re.I | re.M,
)
_CORRECTION = re.compile(
    r"\b(?:wait|actually|correct(?:ion|ed)|sorry|oops|i\s+mean|scratch\s+that|let\s+me\s+(?:fix|correct|redo)|"
    r"th(?:at|is)(?:'s|\s+is|\s+was)\s+(?:wrong|incorrect|not\s+right))\b|\bfinal\s*(?:answer|output|version|representation)?\s*\**:",
    re.I,
)


@dataclass(frozen=True, kw_only=True)
class Extraction:
    """What was found: a representation and its text, or the failure."""

    representation: Representation | None
    span: str
    failure: Failure | None


@dataclass(frozen=True, kw_only=True)
class _Found:
    representation: Representation
    start: int
    end: int


Key = tuple[str, tuple[tuple[str, tuple[str, ...]], ...]]


def content(representation: Representation) -> Key:
    """`representation` free of order, case and outer white space: equal keys mean the same content."""
    slots = ((slot.name, tuple(sorted(map(normal_value, slot.values)))) for slot in representation.slots)
    return representation.function, tuple(sorted(slots))


def extract(reply: str) -> Extraction:
    """The one representation in `reply`, by the policy above. Never raises."""
    text = _answer_text(reply[:MAX_CHARACTERS])
    found, attempted = _search(text)
    chosen = [item for item in found if item.representation.slots] or found
    if chosen:
        chosen = _before_new_item(text, chosen)
        if not _agree(text, chosen):
            return Extraction(representation=None, span="", failure="ambiguous")
        last = chosen[-1]
        return Extraction(representation=last.representation, span=text[last.start : last.end], failure=None)
    broken = attempted or _SLOT_HEAD.search(text) is not None
    return Extraction(representation=None, span="", failure="malformed" if broken else "no_representation")


def _answer_text(reply: str) -> str:
    text = _THINK.sub("", _THINK_TAG.sub(r"<\1think>", reply))
    if "</think>" in text:  # some templates put the opening tag into the prompt
        text = text.rpartition("</think>")[2]
    text = text.partition("<think>")[0].lstrip()
    while leading := next((mark for mark in _END_MARKS if text.startswith(mark)), ""):
        text = text[len(leading) :].lstrip()
    ends = [place for mark in _END_MARKS if (place := text.find(mark)) >= 0]
    return text[: min(ends)] if ends else text


def _before_new_item(text: str, found: list[_Found]) -> list[_Found]:
    new_item = _NEW_ITEM.search(text, found[0].end)
    return [item for item in found if new_item is None or item.start < new_item.start()]


def _agree(text: str, found: list[_Found]) -> bool:
    """Whether each says the same as the one before it, or corrects it."""
    return all(
        content(before.representation) == content(after.representation)
        or _CORRECTION.search(text, before.end, after.start) is not None
        for before, after in itertools.pairwise(found)
    )


def _search(text: str) -> tuple[list[_Found], bool]:
    """The representations, left to right, and whether there was an attempt that failed."""
    found: list[_Found] = []
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
            found.append(_Found(representation=representation, start=start, end=end))
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
