"""What a report is made of. Goes in: a sweep folder. Comes out: one frozen `ReportData`, all that the report reads.

Nothing else in this package touches the store, so a report can be made (and tested) from plain DataFrames. The columns
are those of `harness.store.Sweep`: `runs` has one row a run, `scores` one row a (run, split, example,
scorer), `examples` one row an item. Missing numbers are NaN and stay missing: nothing here turns one into 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from harness.store import encodable

METHOD_WORDS = {"base": "base", "lora": "LoRA", "full": "full"}
TRAINED = ("lora", "full")
SETTINGS = (
    "data",
    "model",
    "method",
    "rank",
    "alpha",
    "dropout",
    "learning_rate",
    "schedule",
    "epochs",
    "batch_size",
    "prompt_style",
    "train_size",
    "curation",
    "few_shot",
)  # with the seed, what tells two runs of a sweep apart

LOG_COLUMNS = ["step", "loss", "learning_rate", "gradient_norm", "tokens", "tokens_per_second"]
TEXT_COLUMNS = (
    "run",
    "label",
    "method",
    "prompt_style",
    "status",
    "failed_stage",
    "failed_reason",
    "sample_route",
    "note",
)
NUMBER_COLUMNS = (
    *("rank", "alpha", "dropout", "learning_rate", "epochs", "batch_size", "seed", "train_size", "few_shot"),
    *(f"{split}_{part}" for split in ("validation", "test") for part in ("score", "low", "high", "n")),
    *("right", "wrong", "unparsed", "truncated", "unscored"),
    *("trainable_parameters", "checkpoint_bytes", "train_seconds", "train_tokens", "train_tokens_per_second"),
    *("peak_memory_bytes", "final_loss", "sample_seconds", "sample_tokens_per_second"),
)


@dataclass(frozen=True, kw_only=True)
class EarlierSweep:
    """The best run of another sweep of the same task, with its scores by item. `differs` names what is not the same
    (task version, data revision, scorer): a difference across such a gap is not a difference between models."""

    name: str
    finished: str
    label: str
    model: str
    split: str
    score: float
    low: float
    high: float
    n: int
    items: Mapping[str, float]
    differs: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """A sweep as the report sees it. `prompts` maps a style to example id -> exact prompt text; `logs` a run to its
    training log; `certificate` is None when the sweep was never certified, `hosted` (what hosted models were asked and
    cost) when none was asked. `audits` are those of judges on this sweep's answers."""

    info: Mapping[str, Any]
    runs: pd.DataFrame
    scores: pd.DataFrame
    examples: pd.DataFrame
    prompts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    logs: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    certificate: Mapping[str, Any] | None = None
    earlier: tuple[EarlierSweep, ...] = ()
    hosted: Mapping[str, Any] | None = None
    audits: tuple[Mapping[str, Any], ...] = ()

    @property
    def scorer(self) -> str:
        """The scorer that decides."""
        return str(self.info.get("scorer", ""))

    @property
    def primary(self) -> pd.DataFrame:
        """The rows of `scores` by the deciding scorer."""
        return self.scores[self.scores["scorer"] == self.scorer]

    @property
    def split(self) -> str:
        """The split that runs are compared on in words: "test" once two runs have a test score, else "validation"."""
        return "test" if int(self.runs["test_score"].notna().sum()) >= 2 else "validation"

    def items(self, run: str, split: str) -> pd.Series[float]:
        """The deciding score of each item of one run, by example id; NaN where it was not scored."""
        rows = self.primary
        rows = rows[(rows["run"] == run) & (rows["split"] == split)]
        return pd.Series(rows["value"].astype(float).to_numpy(), index=rows["example_id"].to_numpy(), dtype=float)

    def outcomes(self, run: str, split: str) -> pd.DataFrame:
        """The deciding rows (outcome, why, ...) of one run, by example id."""
        rows = self.primary
        return rows[(rows["run"] == run) & (rows["split"] == split)].set_index("example_id")

    def clusters(self, example_ids: pd.Index[Any]) -> list[str]:
        """The cluster of each item; "" where an item stands alone."""
        known = self.examples["cluster"].to_dict() if "cluster" in self.examples else {}
        return [str(known.get(example_id) or "") for example_id in example_ids]


def load_report_data(folder: Path) -> ReportData:
    """Everything the report needs of the sweep in `folder`. Raises UserError when it is no sweep folder."""
    from harness.store import Sweep

    sweep = Sweep(folder)
    info, runs = sweep.info, typed_runs(sweep.runs())
    return ReportData(
        info=info,
        runs=runs,
        scores=sweep.scores(),
        examples=sweep.examples(),
        prompts={str(style): sweep.prompts(str(style)) for style in runs["prompt_style"].dropna().unique()},
        logs={
            str(run): sweep.train_log(str(run)).reindex(columns=LOG_COLUMNS)
            for run in runs.loc[runs["method"].isin(TRAINED), "run"]
        },
        certificate=sweep.certificate(),
        earlier=_earlier_sweeps(folder, info),
        hosted=sweep.hosted(),
        audits=tuple(sweep.audits()),
    )


def encodable_data(data: ReportData) -> ReportData:
    """`data` with every text fit for UTF-8: pandas' strings, Parquet and files refuse the lone surrogates a model may
    write. Only columns of Python objects can hold one."""
    return replace(
        data,
        info=encodable(data.info),
        runs=_encodable_table(data.runs),
        scores=_encodable_table(data.scores),
        examples=_encodable_table(data.examples),
        prompts=encodable(data.prompts),
        certificate=encodable(data.certificate),
        hosted=encodable(data.hosted),
        audits=tuple(encodable(audit) for audit in data.audits),
    )


def _encodable_table(table: pd.DataFrame) -> pd.DataFrame:
    columns = [name for name in table.columns if table[name].dtype == object]
    fixed = {name: pd.Series([encodable(value) for value in table[name]], index=table.index) for name in columns}
    return table.assign(**fixed)


def typed_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """`runs` with every column the report reads, numbers as numbers: a column of None alone has no type of its own."""
    table = runs.reindex(columns=[*dict.fromkeys([*runs.columns, *TEXT_COLUMNS, *NUMBER_COLUMNS])])
    for column in NUMBER_COLUMNS:
        table[column] = pd.to_numeric(table[column])
    return table


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table as dicts."""
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def is_missing(value: Any) -> bool:
    """True for None, NaN and NaT: what a DataFrame uses for "not there"."""
    return value is None or value is pd.NaT or (isinstance(value, float) and math.isnan(value))


def _earlier_sweeps(folder: Path, info: Mapping[str, Any]) -> tuple[EarlierSweep, ...]:
    """The best runs of the other sweeps of the same task beside `folder`, newest first."""
    from harness.store import Sweep

    found = []
    for mark in sorted(folder.resolve().parent.glob("*/sweep.json")):
        if mark.parent == folder.resolve():
            continue
        other = Sweep(mark.parent)
        if other.info.get("task") == info.get("task"):
            best = earlier_sweep(other.info, other.runs(), other.scores(), info)
            found += [best] if best is not None else []
    return tuple(sorted(found, key=lambda sweep: sweep.finished, reverse=True))


def earlier_sweep(
    info: Mapping[str, Any], runs: pd.DataFrame, scores: pd.DataFrame, ours: Mapping[str, Any]
) -> EarlierSweep | None:
    """The best run of another sweep, and in what its evaluation differs from `ours`; None without a score."""
    known = runs[runs["validation_score"].notna()] if len(runs) else runs
    if known.empty:
        return None
    finalists = known[known["test_score"].notna()]
    split = "validation" if finalists.empty else "test"
    best = (known if finalists.empty else finalists).sort_values("validation_score", ascending=False).iloc[0]
    rows = scores[
        (scores["run"] == best["run"]) & (scores["split"] == split) & (scores["scorer"] == info.get("scorer"))
    ]
    return EarlierSweep(
        name=str(info.get("name", "")),
        finished=str(info.get("finished") or ""),
        label=str(best["label"]),
        model=str(best["model"]),
        split=split,
        score=float(best[f"{split}_score"]),
        low=float(best[f"{split}_low"]),
        high=float(best[f"{split}_high"]),
        n=int(best[f"{split}_n"]),
        items=dict(zip(rows["example_id"], rows["value"].astype(float), strict=True)),
        differs=_differences(info, ours),
    )


def _differences(info: Mapping[str, Any], ours: Mapping[str, Any]) -> tuple[str, ...]:
    names = {"task version": ("task_version",), "scorer": ("scorer",), "data": ("data", "name"),
             "data revision": ("data", "revision")}  # fmt: skip
    return tuple(word for word, path in names.items() if _at(info, path) != _at(ours, path))


def _at(info: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = info
    for name in path:
        value = (value or {}).get(name)
    return value
