"""Scores, counts and reasons by a table of named cases; definitions in tasks/functional/README.md."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.functional import task
from tasks.functional.scorers import SCORERS

GOLD = "inform(name[Dirt 5], genres[driving/racing, sport], has_mac_release[no])"

# name -> (gold, reply, exact, (tp, fp, fn), why)
CASES: dict[str, tuple[str, str, float, tuple[int, int, int], str]] = {
    "the same": (GOLD, GOLD, 1, (4, 0, 0), "correct"),
    "another order of slots and values": (
        GOLD,
        "inform(has_mac_release[no], genres[sport, driving/racing], name[Dirt 5])",
        1,
        (4, 0, 0),
        "correct",
    ),
    "letter case and outer white space of values": (GOLD, GOLD.replace("Dirt 5", " DIRT 5 "), 1, (4, 0, 0), "correct"),
    "letter case of the function": (GOLD, GOLD.replace("inform", "Inform"), 0, (4, 0, 0), "wrong_function"),
    "letter case of a slot": (GOLD, GOLD.replace("name", "Name"), 0, (3, 1, 1), "missing_slot"),
    "another function": (GOLD, GOLD.replace("inform", "confirm"), 0, (4, 0, 0), "wrong_function"),
    "a slot left out": (GOLD, "inform(name[Dirt 5], has_mac_release[no])", 0, (2, 0, 2), "missing_slot"),
    "a slot too many": (GOLD, GOLD[:-1] + ", rating[good])", 0, (4, 1, 0), "extra_slot"),
    "a wrong value": (GOLD, GOLD.replace("[no]", "[yes]"), 0, (3, 1, 1), "wrong_value"),
    "one value of a list left out": (GOLD, GOLD.replace(", sport", ""), 0, (3, 0, 1), "wrong_value"),
    "one value of a list too many": (GOLD, GOLD.replace("sport", "sport, music"), 0, (4, 1, 0), "wrong_value"),
    "a value of a list repeated": (GOLD, GOLD.replace("sport", "sport, sport"), 0, (4, 1, 0), "wrong_value"),
    "inner white space": (GOLD, GOLD.replace("Dirt 5", "Dirt  5"), 0, (3, 1, 1), "wrong_value"),
    "quotes around a value": (GOLD, GOLD.replace("Dirt 5", '"Dirt 5"'), 0, (3, 1, 1), "wrong_value"),
    "a value emptied": (GOLD, GOLD.replace("[no]", "[]"), 0, (3, 1, 1), "wrong_value"),
    "values exchanged": ("f(a[x], b[y])", "f(a[y], b[x])", 0, (0, 2, 2), "wrong_value"),
    "a slot doubled": (GOLD, GOLD.replace("name[Dirt 5]", "name[Dirt 5], name[Dirt 5]"), 0, (4, 1, 0), "extra_slot"),
    "a slot twice, two values": ("f(a[x])", "f(a[x], a[y])", 0, (1, 1, 0), "extra_slot"),
    "a list split over two slots": ("f(a[x, y])", "f(a[x], a[y])", 0, (2, 0, 0), "extra_slot"),
    "gold doubles a slot": ("f(a[x], a[y])", "f(a[y], a[x])", 1, (2, 0, 0), "correct"),
    "an empty value kept": ("request_attribute(esrb[])", "request_attribute(esrb[ ])", 1, (1, 0, 0), "correct"),
    "an empty value filled": ("request_attribute(esrb[])", "request_attribute(esrb[T])", 0, (0, 1, 1), "wrong_value"),
    "no slots on either side": ("hello()", "hello()", 1, (0, 0, 0), "correct"),
    "no slots predicted": ("f(a[x])", "f()", 0, (0, 0, 1), "missing_slot"),
    "no slots in gold": ("f()", "f(a[x])", 0, (0, 1, 0), "extra_slot"),
    "function and slots wrong": (GOLD, "request(specifier[fast])", 0, (0, 1, 4), "wrong_function"),
    "malformed": (GOLD, GOLD[:-1], 0, (0, 0, 4), "malformed"),
    "ambiguous": (GOLD, f"{GOLD}\nrequest(specifier[fast])", 0, (0, 0, 4), "ambiguous"),
    "prose": (GOLD, "A racing game.", 0, (0, 0, 4), "no_representation"),
    "prose around": (GOLD, f"The answer:\n```\n{GOLD}\n```", 1, (4, 0, 0), "correct"),
}


def scored(gold: str, reply: str, **row: Any) -> tuple[dict[str, float], Any]:
    """(scorer -> value, the primary Score)."""
    scores = task.score(task.pair({"id": "1", "gold": gold, **row}), reply)
    assert tuple(scores) == SCORERS
    return {name: float(score.value or 0.0) for name, score in scores.items()}, scores[task.primary]


@pytest.mark.parametrize(("gold", "reply", "exact", "counts", "why"), CASES.values(), ids=list(CASES))
def test_exact_match_counts_and_reason(
    gold: str, reply: str, exact: float, counts: tuple[int, int, int], why: str
) -> None:
    values, primary = scored(gold, reply)
    seen = primary.evidence
    assert (values["exact_match"], primary.why) == (exact, why)
    assert (seen["slot_tp"], seen["slot_fp"], seen["slot_fn"]) == counts


@pytest.mark.parametrize(("gold", "reply", "exact", "counts", "why"), CASES.values(), ids=list(CASES))
def test_ratios_follow_from_the_counts(
    gold: str, reply: str, exact: float, counts: tuple[int, int, int], why: str
) -> None:
    values, primary = scored(gold, reply)
    right, extra, missing = counts
    if counts == (0, 0, 0):
        expected = (1.0, 1.0, 1.0)
    else:
        precision = right / (right + extra) if right + extra else 0.0
        recall = right / (right + missing) if right + missing else 0.0
        expected = (precision, recall, 2 * right / (2 * right + extra + missing))
    assert (values["slot_precision"], values["slot_recall"], values["slot_f1"]) == pytest.approx(expected)
    assert values["slot_accuracy"] == pytest.approx(max(0.0, 1 - primary.evidence["slot_error_rate"]))
    assert values["well_formed"] == primary.evidence["well_formed"] == (why not in task.unparsed_reasons)


ERROR_RATES = [
    (GOLD, GOLD.replace("[no]", "[yes]"), 1 / 4),  # one substitution, not two errors
    (GOLD, GOLD.replace("name", "title"), 2 / 4),  # another slot name: one missing, one extra
    ("f(a[x])", "f(a[x], b[y], c[z], d[w])", 3.0),
    (GOLD, "nothing", 1.0),
    ("f()", "f(a[x])", 1.0),
]


@pytest.mark.parametrize(("gold", "reply", "rate"), ERROR_RATES)
def test_the_slot_error_rate_counts_a_substitution_once(gold: str, reply: str, rate: float) -> None:
    assert scored(gold, reply)[1].evidence["slot_error_rate"] == pytest.approx(rate)


SIDE_BY_SIDE = {
    # reply -> exact_match, ordered_exact_match, string_match, anyscale, function_accuracy
    GOLD: (1, 1, 1, 1, 1),
    f"  {GOLD}\n": (1, 1, 1, 1, 1),
    f"{GOLD}.": (1, 1, 0, 1, 1),
    GOLD.lower(): (1, 1, 0, 1, 1),
    GOLD.replace("driving/racing, sport", "sport, driving/racing"): (1, 0, 0, 1, 1),
    "inform(genres[driving/racing, sport], name[Dirt 5], has_mac_release[no])": (1, 0, 0, 0, 1),
    GOLD.replace("Dirt 5", "Halo"): (0, 0, 0, 1, 1),
    GOLD.replace("inform", "confirm"): (0, 0, 0, 0, 0),
    GOLD[:-1]: (0, 0, 0, 0, 0),
}


@pytest.mark.parametrize(("reply", "expected"), SIDE_BY_SIDE.items())
def test_the_stricter_and_the_case_study_s_metrics_side_by_side(reply: str, expected: tuple[int, ...]) -> None:
    names = ("exact_match", "ordered_exact_match", "string_match", "anyscale", "function_accuracy")
    values = scored(GOLD, reply)[0]
    assert tuple(values[name] for name in names) == expected


def test_a_right_answer_in_another_order_says_which_scorer_minds() -> None:
    example = task.pair({"id": "1", "gold": "f(a[x], b[y])"})
    scores = task.score(example, "f(b[y], a[x])")
    assert scores["exact_match"].why == "correct"
    assert scores["ordered_exact_match"].why == scores["anyscale"].why == "order"
    assert scores["string_match"].why == "spelling"


def test_evidence_names_what_the_schema_does_not_know() -> None:
    primary = scored("f(a[x])", "g(a[x], zz[y])", functions=["f"], slots={"a": "a thing"})[1]
    assert primary.evidence["unknown_function"] is True
    assert primary.evidence["unknown_slots"] == ["zz"]
    assert primary.evidence["extra"] == ["zz[y]"]


def test_evidence_counts_whole_slots_beside_pairs() -> None:
    seen = scored(GOLD, GOLD.replace(", sport", ""))[1].evidence
    assert (seen["whole_slot_tp"], seen["whole_slot_fp"], seen["whole_slot_fn"]) == (2, 1, 1)


def test_evidence_stays_small_on_a_reply_with_thousands_of_slots() -> None:
    seen = scored(GOLD, "inform(" + ", ".join(f"s{i}[{'v' * 500}]" for i in range(30)) + ")")[1].evidence
    assert len(seen["extra"]) == 20
    assert max(map(len, seen["extra"])) == 200


BAD_ROWS = [
    ({"gold": GOLD}, "key 'id' is missing"),
    ({"id": "1"}, "key 'gold' must be a non-empty string"),
    ({"id": "1", "gold": 5}, "key 'gold' must be a non-empty string, got 5"),
    ({"id": "1", "gold": GOLD[:-1]}, "key 'gold' cannot judge: it is no representation: ',' was expected"),
    ({"id": "1", "gold": "f(a[x</s>])"}, "key 'gold' cannot judge: it is not read back"),
    ({"id": "1", "gold": f"f(a[{'x' * 20_000}])"}, "over 20000 characters"),
    ({"id": "1", "gold": GOLD, "slots": 3}, "key 'slots' must be an object"),
]


@pytest.mark.parametrize(("row", "message"), BAD_ROWS)
def test_a_bad_pair_row_is_refused_by_the_key(row: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        task.pair(row)
