"""(example, reply) -> one `Score` for each name in `SCORERS`; the first, `exact_match`, decides.

    exact_match          same function, same slots with the same values, in any order
    function_accuracy    same function
    slot_precision, slot_recall, slot_f1     over (slot, value) pairs
    slot_accuracy        max(0, 1 - slot error rate); the raw rate is in the evidence as `slot_error_rate`
    ordered_exact_match  exact match with slots and values in the order of gold
    string_match         the reply is gold, character for character (outer white space aside)
    well_formed          exactly one representation could be read
    anyscale             the metric of the Anyscale case study: function, attribute types and their order; no values

Function and slot names are exact. Values ignore outer white space and letter case. Each value of a slot is one pair, so
`genres[sport, racing]` has two and `esrb[]` has one, whose value is empty. Pairs are counted with their repeats: a slot
written twice is one true positive and one false positive. `exact_match` compares slots as written, so `a[x], a[y]` is
not `a[x, y]`, though its pairs are the same. An unread reply has no pairs: every pair of gold is a false negative.
Unknown functions and slots are wrong ones; where the example carries its schema the evidence names them.

Slot error rate = (substituted + missing + extra pairs) / pairs of gold (Makhoul et al. 1999); within one slot name a
missing and an extra pair make one substitution. It can pass 1; without pairs in gold it is the number of extra pairs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.core import Example, Score
from tasks.functional.extract import Extraction, content, extract
from tasks.functional.grammar import Representation, normal_value, parse

SCORERS = (
    "exact_match",
    "function_accuracy",
    "slot_precision",
    "slot_recall",
    "slot_f1",
    "slot_accuracy",
    "ordered_exact_match",
    "string_match",
    "well_formed",
    "anyscale",
)
UNPARSED_REASONS = frozenset({"malformed", "ambiguous", "no_representation"})
MAX_LISTED = 20  # slots named in the evidence; a hostile reply may hold thousands

Pair = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How a predicted representation (None: unread) agrees with gold. Counts are of (slot, value) pairs."""

    true_positives: int
    false_positives: int
    false_negatives: int
    substitutions: int
    why: str

    @property
    def precision(self) -> float:
        """Right pairs among the predicted; 1 when neither side has any."""
        return _ratio(self.true_positives, self.true_positives + self.false_positives, self.false_negatives)

    @property
    def recall(self) -> float:
        """Right pairs among those of gold; 1 when neither side has any."""
        return _ratio(self.true_positives, self.true_positives + self.false_negatives, self.false_positives)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        wrong = self.false_positives + self.false_negatives
        return _ratio(2 * self.true_positives, 2 * self.true_positives + wrong, wrong)

    @property
    def slot_error_rate(self) -> float:
        """Substitutions, deletions and insertions per pair of gold."""
        errors = self.false_positives + self.false_negatives - self.substitutions
        return errors / max(1, self.true_positives + self.false_negatives)


def score(example: Example, reply: str) -> dict[str, Score]:
    """One Score for every name in SCORERS. The full evidence stands on the primary one.

    Raises MalformedError when gold itself is none: such an example is `unusable`, never scored.
    """
    gold = parse(example.gold)
    read = extract(reply)
    predicted = read.representation
    agreement = agreement_of(gold, predicted, read.failure or "correct")
    values = {
        "exact_match": _same(predicted, gold),
        "function_accuracy": predicted is not None and predicted.function == gold.function,
        "slot_precision": agreement.precision,
        "slot_recall": agreement.recall,
        "slot_f1": agreement.f1,
        "slot_accuracy": max(0.0, 1.0 - agreement.slot_error_rate),
        "ordered_exact_match": predicted is not None and _ordered(predicted) == _ordered(gold),
        "string_match": reply.strip() == example.gold.strip(),
        "well_formed": predicted is not None,
        "anyscale": predicted is not None and _types(predicted) == _types(gold),
    }
    evidence = _evidence(example, gold, read, agreement)
    whys = _whys(values, agreement.why)
    return {
        name: Score(value=float(values[name]), why=whys[name], answer=read.span[:2000], evidence=evidence)
        if name == SCORERS[0]
        else Score(value=float(values[name]), why=whys[name])
        for name in SCORERS
    }


def agreement_of(gold: Representation, predicted: Representation | None, failure: str) -> Agreement:
    """Counts and the primary reason; `failure` is the reason when nothing was read."""
    gold_pairs = _pairs(gold)
    predicted_pairs: Counter[Pair] = _pairs(predicted) if predicted is not None else Counter()
    missing, extra = gold_pairs - predicted_pairs, predicted_pairs - gold_pairs
    missing_by_slot, extra_by_slot = _by_slot(missing), _by_slot(extra)
    return Agreement(
        true_positives=(gold_pairs & predicted_pairs).total(),
        false_positives=extra.total(),
        false_negatives=missing.total(),
        substitutions=(missing_by_slot & extra_by_slot).total(),
        why=failure if predicted is None else _why(gold, predicted),
    )


def _why(gold: Representation, predicted: Representation) -> str:
    """The first that holds, from the gravest: one word a reply, so that reasons add up."""
    gold_names, predicted_names = _names(gold), _names(predicted)
    if predicted.function != gold.function:
        return "wrong_function"
    if gold_names - predicted_names:
        return "missing_slot"
    if predicted_names - gold_names:
        return "extra_slot"
    return "correct" if _same(predicted, gold) else "wrong_value"


def _whys(values: Mapping[str, float | bool], why: str) -> dict[str, str]:
    """`correct` for each full score; otherwise the primary reason, or what this scorer alone asks for."""
    only_here = {"ordered_exact_match": "order", "string_match": "spelling", "anyscale": "order"}
    fallback = {name: only_here.get(name, why) if why == "correct" else why for name in SCORERS}
    return {name: "correct" if values[name] >= 1 else fallback[name] for name in SCORERS}


def _evidence(example: Example, gold: Representation, read: Extraction, agreement: Agreement) -> dict[str, Any]:
    predicted = read.representation
    slots = predicted.slots if predicted is not None else ()
    missing = _whole_slots(gold.slots) - _whole_slots(slots)
    extra = _whole_slots(slots) - _whole_slots(gold.slots)
    evidence: dict[str, Any] = {
        "well_formed": predicted is not None,
        "function_gold": gold.function,
        "function_predicted": predicted.function if predicted is not None else None,
        "slot_tp": agreement.true_positives,
        "slot_fp": agreement.false_positives,
        "slot_fn": agreement.false_negatives,
        "slot_error_rate": agreement.slot_error_rate,
        "whole_slot_tp": (_whole_slots(gold.slots) & _whole_slots(slots)).total(),
        "whole_slot_fp": extra.total(),
        "whole_slot_fn": missing.total(),
        "missing": _listed(missing),
        "extra": _listed(extra),
    }
    known_functions, known_slots = example.inputs.get("functions"), example.inputs.get("slots")
    if predicted is not None and known_functions and known_slots:
        evidence["unknown_function"] = predicted.function not in known_functions
        evidence["unknown_slots"] = sorted({slot.name for slot in slots} - set(known_slots))[:MAX_LISTED]
    return evidence


def _same(predicted: Representation | None, gold: Representation) -> bool:
    return predicted is not None and content(predicted) == content(gold)


def _ordered(representation: Representation) -> tuple[str, list[tuple[str, list[str]]]]:
    return representation.function, [(s.name, list(map(normal_value, s.values))) for s in representation.slots]


def _types(representation: Representation) -> tuple[str, list[str]]:
    return representation.function, [slot.name for slot in representation.slots]


def _names(representation: Representation) -> Counter[str]:
    return Counter(slot.name for slot in representation.slots)


def _pairs(representation: Representation) -> Counter[Pair]:
    return Counter((slot.name, normal_value(value)) for slot in representation.slots for value in slot.values)


def _whole_slots(slots: Any) -> Counter[tuple[str, tuple[str, ...]]]:
    return Counter((slot.name, tuple(sorted(map(normal_value, slot.values)))) for slot in slots)


def _by_slot(pairs: Counter[Pair]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for (name, _), number in pairs.items():
        counts[name] += number
    return counts


def _listed(slots: Counter[tuple[str, tuple[str, ...]]]) -> list[str]:
    return [f"{name}[{', '.join(values)}]"[:200] for name, values in sorted(slots.elements())[:MAX_LISTED]]


def _ratio(part: int, whole: int, other_side: int) -> float:
    """part / whole; with nothing on this side, 1 when the other side is empty too, else 0."""
    return part / whole if whole else float(other_side == 0)
