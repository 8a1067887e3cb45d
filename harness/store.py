"""The only code that knows the layout of results/. In: records of finished work. Out: the same, and DataFrames.

    results/<sweep>/sweep.json examples.jsonl prompts/<style>.jsonl certificate.json hosted.json audits/ lock
    results/<sweep>/<run>/spec.json train.jsonl checkpoint/ trained.json | completions.jsonl sampling.json |
                          scores.jsonl judged.jsonl | done.json, and failure.json of a run that ended early

Whole files are written beside, fsynced and renamed; lines are appended and fsynced in batches, and a torn last line
(killed while writing) is cut off at the next opening. done.json is written last, so a run that died half way is
continued, not half counted. results/README.md explains every column.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from harness.core import (
    Completion,
    Example,
    Lora,
    RunSpec,
    Split,
    UserError,
    digest,
    hosted_name,
    method_name,
    spec_from_json,
    to_json,
)
from harness.stats import clustered_wilson_interval, mean_interval

if TYPE_CHECKING:
    import pandas as pd

METHOD_TRAINS = ("lora", "full")


def write_json(path: Path, value: Any) -> None:
    """Write `value` to `path` so that a reader sees the old file or the whole new one, also after a power cut."""
    write_text(path, json.dumps(to_json(value), indent=1, ensure_ascii=True) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` likewise; a lone surrogate, which UTF-8 cannot hold, becomes its escape."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as scratch:
        scratch.write_bytes(text.encode("utf-8", "backslashreplace"))


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A file beside `path` to fill: once filled it is on the disk and takes its name; when filling fails, `path` stays."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield scratch
        sync(scratch)
        os.replace(scratch, path)
        sync(path.parent)
    finally:
        scratch.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Force a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_json(path: Path) -> Any:
    """The JSON value in `path`, or None when there is no such file."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def encodable(value: Any) -> Any:
    """`value` with the lone surrogates in its texts as escapes: a model may write them, UTF-8 and Arrow refuse them."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, Mapping):
        return {encodable(key): encodable(item) for key, item in value.items()}
    return [encodable(item) for item in value] if isinstance(value, list | tuple) else value


def _framed(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with every text fit for a DataFrame. Rows that are fit already, nearly all, are not copied."""

    def fit(row: dict[str, Any]) -> dict[str, Any]:
        try:
            json.dumps(row, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            return dict(encodable(row))
        return row

    return [fit(row) for row in rows]


def append_lines(path: Path, rows: Iterable[Any]) -> None:
    """Append one JSON line a row and force them to the disk. A torn last line of an earlier death is cut off first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _cut_torn_line(path)
    with path.open("a", encoding="utf-8") as stream:
        for row in rows:
            stream.write(json.dumps(to_json(row), ensure_ascii=True) + "\n")
        stream.flush()
        os.fsync(stream.fileno())


def write_lines(path: Path, rows: Iterable[Any]) -> None:
    """Replace `path` by one JSON line a row, so that a reader sees the old file or the whole new one."""
    write_text(path, "".join(json.dumps(to_json(row), ensure_ascii=True) + "\n" for row in rows))


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Every whole line of a JSONL file ([] when missing); a torn last one is left out."""
    if not path.is_file():
        return []
    body = path.read_bytes()
    end = body.rfind(b"\n") + 1
    return [json.loads(line) for line in body[:end].splitlines() if line.strip()]


def _cut_torn_line(path: Path) -> None:
    if path.is_file() and (size := path.stat().st_size):
        with path.open("rb+") as stream:
            stream.seek(max(0, size - 1))
            if stream.read(1) != b"\n":
                stream.seek(0)
                stream.truncate(stream.read().rfind(b"\n") + 1)


def run_name(spec: RunSpec, versions: Mapping[str, str]) -> str:
    """A readable prefix and 8 hex digits of everything that decides the run's numbers. Never parsed."""
    return f"{re.sub(r'[^A-Za-z0-9.+-]+', '_', label(spec))[:60]}-{digest([to_json(spec), dict(versions)])}"


def label(spec: RunSpec) -> str:
    """A short name for people: what the run is, without what all runs of a sweep usually share."""
    words: list[str] = [hosted_name(spec.model) or method_name(spec.method)]
    if isinstance(spec.method, Lora):
        words.append(f"r{spec.method.rank}")
    if spec.training is not None:
        words.append(f"lr {spec.training.learning_rate:g}")
    if spec.prompt_style != "instruct":
        words.append(spec.prompt_style)
    if spec.train_size is not None and spec.training is not None:
        words.append(f"n{spec.train_size}")
    if spec.curation != "raw":
        words.append(spec.curation)
    if spec.few_shot:
        words.append(f"{spec.few_shot}-shot")
    if spec.seed:
        words.append(f"seed {spec.seed}")
    return " ".join(words)


def labels(specs: Sequence[RunSpec]) -> list[str]:
    """A label for each run of a sweep: `label`, and every other setting that has several values among these runs."""
    trained = [spec for spec in specs if spec.training is not None]
    lora = [spec.method for spec in trained if isinstance(spec.method, Lora)]
    found = []
    for spec in specs:
        words = [label(spec)]
        if len({other.model for other in specs}) > 1:
            words.append(spec.model.rstrip("/").rpartition("/")[2])
        if isinstance(spec.method, Lora):
            words += _differing(spec.method, lora)
        if spec.training is not None:
            words += _differing(spec.training, [other.training for other in trained])
        found.append(" ".join(words))
    return found


def _differing(value: Any, among: Sequence[Any]) -> list[str]:
    """Words for the fields of `value` that differ among its peers and that `label` leaves out."""
    words = []
    for key, own in asdict(value).items():
        others = {getattr(other, key) for other in among}
        if key == "alpha":  # twice the rank at every rank is one setting
            others = {other.alpha / other.rank for other in among}
        if len(others) > 1 and key not in ("rank", "learning_rate"):
            text = "+".join(own) if isinstance(own, tuple) else f"{own:g}" if isinstance(own, float) else str(own)
            words.append(f"{key.replace('_', ' ')} {text.replace('_proj', '')}")
    return words


class Run:
    """One run's directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.name

    @property
    def spec(self) -> RunSpec:
        """What the run is, as spec.json says."""
        return spec_from_json(read_json(self.folder / "spec.json")["spec"])

    @property
    def checkpoint(self) -> Path | None:
        """The trained checkpoint, or None for a base run."""
        path = self.folder / "checkpoint"
        return path if path.is_dir() else None

    def trained(self) -> dict[str, Any] | None:
        """The trainer's summary, None until training finished."""
        found: dict[str, Any] | None = read_json(self.folder / "trained.json")
        return found

    def failure(self) -> dict[str, Any] | None:
        """Stage and reason of a failed run."""
        found: dict[str, Any] | None = read_json(self.folder / "failure.json")
        return found

    def fail(self, stage: str, reason: str, **more: Any) -> None:
        """Record that the run ended early: it stays a row of every table."""
        write_json(self.folder / "failure.json", {"stage": stage, "reason": reason, **more})

    def completions(self, split: str | None = None) -> list[Completion]:
        """What was sampled so far, the first answer of an item counting."""
        seen: dict[tuple[str, str], Completion] = {}
        for row in read_lines(self.folder / "completions.jsonl"):
            completion = Completion(**row)
            seen.setdefault((completion.split, completion.example_id), completion)
        return [c for c in seen.values() if split is None or c.split == split]

    def scores(self, split: str | None = None) -> list[dict[str, Any]]:
        """Score rows so far: example_id, split, outcome, finish, scores {scorer: {value, why, answer, evidence}}."""
        seen: dict[tuple[str, str], dict[str, Any]] = {}
        for row in read_lines(self.folder / "scores.jsonl"):
            seen.setdefault((row["split"], row["example_id"]), row)
        for row in self.judged(split):
            item = seen.get((row["split"], row["example_id"]))
            if item is not None:
                item["scores"] = {**item["scores"], row["scorer"]: row["score"]}
        return [row for row in seen.values() if split is None or row["split"] == split]

    def judged(self, split: str | None = None) -> list[dict[str, Any]]:
        """The judges' verdicts: split, example_id, scorer, key, score. The last one of an item and judge counts: one
        without a verdict is asked again later."""
        last: dict[tuple[str, str, str], dict[str, Any]] = {}
        for row in read_lines(self.folder / "judged.jsonl"):
            last[(row["split"], row["example_id"], row["scorer"])] = row
        return [row for row in last.values() if split is None or row["split"] == split]

    def forget_failed_answers(self, split: str) -> None:
        """Take out the items of `split` that were not answered (finish "error"), so that they are asked again."""
        failed = {c.example_id for c in self.completions(split) if c.finish == "error"}
        if not failed:
            return
        for name in ("scores.jsonl", "completions.jsonl"):  # a death between the two leaves nothing scored unasked
            rows = read_lines(self.folder / name)
            kept = [row for row in rows if row["split"] != split or row["example_id"] not in failed]
            write_lines(self.folder / name, kept)


class Sweep:
    """One sweep's folder: its runs, items and tables."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def info(self) -> dict[str, Any]:
        """sweep.json."""
        found = read_json(self.folder / "sweep.json")
        if found is None:
            raise UserError(f"{self.folder} holds no sweep (no sweep.json); `harness sweep TASK` makes one")
        return dict(found)

    def run_folders(self) -> list[Run]:
        """The runs in the order of the plan."""
        return [Run(self.folder / name) for name in self.info["runs"] if (self.folder / name / "spec.json").is_file()]

    def write_examples(self, examples: Iterable[tuple[str, Example]]) -> None:
        """Keep the items that runs are judged on, as (split, example)."""
        path = self.folder / "examples.jsonl"
        known = {row["id"] for row in read_lines(path)}
        append_lines(path, ({"split": s, **to_json(e)} for s, e in examples if e.id not in known))

    def write_prompts(self, style: str, prompts: Mapping[str, str]) -> None:
        """Keep the exact prompt texts of one prompt style."""
        path = self.folder / "prompts" / f"{style}.jsonl"
        known = {row["id"] for row in read_lines(path)}
        append_lines(path, ({"id": i, "prompt": p} for i, p in prompts.items() if i not in known))

    def prompts(self, style: str) -> dict[str, str]:
        """Example id -> exact prompt text of one style."""
        return {row["id"]: row["prompt"] for row in read_lines(self.folder / "prompts" / f"{style}.jsonl")}

    def certificate(self) -> dict[str, Any] | None:
        """certificate.json, None when the sweep was never certified."""
        found: dict[str, Any] | None = read_json(self.folder / "certificate.json")
        return found

    def hosted(self) -> dict[str, Any] | None:
        """hosted.json: what hosted models (a judge, a row of the sweep) were asked and cost; None when none was."""
        found: dict[str, Any] | None = read_json(self.folder / "hosted.json")
        return found

    def audits(self) -> list[dict[str, Any]]:
        """The audits of judges on this sweep's answers, as `harness audit-judge` kept them."""
        return [read_json(path) for path in sorted((self.folder / "audits").glob("*.json"))]

    def keep_audit(self, judge: str, body: Mapping[str, Any]) -> Path:
        """Keep the audit of `judge` on this sweep's answers; the path of its file."""
        path = self.folder / "audits" / f"{re.sub(r'[^A-Za-z0-9.+-]+', '_', judge)[:60]}-{digest(judge)}.json"
        write_json(path, body)
        return path

    def items(self) -> dict[str, tuple[Split, Example]]:
        """Example id -> (split, example) of the items that runs are judged on."""
        found: dict[str, tuple[Split, Example]] = {}
        for row in read_lines(self.folder / "examples.jsonl"):
            split = row.pop("split")
            found[row["id"]] = (split, Example(**{**row, "tags": tuple(row["tags"])}))
        return found

    def examples(self) -> pd.DataFrame:
        """One row an item, indexed by example_id: split, inputs, gold, cluster, tags, meta."""
        import pandas as pd

        frame = pd.DataFrame(
            _framed(read_lines(self.folder / "examples.jsonl")),
            columns=["id", "split", "inputs", "gold", "meta", "cluster", "tags"],
        )
        return frame.rename(columns={"id": "example_id"}).set_index("example_id")

    def runs(self) -> pd.DataFrame:
        """One row a run, failed and pending ones included; results/README.md explains the columns."""
        import pandas as pd

        scorer = self.info["scorer"]
        folders = self.run_folders()
        frame = pd.DataFrame(_framed(_run_row(run, scorer) for run in folders))
        if folders:
            frame["label"] = labels([run.spec for run in folders])
        if "test_n" in frame:
            frame["finalist"] = frame["test_n"].notna()
        return frame

    def scores(self) -> pd.DataFrame:
        """One row for each run, split, item and scorer. An unscored value is NaN."""
        import pandas as pd

        meta = {row["id"]: row for row in read_lines(self.folder / "examples.jsonl")}
        rows = []
        for run in self.run_folders():
            texts = {(c.split, c.example_id): c for c in run.completions()}
            for row in run.scores():
                completion = texts.get((row["split"], row["example_id"]))
                item = meta.get(row["example_id"], {})
                shared = {
                    "run": run.name,
                    "split": row["split"],
                    "example_id": row["example_id"],
                    "cluster": item.get("cluster") or row["example_id"],
                    "tags": item.get("tags", []),
                    "outcome": row["outcome"],
                    "finish": row["finish"],
                    "text": completion.text if completion else "",
                    "num_tokens": completion.num_tokens if completion else None,
                    "latency_s": completion.latency_s if completion else None,
                }
                for scorer, score in row["scores"].items():
                    value = float("nan") if score["value"] is None else score["value"]
                    rows.append({**shared, "scorer": scorer, **score, "value": value})
        columns = [
            "run",
            "split",
            "example_id",
            "cluster",
            "tags",
            "outcome",
            "finish",
            "text",
            "num_tokens",
            "latency_s",
        ]
        return pd.DataFrame(_framed(rows), columns=[*columns, "scorer", "value", "why", "answer", "evidence"])

    def train_log(self, run: str) -> pd.DataFrame:
        """One row an optimizer step of one run (empty for a base run)."""
        import pandas as pd

        return pd.DataFrame(read_lines(self.folder / run / "train.jsonl"))

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder for this process; the kernel lets go when it dies. Raises UserError while another holds it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("a+") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                stream.seek(0)
                raise UserError(
                    f"{self.folder} is in use by process {stream.read().strip() or '?'}: wait for it, or stop it first"
                ) from None
            _sign(stream)
            yield


def _sign(stream: IO[str]) -> None:
    stream.truncate(0)
    stream.write(str(os.getpid()))
    stream.flush()


def split_summary(run: Run, split: str, scorer: str) -> dict[str, Any] | None:
    """Mean, 95 % interval and outcome counts of one split; None when nothing was scored. Asserts the accounting.

    Items of one cluster are not independent: 0/1 scores get Wilson's interval at the effective n, others Student's.
    """
    rows = run.scores(split)
    if not rows:
        return None
    values = [row["scores"][scorer]["value"] for row in rows]
    known = {row["id"]: row["cluster"] for row in read_lines(run.folder.parent / "examples.jsonl")}
    graded = [value for value in values if value is not None]
    clusters = [known.get(row["example_id"]) for row in rows]
    counts = dict.fromkeys(("right", "wrong", "unparsed", "truncated", "unscored"), 0)
    for row in rows:
        counts[row["outcome"]] += 1
    assert sum(counts.values()) == len(rows), "right + wrong + unparsed + truncated + unscored = total"
    mean = sum(graded) / len(graded) if graded else None
    low, high = _interval(values, clusters) if graded else (None, None)
    return {"score": mean, "low": low, "high": high, "n": len(graded), **counts}


def _interval(values: Sequence[float | None], clusters: Sequence[str | None]) -> tuple[float | None, float | None]:
    if all(value in (0.0, 1.0, None) for value in values):
        return clustered_wilson_interval(values, clusters)
    try:
        low, high = mean_interval(values, clusters)
    except ValueError:  # one graded item or cluster has no error bar
        return None, None
    return max(0.0, low), min(1.0, high)


def _run_row(run: Run, scorer: str) -> dict[str, Any]:
    spec, trained, failure = run.spec, run.trained() or {}, run.failure()
    hosted = hosted_name(spec.model) is not None
    sampling = read_json(run.folder / "sampling.json") or {}
    done = read_json(run.folder / "done.json")
    lora = spec.method if isinstance(spec.method, Lora) else None
    training = asdict(spec.training) if spec.training else {}
    row: dict[str, Any] = {
        "run": run.name,
        "label": label(spec),
        **{key: getattr(spec, key) for key in ("task", "data", "model")},
        "method": "hosted" if hosted else method_name(spec.method),
        "rank": lora.rank if lora else None,
        "alpha": lora.alpha if lora else None,
        "dropout": lora.dropout if lora else None,
        **{key: training.get(key) for key in ("learning_rate", "schedule", "epochs", "batch_size")},
        **{key: getattr(spec, key) for key in ("prompt_style", "seed", "train_size", "curation", "few_shot")},
        "status": "failed" if failure else "done" if done else "pending",
        "failed_stage": failure["stage"] if failure else None,
        "failed_reason": failure["reason"] if failure else None,
        "scorer": scorer,
    }
    for split in ("validation", "test"):
        summary = split_summary(run, split, scorer) or {}
        row |= {f"{split}_{key}": summary.get(key) for key in ("score", "low", "high", "n")}
        if split == "validation":
            row |= {key: summary.get(key) for key in ("right", "wrong", "unparsed", "truncated", "unscored")}
    keys = ("trainable_parameters", "checkpoint_bytes", "train_seconds", "peak_memory_bytes", "final_loss")
    row |= {key: trained.get(key) for key in keys}
    row["train_tokens"], row["train_tokens_per_second"] = trained.get("tokens"), trained.get("tokens_per_second")
    row["sample_seconds"], row["sample_tokens_per_second"] = sampling.get("seconds"), sampling.get("tokens_per_second")
    row["sample_route"] = sampling.get("route")
    row["note"] = "; ".join([*trained.get("notes", []), *sampling.get("notes", [])])
    if spec.training is None and not hosted:
        row |= {"trainable_parameters": 0, "checkpoint_bytes": 0, "train_seconds": 0.0}
    return row
