"""The axis curation: planned, named, taken from what is left, and answered in the report with its learning curve."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pytest

from harness.core import Base, UserError, method_name
from harness.curate import axis
from harness.plan import axes, plan
from harness.prepare import SweepRequest, data_request
from harness.report.figures import figures
from harness.report.finding_data import train_size
from harness.store import label
from harness.tokens import training_items
from tests.curate.planted import TASK, clean_set
from tests.curate.test_planted_faults import TRAIN_ITEM, asked
from tests.report.synthetic import make_report_data


class Ids:
    """A chat format that only keeps ids apart."""

    def example(self, id: str, messages: object, answer: str) -> Any:
        return cast(Any, type("Item", (), {"id": id, "prompt_ids": (1,), "answer_ids": (2,)})())


def test_the_axis_multiplies_trained_runs_and_leaves_the_base_alone() -> None:
    specs = plan(axes({"train_size": [100, 300], "curation": ["raw", "clean"], "methods": ["base", "lora"]}))
    told = [(method_name(s.method), s.train_size, s.curation) for s in specs if not isinstance(s.method, Base)]
    assert told == [("lora", size, way) for size in (100, 300) for way in ("raw", "clean")]
    assert [spec.curation for spec in specs if isinstance(spec.method, Base)] == ["raw"]
    assert len({label(spec) for spec in specs}) == len(specs)


def test_an_unknown_way_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'clean'"):
        axes({"curation": ["cleaned"]})


@pytest.mark.parametrize(("ways", "size"), [(["raw"], 300), (["raw", "clean"], None)])
def test_a_sweep_on_clean_data_loads_the_whole_training_split(ways: list[str], size: int | None) -> None:
    request = SweepRequest(axes=axes({"train_size": [100, 300], "curation": ways}), folder=Path("nowhere"))
    assert data_request(request).train_size == size


def test_a_clean_run_is_as_large_as_a_raw_one_and_holds_nothing_that_was_removed() -> None:
    data = clean_set(train=(replace(TRAIN_ITEM, id="again"), asked("Who came?", "count never", id="bad")))
    data = replace(data, train=data.train[::-1], removed={"again": "repeats", "bad": "nonsense"})
    (raw, clean) = plan(axes({"train_size": [5], "curation": ["raw", "clean"], "methods": ["full"]}))
    items = {spec.curation: training_items(TASK, data, spec, cast(Any, Ids()))[0] for spec in (raw, clean)}
    assert [item.id for item in items["raw"]][:2] == ["bad", "again"]
    assert not {"bad", "again"} & {item.id for item in items["clean"]}
    assert len(items["raw"]) == len(items["clean"]) == 5


def test_the_removals_are_looked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEBENCH_CACHE", str(tmp_path))
    data = clean_set(train=(replace(TRAIN_ITEM, id="again"),))
    first = axis.removals(TASK, data)
    assert list(first) == ["again"]
    monkeypatch.setattr(axis, "cleaning", lambda task, dataset: pytest.fail("looked again"))
    assert axis.removals(TASK, data) == first
    told = axis.summary(replace(data, removed=first), [None, 20, 41])
    assert told == {"removed": 1, "reasons": {"repeats": 1}, "among_first": {"20": 0, "41": 1}}


def test_the_report_says_what_size_and_curation_do() -> None:
    data = make_report_data(num_items=200)
    runs = data.runs[(data.runs["method"] == "lora") & (data.runs["rank"] == 16) & (data.runs["learning_rate"] == 1e-3)]
    raw = runs[(runs["seed"] == 0) & (runs["prompt_style"] == "instruct") & runs["train_size"].isin([200, 600, 2000])]
    clean = raw.assign(run=raw["run"] + "-clean", label=raw["label"] + " clean", curation="clean", finalist=False)
    scores = data.scores[data.scores["run"].isin(raw["run"])]
    better = scores.assign(run=scores["run"] + "-clean", value=1.0, outcome="right")
    clean = clean.assign(validation_score=1.0, validation_low=0.99, validation_high=1.0)
    info = {
        **data.info,
        "data": {
            "sizes": {"train": 2000},
            "curation": {"removed": 40, "reasons": {"repeats": 40}, "among_first": {"200": 3}},
        },
    }
    both = replace(data, info=info, runs=pd.concat([data.runs, clean]), scores=pd.concat([data.scores, better]))
    finding = train_size(both)
    assert finding is not None
    assert "cleaning helps at 200 items" in finding.verdict
    assert {row["series"] for row in finding.rows} == {"raw data", "clean data"}
    assert [number.name for number in finding.numbers][:2] == [
        "most over fewest training items",
        "clean over raw, 200 items",
    ]
    assert any(
        "leaves out 40 of 2,000" in sentence and "3 of the first 200" in sentence for sentence in finding.sentences
    )
    assert max(row["train_size"] for row in finding.rows if row["series"] == "clean data") == 1960
    assert "clean data" in figures(both, [finding])["train-size"].svg


def test_a_sweep_of_one_size_and_one_way_has_no_such_question() -> None:
    assert train_size(make_report_data(num_items=50, grid="small")) is None
