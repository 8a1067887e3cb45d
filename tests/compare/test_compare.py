"""Comparisons of two item sets, and the file formats they are read from."""

from __future__ import annotations

import html
import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness import stats
from harness.baseline import bless
from harness.compare import as_json, as_markdown, as_text, compare
from harness.compare_formats import inspect_items, load_items
from harness.core import UserError
from harness.items import ItemSet
from tests.gate.material import VERSIONS, item, item_set

OLD = ["right"] * 100 + ["wrong"] * 60 + ["unparsed"] * 40
NEW = ["right"] * 90 + ["truncated"] * 10 + ["right"] * 50 + ["wrong"] * 10 + ["unparsed"] * 40


def test_the_difference_is_b_minus_a_with_mcnemar_and_tango() -> None:
    result = compare(item_set(OLD, name="A"), item_set(NEW, name="B"))
    assert (result.verdict, result.n, result.difference) == ("better", 200, pytest.approx(0.2))
    assert result.p_value == pytest.approx(stats.mcnemar_exact(50, 10))
    assert (result.low, result.high) == pytest.approx(stats.tango_interval(50, 10, 200))
    assert result.detectable == pytest.approx(stats.minimum_detectable_difference(200, 0.3))


def test_flips_are_counted_by_the_reason_of_the_side_that_is_not_right() -> None:
    result = compare(item_set(OLD), item_set(NEW))
    gained, lost = result.flips.reasons()
    assert gained == {"wrong: because wrong": 50}
    assert lost == {"truncated: because truncated": 10}


def test_identical_runs_cannot_be_told_apart_and_no_number_of_items_is_promised() -> None:
    result = compare(item_set(OLD), item_set(OLD))
    assert (result.verdict, result.p_value, result.further_items) == ("cannot tell", 1.0, None)
    assert result.high == pytest.approx(stats.tango_interval(0, 0, 200)[1])


def test_a_small_difference_says_how_many_more_items_are_needed() -> None:
    result = compare(item_set(OLD), item_set(["wrong"] * 4 + OLD[4:]))
    assert result.verdict == "cannot tell"
    assert result.further_items is not None
    assert "more items needed" in as_text(result)
    assert result.n + result.further_items == stats.sample_size_paired(4 / 200, 4 / 200)


def test_where_interval_and_exact_test_disagree_the_items_are_those_of_the_test() -> None:
    a, b = ["right"] * 20 + ["wrong"] * 10, ["wrong"] * 2 + ["right"] * 27 + ["wrong"]
    result = compare(item_set(a), item_set(b))
    assert (result.verdict, result.low > 0, result.p_value > 0.05) == ("cannot tell", True, True)
    assert result.further_items == stats.sample_size_paired(7 / 30, 11 / 30) - 30


def test_clusters_widen_the_interval() -> None:
    def clustered(outcomes: list[str]) -> ItemSet:
        return item_set([], items=tuple(item(n, outcome, cluster=f"db{n // 20}") for n, outcome in enumerate(outcomes)))

    plain, grouped = compare(item_set(OLD), item_set(NEW)), compare(clustered(OLD), clustered(NEW))
    assert grouped.num_clusters == 10
    assert grouped.high - grouped.low > plain.high - plain.low
    assert grouped.p_value > plain.p_value


@pytest.mark.parametrize("part", list(VERSIONS))
def test_differing_versions_are_refused_unless_forced_and_then_said_everywhere(part: str) -> None:
    a, b = item_set(OLD), item_set(NEW, versions={**VERSIONS, part: "other"})
    with pytest.raises(UserError, match=f"{part} version"):
        compare(a, b)
    forced = compare(a, b, force=True)
    for render in (as_text, as_json, as_markdown):
        assert "forced" in render(forced)


@pytest.mark.parametrize(
    ("b", "reason"),
    [
        (item_set(NEW[:150]), "below the limit"),
        (item_set(["unscored"] * 5 + NEW[5:]), "unscored"),
        (item_set(NEW, split="validation"), "split"),
        (item_set(NEW, task="math"), "task"),
        (item_set([]), "unscored"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_the_reason(b: ItemSet, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        compare(item_set(OLD), b)


def test_the_three_renderings_agree_and_hostile_text_is_inert() -> None:
    hostile = "<script>alert(1)</script> | @all \x1b[2J\n# [x](http://evil.example)"
    a = item_set(
        [], items=tuple(item(n, id=f"{n}{hostile}", answer=hostile, why=hostile) for n in range(30)), name=hostile
    )
    b = replace(a, items=tuple(replace(i, value=0.0, outcome="wrong") if n < 20 else i for n, i in enumerate(a.items)))
    result = compare(a, b)
    text, page, body = as_text(result), as_markdown(result), json.loads(as_json(result))
    assert body["verdict"] == result.verdict == "worse"
    assert body["lost"]["count"] == 20
    for number in (
        f"{result.difference:+.4f}",
        f"{result.low:+.4f}",
        f"{result.p_value:.4f}",
        f"{result.detectable:.4f}",
    ):
        assert number in text
        assert number in html.unescape(page)
    assert "\x1b" not in text + page
    assert not re.search(r"<|@|http:|\[", page)


def write_lines(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_plain_jsonl_is_read_with_null_as_unscored(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "score": 1},
        {"id": 7, "score": 0.25, "why": "slot"},
        {"id": "c", "score": None},
        {"id": "d", "score": True},
    ]
    found = load_items(write_lines(tmp_path / "x.jsonl", rows))
    assert [(i.id, i.value, i.outcome) for i in found.items] == [
        ("a", 1.0, "right"),
        ("7", 0.25, "wrong"),
        ("c", None, "unscored"),
        ("d", 1.0, "right"),
    ]


def test_what_harness_score_writes_is_read_by_scorer(tmp_path: Path) -> None:
    rows = [{"id": "a", "scores": {"execution": 1.0, "strict": 0.0}, "why": "correct", "answer": "SELECT 1"}]
    path = write_lines(tmp_path / "x.jsonl", rows)
    assert load_items(path).items[0].value == 1.0
    assert load_items(path, scorer="strict").items[0].value == 0.0
    with pytest.raises(UserError, match="no scorer 'other'"):
        load_items(path, scorer="other")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"id": "a", "score": 1}\n{"id": "a", "score": 0}\n', "appears twice"),
        ('{"id": "a", "score": "1"}\n', "line 1: a score is a number"),
        ('{"id": "a", "score": 1}\n{"id": "b", "sco\n', "line 2: not JSON"),
        ('{"id": "", "score": 1}\n', "`id`"),
        ('{"score": 1}\n', "`id`"),
        ('{"id": "a"}\n', "neither `score` nor `scores`"),
        ("[1]\n", "JSON object is needed"),
        ('{"id": "a", "score": Infinity}\n', "a score is a number"),
        ("", "no rows"),
    ],
)
def test_a_broken_file_is_refused_with_its_line(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(text)
    with pytest.raises(UserError, match=reason):
        load_items(path)


def lm_eval_row(number: int, value: float, chosen: str = "strict-match", text: str = "doc") -> dict[str, Any]:
    return {
        "doc_id": number,
        "doc": {"question": text},
        "target": "42",
        "arguments": {"gen_args_0": {"arg_0": "Q", "arg_1": {}}},
        "resps": [["#### 42"]],
        "filtered_resps": ["42"],
        "filter": chosen,
        "metrics": ["exact_match"],
        "doc_hash": f"{text}{number}",
        "prompt_hash": "p",
        "target_hash": "t",
        "exact_match": value,
    }


def test_lm_eval_samples_are_read_by_metric_and_filter(tmp_path: Path) -> None:
    rows = [lm_eval_row(n, float(n % 2), chosen) for n in range(6) for chosen in ("strict-match", "flexible-extract")]
    rows[1]["exact_match"] = 1.0
    path = write_lines(tmp_path / "samples_gsm8k_2025-01-01.jsonl", rows)
    assert [i.value for i in load_items(path).items] == [0, 1, 0, 1, 0, 1]
    assert load_items(path, scorer="exact_match,flexible-extract").items[0].value == 1.0
    assert load_items(path).items[0].answer == "42"
    with pytest.raises(UserError, match="strict-match, flexible-extract"):
        load_items(path, scorer="exact_match,nope")


def test_lm_eval_rows_of_other_documents_do_not_pair(tmp_path: Path) -> None:
    a = load_items(write_lines(tmp_path / "samples_a.jsonl", [lm_eval_row(n, 1.0, text="one") for n in range(5)]))
    b = load_items(write_lines(tmp_path / "samples_b.jsonl", [lm_eval_row(n, 1.0, text="two") for n in range(5)]))
    with pytest.raises(UserError, match="0 items are in both"):
        compare(a, b)


def test_results_made_elsewhere_compare_with_a_note_on_versions(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "theirs.jsonl", [{"id": f"q{n}", "score": n % 2} for n in range(200)])
    result = compare(item_set(OLD), replace(load_items(path), task="sql", split="test"))
    assert any("not known on both sides" in warning for warning in result.warnings)


def test_a_blessed_baseline_is_read(tmp_path: Path) -> None:
    path = bless(item_set(OLD), tmp_path / "sql.json")
    assert compare(load_items(path), item_set(NEW)).verdict == "better"


def inspect_sample(key: Any, value: Any, **more: Any) -> SimpleNamespace:
    score = SimpleNamespace(value=value, answer="x")
    output = SimpleNamespace(stop_reason=more.pop("stop_reason", "stop"))
    return SimpleNamespace(
        **({"id": key, "epoch": 1, "scores": {"match": score}, "error": None, "output": output} | more)
    )


def inspect_log(*samples: SimpleNamespace) -> SimpleNamespace:
    return SimpleNamespace(samples=list(samples), eval=SimpleNamespace(task="arc"))


def test_inspect_samples_become_items() -> None:
    log = inspect_log(
        inspect_sample(1, "C"),
        inspect_sample(2, "I", stop_reason="max_tokens"),
        inspect_sample("3", "P"),
        inspect_sample(4, "N"),
        inspect_sample(5, 0.75),
        inspect_sample(6, "C", error=SimpleNamespace(message="boom")),
        inspect_sample(7, True),
    )
    assert [(i.id, i.value, i.outcome) for i in inspect_items(log, "log").items] == [
        ("1", 1.0, "right"),
        ("2", 0.0, "truncated"),
        ("3", 0.5, "wrong"),
        ("4", 0.0, "unparsed"),
        ("5", 0.75, "wrong"),
        ("6", None, "unscored"),
        ("7", 1.0, "right"),
    ]


def test_inspect_epochs_are_averaged_and_odd_values_refused() -> None:
    found = inspect_items(inspect_log(inspect_sample(1, "C"), inspect_sample(1, "I")), "log")
    assert [(i.value, i.outcome) for i in found.items] == [(0.5, "wrong")]
    with pytest.raises(UserError, match="C, P, I, N or a number"):
        inspect_items(inspect_log(inspect_sample(1, "excellent")), "log")
    with pytest.raises(UserError, match="no scorer 'other'"):
        inspect_items(inspect_log(inspect_sample(1, "C")), "log", "other")
    with pytest.raises(UserError, match="no scored samples"):
        inspect_items(SimpleNamespace(samples=None, eval=SimpleNamespace(task="arc")), "log")


def test_an_inspect_log_that_did_not_finish_is_refused() -> None:
    log = SimpleNamespace(**vars(inspect_log(inspect_sample(1, "C"))), status="cancelled")
    with pytest.raises(UserError, match="status is 'cancelled'"):
        inspect_items(log, "log")


def test_without_inspect_ai_the_error_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "inspect_ai", None)
    monkeypatch.setitem(sys.modules, "inspect_ai.log", None)
    path = tmp_path / "x.eval"
    path.write_bytes(b"PK")
    with pytest.raises(UserError, match=r"tunebench\[inspect\]"):
        load_items(path)


@pytest.mark.parametrize("make", [lambda path: path, lambda path: path.mkdir() or path])
def test_a_path_that_is_nothing_of_ours_is_refused(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    with pytest.raises(UserError, match="no run, sweep or result file"):
        load_items(make(tmp_path / "nowhere"))
