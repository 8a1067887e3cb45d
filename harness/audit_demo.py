"""`make judge-demo`: a hosted judge from server to verdict, without a key. In: a results folder. Out: an audit, printed.

A local `vllm serve` of the built-in model is asked about SQL answers: those of a sweep where there is one, else gold and
wrong answers of the built-in data. A model of 135 M parameters is a coin with a preference; the audit is to say so.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.audit import NUM_CONSTRUCTED, answers_of_runs, as_form, constructed_answers, sampled
from harness.core import DataRequest, UserError
from harness.hosted import call_log
from harness.models import DEFAULT_MODEL, resolve
from harness.registry import load_task

if TYPE_CHECKING:
    from harness.registry import judges

TASK = "sql"


def demo(results: Path, run: Path | None, count: int, show: Callable[[str], None]) -> None:
    """Start the server, judge, audit, print, and keep audit.json and audit.md under `results`/judge-demo."""
    from harness.registry import judges

    started = time.monotonic()
    items = sampled(_answers(results, run, show), count)
    target = results / "judge-demo"
    target.mkdir(parents=True, exist_ok=True)
    show("Starting vLLM with the built-in model; about 40 s on a CPU.")
    with (
        tempfile.TemporaryDirectory() as cache,
        judges.local_server(resolve(DEFAULT_MODEL).folder, name=DEFAULT_MODEL, log=target / "server.log") as base_url,
        call_log(target / "hosted.log"),
    ):
        audit = judges.judge_demo(
            items, base_url=base_url, model=DEFAULT_MODEL, cache_dir=Path(cache), rubric=TASK, show=show
        )
    (target / "audit.json").write_text(as_form(audit, "json"), encoding="utf-8", errors="backslashreplace")
    (target / "audit.md").write_text(audit.markdown(), encoding="utf-8", errors="backslashreplace")
    show(f"{time.monotonic() - started:.0f} s. The same audit as text and JSON: {target}")
    show(
        "The same for GPT-4: export OPENAI_API_KEY=... and `harness audit-judge sql --judge gpt-4o --run results/SWEEP`."
    )


def _answers(results: Path, run: Path | None, show: Callable[[str], None]) -> Sequence[judges.JudgeItem]:
    task = load_task(TASK)
    for path in [run] if run else _sweeps(results):
        try:
            items = answers_of_runs(task, [path], None)
        except UserError as error:
            if run:
                raise
            show(f"{path} is left out: {error}")
            continue
        show(f"Answers of {path}.")
        return items
    show(f"No SQL sweep in {results}: gold and wrong answers of the built-in data stand in.")
    request = DataRequest(train_size=1, validation_size=NUM_CONSTRUCTED, test_size=1)
    return constructed_answers(task, request, None)


def _sweeps(results: Path) -> list[Path]:
    """SQL sweeps in `results`, the default one first."""
    from harness.store import Sweep

    folders = [path.parent for path in sorted(results.glob("*/sweep.json")) if Sweep(path.parent).info["task"] == TASK]
    return sorted(folders, key=lambda folder: folder.name != "sql-builtin-quick")
