"""One prediction's scores. Goes in: an example and hostile text. Comes out: `answer` (generous), `strict` (trained
format).

Stages: extract.py finds the span, read.py types it, equal.py compares it with the gold value. Every score carries the
whole trace: span, rule, reason, both values' types. `why` is one word of WHYS; UNPARSED are those that mean no answer
could be read. An undecided pair is `Score(None, "undecided")`: unscored by rule, open to a judge.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from harness.core import Example, Score
from tasks.math.equal import Verdict, compare
from tasks.math.extract import extract
from tasks.math.gold import choice_letter, gold_answer
from tasks.math.last_sentence import Extraction
from tasks.math.read import read
from tasks.math.signs import expanded
from tasks.math.values import Bracketed, Chain, Collection, Ratio, Relation, Text, UnionOf, UnreadableError, Value
from tasks.math.words import clean_words

SCORERS = ("answer", "strict")
WHYS = frozenset(
    [
        "correct",
        "wrong_value",
        "wrong_type",
        "no_answer",
        "hedge",
        "multiple",
        "negation",
        "truncated_answer",
        "too_long",
        "unreadable",
        "wrong_format",
        "undecided",
    ]
)
UNPARSED = frozenset({"no_answer", "hedge", "negation", "truncated_answer", "too_long", "unreadable", "wrong_format"})
_HASH_LINE = re.compile(r"^####[ \t]+(\S[^\n]*?)[ \t]*$", re.M)
_CHOICE_LABEL = re.compile(
    r"^(?:\(?[A-F]\)[.:]?\s+|[A-F][.:]\s+"
    r"|\\(?:text|textbf|mathrm|mathbf|mbox)\s*\{\s*\(?[A-F]\)?[.:]?\s*\}(?:\s|~|\\[ ,;:])*)(?=\S)"
)
_SECOND_CHOICE = re.compile(
    r"(?:\b(?:and|or)\b|,)\s*\(?[A-F]\)?(?![\w'])|^\W*[A-F]\W+(?:and|or)\b"
)  # "(A) and (B)", "(A) or 5"
_OR = re.compile(r"\b(?:or|to)\b")
_CHOICE = re.compile(
    r"(?:(?:the|correct|option|choice|answer|letter|i\s+choose|i\s+pick)\s+){0,4}\(?\s*([A-Za-z])\s*\)?\.?|\(([A-Za-z])\)[\s.:].*|([A-Za-z])[).:]\s.*",
    re.I | re.S,
)


def score(example: Example, text: str) -> Mapping[str, Score]:
    """The scores of one completion, generous first."""
    gold = str(example.meta["answer"])
    generous = _scored(gold, extract(text))
    return {"answer": generous, "strict": _strict(gold, str(example.meta.get("format", "any")), text, generous)}


def _strict(gold: str, wanted: str, text: str, generous: Score) -> Score:
    """Right, and written the way the gold solutions are: `#### n` on its own line, or one \\boxed{...}."""
    if wanted == "any":
        return generous
    if wanted == "hash":
        lines = _HASH_LINE.findall(text)
        followed = len(lines) == 1 and text.rstrip().endswith(lines[0])
        rule = "hash"
    else:
        followed = "\\boxed" in text
        rule = "boxed"
    if not followed:
        return Score(value=0.0, why="wrong_format", answer=generous.answer, evidence={"format": wanted})
    if generous.evidence.get("rule") == rule or (rule == "boxed" and generous.value == 1.0):
        return generous
    return Score(value=0.0, why="wrong_format", answer=generous.answer, evidence={"format": wanted})


def _scored(gold: str, found: Extraction) -> Score:
    trace: dict[str, Any] = {"span": [found.start, found.end], "rule": found.rule, "extraction": found.reason}
    if found.reason not in ("found", "hedge"):
        return Score(value=0.0, why=found.reason, answer=found.answer, evidence=trace)
    why, verdict = judge(gold, found.answer)
    alternatives = _OR.search(found.answer) is not None and _is_multiple(gold)  # "1 or -2", "3 to 4"
    if found.reason == "hedge" and not (alternatives and verdict.state == "equal"):
        return Score(value=0.0, why="hedge", answer=found.answer, evidence=trace)
    trace["verdict"] = verdict.reason
    value = {"equal": 1.0, "different": 0.0, "undecided": None}[verdict.state]
    return Score(value=value, why=why, answer=found.answer, evidence=trace)


def _is_multiple(gold: str) -> bool:
    """Whether gold is no single value, so that "3 or 5" may be it."""
    try:
        return isinstance(expanded(read(gold)), Collection | Relation | Chain | Bracketed | UnionOf | Ratio | Text)
    except UnreadableError:
        return True


def judge(gold: str, prediction: str, *, labelled: bool = True) -> tuple[str, Verdict]:
    """(why, verdict) of one answer against another, both as text; `labelled` when a choice letter may stand before it."""
    if gold.strip() == prediction.strip():
        return "correct", Verdict("equal", "same text")
    letter = choice_letter(gold)
    if letter is not None:
        chosen = _CHOICE.fullmatch(_plain_choice(prediction))
        if chosen is not None and not _SECOND_CHOICE.search(_plain_choice(prediction)):
            same = next(group for group in chosen.groups() if group).upper() == letter
            return (
                ("correct", Verdict("equal", "same choice"))
                if same
                else ("wrong_value", Verdict("different", "another choice"))
            )
    try:
        gold_value = read(gold)
    except UnreadableError as error:
        return "undecided", Verdict("undecided", f"gold cannot be read: {error}")
    try:
        value = read(prediction)
    except UnreadableError as error:
        if labelled and _CHOICE_LABEL.match(prediction):
            return judge(gold, _CHOICE_LABEL.sub("", prediction, count=1), labelled=False)
        return "unreadable", Verdict("different", str(error))
    if isinstance(value, Text) and re.fullmatch(r"[A-Za-z]{3,5}", prediction) and not isinstance(gold_value, Text):
        value = read(" ".join(prediction))  # cab against abc: a product of letters
    if isinstance(gold_value, Text) and clean_words(prediction) == gold_value.words:
        return "correct", Verdict("equal", "same words")
    verdict = compare(gold_value, value)
    if labelled and verdict.state == "different" and _CHOICE_LABEL.match(prediction):
        rest = judge(gold, _CHOICE_LABEL.sub("", prediction, count=1), labelled=False)
        if rest[1].state == "equal":
            return rest
    return _why(gold_value, value, verdict), verdict


def _why(gold: Value, value: Value, verdict: Verdict) -> str:
    if verdict.state == "equal":
        return "correct"
    if verdict.state == "undecided":
        return "undecided"
    if isinstance(value, Collection) and not isinstance(gold, Collection):
        return "hedge" if value.joined_by_or else "multiple"  # "5 or 6", and 5, 6
    return "wrong_type" if verdict.wrong_type else "wrong_value"


def _plain_choice(text: str) -> str:
    inner = re.sub(r"\\(?:text|mathrm|textbf|mbox|mathbf)\s*\{([^{}]*)\}", r"\1", text)
    return inner.replace("$", "").replace("\\", "").strip().strip("*").strip()


def pair(row: Mapping[str, Any]) -> Example:
    """An example from one line of `harness score math`: id, gold (an answer or a whole solution), optional question."""
    if "gold" not in row:
        raise ValueError(f"a math pair needs the key 'gold', got {sorted(row)}")
    gold = row["gold"]
    if isinstance(gold, bool) or not isinstance(gold, str | int | float):
        raise ValueError(f"the key 'gold' must be text or a number, got {type(gold).__name__}")
    text = str(gold)
    answer, wanted = gold_answer(text)
    if not answer:
        raise ValueError(f"the key 'gold' holds no answer: {text[:60]!r}")
    return Example(
        id=str(row.get("id", "")) or "pair",
        inputs={"question": str(row.get("question", "")), "format": wanted},
        gold=text,
        meta={"answer": answer, "format": wanted, "source": "pair"},
    )
