"""The final answer of a gold text: a bare answer, a GSM8K solution (`#### n`) or a MATH solution (\\boxed{...})."""

from __future__ import annotations

import re

from tasks.math.extract import extract

_TAIL = re.compile(r"The answer is: ([^\n]+)\s*\Z")
_CALCULATOR = re.compile(r"<<[^<>\n]*>>")
_CHOICE = re.compile(r"\\(?:text|textbf|mathrm|mbox)\s*\{\s*\(?([A-Z])\)?\s*\}|\(([A-Z])\)|([A-F])")


def gold_answer(gold: str) -> tuple[str, str]:
    """(answer, format): format is "hash", "boxed", or "any" for a bare answer. The answer is "" when there is none."""
    if "####" in gold:
        return gold.rsplit("####", 1)[1].strip(), "hash"
    if "\\boxed" in gold or "\\fbox" in gold:
        tail = _TAIL.search(gold)
        if tail:
            return tail[1].strip(), "boxed"
        found = extract(gold)
        return found.answer, "boxed"
    return gold.strip(), "any"


def without_calculator_marks(solution: str) -> str:
    """A GSM8K solution without its <<16-3=13>> marks: what a model is trained to write."""
    return _CALCULATOR.sub("", solution)


def without_tail(solution: str) -> str:
    """A MATH solution without an appended "The answer is: ..." line."""
    return _TAIL.sub("", solution).rstrip()


def choice_letter(gold: str) -> str | None:
    """The letter of a multiple-choice gold such as \\text{(C)} or C, else None."""
    match = _CHOICE.fullmatch(gold.strip().strip("$").strip())
    if match is None:
        return None
    return next(group for group in match.groups() if group)
