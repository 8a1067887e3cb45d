"""Each fault, planted alone in a clean data set, is found by the check that is named for it, and cleaned where that is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.core import BrokenRow, Example
from harness.curate.examine import Measure, cleaning, examine
from harness.curate.labels import loader_findings
from tests.curate.planted import TASK, clean_set, example, found, report

Planted = dict[str, tuple[Example, ...]]


def asked(text: str, gold: str = "count x", *, id: str = "planted", schema: str = "schema 0") -> Example:
    return Example(id=id, inputs={"question": text}, gold=gold, meta={"schema": schema})


TEST_ITEM = example(60)
TRAIN_ITEM = example(7)
VALIDATION_ITEM = example(45)
CONTRADICTS = replace(TRAIN_ITEM, id="planted", gold="count else")
LONG = "Which of the many visitors of the old harbour came back in the following winter season?"
GUESS = asked(LONG, "count maybe")


def test_a_clean_data_set_has_no_error_and_no_warning_but_its_missing_tokenizer() -> None:
    told = report()
    assert [finding.key for finding in told.bad] == ["length"]
    assert told.removals == {}


@pytest.mark.parametrize(
    ("key", "severity", "count", "removed", "planted"),
    [
        ("leaked-input", "error", 1, ["planted"], {"train": (replace(TEST_ITEM, id="planted"),)}),
        (
            "leaked-input", "error", 1, ["planted"],
            {"train": (replace(TEST_ITEM, id="planted", inputs={"question": TEST_ITEM.inputs["question"].upper() + "  ?"}),)},
        ),
        ("exact-duplicates", "warning", 1, ["planted"], {"train": (replace(TRAIN_ITEM, id="planted"),)}),
        (
            "near-duplicates", "note", 1, ["planted"],
            {"train": (asked(TRAIN_ITEM.inputs["question"] + " Ok?", TRAIN_ITEM.gold),)},
        ),
        (
            "near-leaks", "error", 1, ["planted"],
            {"train": (asked(TEST_ITEM.inputs["question"] + " Ok?", TEST_ITEM.gold, schema="schema 3"),)},
        ),
        (
            "near-contrasts", "note", 1, [],
            {"train": (asked(TRAIN_ITEM.inputs["question"] + " Ok?", "count nothing at all"),)},
        ),
        ("held-duplicates", "warning", 1, [], {"test": (replace(TEST_ITEM, id="planted"),)}),
        (
            "near-held-duplicates", "note", 1, [],
            {"test": (asked(TEST_ITEM.inputs["question"] + " Ok?", TEST_ITEM.gold, schema="schema 3"),)},
        ),
        (
            "near-held-duplicates", "note", 1, [],
            {"validation": (asked(VALIDATION_ITEM.inputs["question"] + " Ok?", VALIDATION_ITEM.gold, schema="schema 2"),)},
        ),
        ("reworded", "note", 1, [], {"test": (asked(LONG, TEST_ITEM.gold, schema="schema 3"),)}),
        ("contradictions", "error", 2, ["item-7", "planted"], {"train": (CONTRADICTS,)}),
        ("suspect-gold-is-nonsense", "warning", 1, ["planted"], {"train": (asked(LONG, "count never"),)}),
        ("suspect-gold-is-a-guess", "warning", 2, [], {"train": (GUESS, replace(TRAIN_ITEM, id="p", gold="maybe", meta={}))}),
        ("known-contexts", "warning", 1, [], {"test": (asked(LONG, schema="schema 1"),)}),
        ("known-questions", "note", 1, [], {"test": (replace(TRAIN_ITEM, id="planted", meta={"schema": "another"}),)}),
        ("mojibake", "error", 1, ["planted"], {"train": (asked("What does the cafÃ© on the corner of the square sell?"),)}),
        ("mojibake", "error", 1, ["planted"], {"train": (asked("What is the personâ€™s name who came to the square?"),)}),
        ("damage", "error", 1, ["planted"], {"train": (asked("What is the na\x00me of the man on the square?"),)}),
        ("damage", "error", 1, ["planted"], {"train": (asked("What is the n\ufffdme of the man on the square?"),)}),
        ("hidden", "warning", 1, [], {"train": (asked("What is the na\u200bme of the man on the square?"),)}),
        ("mixed-scripts", "warning", 1, [], {"train": (asked("What is the nаme of the man on the square?"),)}),
        ("entities", "warning", 1, [], {"train": (asked("What is the name &amp; place of the man on the square?"),)}),
        ("unicode-form", "note", 1, [], {"train": (asked("What does the cafe\u0301 on the square sell?"),)}),
        ("language", "warning", 1, [], {"train": (asked("Wie viele Leute haben das Museum und die Burg nicht besucht?"),)}),
        ("credentials", "error", 1, ["planted"], {"train": (asked("Which bucket does AKIAIOSFODNN7EXAMPLE open?"),)}),
        ("personal", "warning", 1, [], {"train": (asked("Who reads the mail to jane.doe@example.com on the square?"),)}),
        ("balance-class", "warning", 1, [], {"test": (asked(LONG, "list x", schema="schema 9"),)}),
    ],
)  # fmt: skip
def test_a_planted_fault_is_found_and_cleaned_from_train_alone(
    key: str, severity: str, count: int, removed: list[str], planted: Planted
) -> None:
    told = report(**planted)
    finding = found(told, key)
    assert (finding.severity, finding.count) == (severity, count)
    assert sorted(told.removals) == sorted(removed)
    assert finding.remedy
    assert finding.removed == len(removed)


@pytest.mark.parametrize(
    ("split", "other", "says"),
    [
        ("test", TEST_ITEM, "1 of 31 (3.2 %) held-out items: 1 inside test."),
        ("validation", VALIDATION_ITEM, "1 of 31 (3.2 %) held-out items: 1 inside validation."),
        ("validation", TEST_ITEM, "1 of 31 (3.2 %) held-out items: 1 between validation and test."),
    ],
)
@pytest.mark.parametrize(("key", "more"), [("held-duplicates", " ?"), ("near-held-duplicates", " Ok?")])
def test_duplicates_that_are_held_out_are_told_by_where_they_stand(
    key: str, more: str, split: str, other: Example, says: str
) -> None:
    twin = replace(other, id="planted", inputs={"question": other.inputs["question"] + more})
    told = report(**{split: (twin,)})
    assert found(told, key).detail == says
    assert told.removals == {}


def test_the_majority_of_a_contradiction_stays() -> None:
    same = [replace(TRAIN_ITEM, id=f"again-{n}") for n in range(2)]
    told = report(train=(*same, replace(TRAIN_ITEM, id="odd", gold="count else")))
    assert found(told, "contradictions").count == 4
    assert told.removals["odd"].startswith("contradicts train")
    assert set(told.removals) == {"odd", "again-0", "again-1"}  # the repeats go as duplicates, the first one stays


def test_two_spellings_of_one_answer_are_no_contradiction() -> None:
    told = report(train=(asked(LONG, "2", id="a"), asked(LONG, "two", id="b")))
    assert found(told, "contradictions").count == 0
    assert found(told, "spellings").count == 2
    assert told.removals == {}


def test_a_test_item_is_never_removed_whatever_is_wrong_with_it() -> None:
    bad = asked("What does the cafÃ© with key AKIAIOSFODNN7EXAMPLE sell to the man?", "count never")
    told = report(test=(bad, replace(bad, id="again"), replace(bad, id="odd", gold="count else")))
    assert {"mojibake", "credentials", "held-duplicates", "contradictions"} <= {finding.key for finding in told.bad}
    assert told.removals == {}


def test_an_item_with_several_faults_is_removed_once_with_its_first_reason() -> None:
    told = report(train=(asked("What does the cafÃ© with key AKIAIOSFODNN7EXAMPLE sell to the man?"),))
    assert list(told.removals) == ["planted"]
    assert told.removals["planted"].startswith("mojibake")


def test_unusable_golds_and_broken_rows_are_told_with_their_reasons() -> None:
    dataset = replace(
        clean_set(), unusable={"item-3": "does not run: no such table", "item-61": "empty result"},
        broken=(BrokenRow(file="train.jsonl", line=9, why="not JSON"),),
    )  # fmt: skip
    told = examine(TASK, dataset, Measure(chat=None, model="none"))
    assert found(told, "unusable-gold").count == 2
    assert found(told, "broken-rows").specimens[0].place == "train.jsonl:9"
    assert list(told.removals) == ["item-3"]
    assert loader_findings([], clean_set()).removals == {}


def test_what_a_sweep_removes_is_what_the_report_says() -> None:
    planted = {"train": (replace(TRAIN_ITEM, id="again"), replace(TEST_ITEM, id="leak"), asked(LONG, "count never"))}
    assert cleaning(TASK, clean_set(**planted)) == report(**planted).removals


def test_the_findings_do_not_depend_on_the_order_of_the_items() -> None:
    planted = (replace(TRAIN_ITEM, id="again"), replace(TEST_ITEM, id="leak"), asked(LONG, "count never"))
    there, back = clean_set(train=planted), clean_set(train=planted)
    back = replace(back, train=back.train[::-1], test=back.test[::-1])
    counts = [
        {finding.key: finding.count for finding in examine(TASK, data, Measure(chat=None, model="none")).findings}
        for data in (there, back)
    ]
    assert counts[0] == counts[1]
