"""The verbs that set two results side by side: `harness compare`, `bless` and `gate`. In: the command's app. Out: the app with
them. Exit codes of the gate: 0 PASS, 1 FAIL, 2 INCONCLUSIVE, 3 cannot compare.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.core import UserError


def add_gate(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    for verb in (compare, bless, gate):
        app.command()(verb)


def compare(
    a: Annotated[Path, typer.Argument(help="a run, sweep, baseline, or .jsonl, .json, .eval of any harness")],
    b: Path,
    scorer: Annotated[
        str | None, typer.Option(help="where a side has several; lm-eval: metric or metric,filter")
    ] = None,
    split: Annotated[str | None, typer.Option(help="of runs: validation or test (where both have it)")] = None,
    force: Annotated[bool, typer.Option(help="compare although versions differ; every output says so")] = False,
    form: Annotated[str, typer.Option(help="text, json or markdown")] = "text",
    output: Annotated[str | None, typer.Option()] = None,
) -> None:
    """Compare two runs, sweeps or result files item by item: does B really differ from A?"""
    from harness.compare import as_json, as_markdown, as_text
    from harness.compare import compare as compared
    from harness.compare_formats import load_items

    forms: dict[str, Callable[[Any], str]] = {"text": as_text, "json": as_json, "markdown": as_markdown}
    if form not in forms:
        raise UserError(f"--form is text, json or markdown, got {form!r}")
    if split not in (None, "validation", "test"):
        raise UserError(f"--split is validation or test, got {split!r}")
    part: Any = split
    sides = [load_items(path, scorer=scorer, split=part) for path in (a, b)]
    text = forms[form](compared(*sides, force=force))
    if output:
        Path(output).write_text(text, encoding="utf-8")
    else:
        _echo(text, ("WARNING: forced:", "WARNING: uncertified:"))


def bless(
    run: Annotated[Path, typer.Argument(help="results/<sweep>/<run>")],
    output: Annotated[Path | None, typer.Option(help="default: results/baselines/<task>.json")] = None,
    scorer: Annotated[str | None, typer.Option(help="another than the task's primary one, such as judge:MODEL")] = None,
    note: str = "",
    replace: bool = False,
) -> None:
    """Write a finished run's test outcomes as a baseline file for git."""
    from harness.baseline import bless as blessed
    from harness.candidate import run_items

    items = run_items(run, scorer=scorer)
    place = output or Path("results", "baselines", f"{items.task}.json")
    typer.echo(
        f"baseline: {blessed(items, place, note=note, replace=replace)} ({len(items.items)} {items.split} items)"
    )


def gate(
    candidate: Annotated[Path, typer.Argument(help="a finished run, a PEFT folder or a full checkpoint")],
    task: str = "sql",
    baseline: Path | None = None,
    margin: float = 0.02,
    policy: Annotated[Path | None, typer.Option(help="a YAML policy of several tasks and metrics")] = None,
    until_decided: Annotated[bool, typer.Option(help="look at growing parts of the baseline's items")] = False,
    generalise_to: Annotated[
        str, typer.Option(help="clusters, or items: claim for the asked databases only")
    ] = "clusters",
    results: Annotated[Path, typer.Option(help="a bare checkpoint's answers are kept below it")] = Path("results"),
    data_path: Path | None = None,
    allow_uncertified: Annotated[
        bool, typer.Option(help="ask in another format than trained all the same; marks the verdict")
    ] = False,
    json: Path | None = None,
    junit: Path | None = None,
    comment: Path | None = None,
    summary: Path | None = None,
) -> None:
    """Is the candidate worse than the baseline? Exits 0 PASS, 1 FAIL, 2 INCONCLUSIVE, 3 cannot compare."""

    from harness.candidate import evaluate
    from harness.gate import run_gate
    from harness.gate_policy import load_policy, single_check_policy
    from harness.gate_render import UNCERTIFIED, as_text, write_verdict

    if generalise_to not in ("clusters", "items"):
        raise UserError(f"--generalise-to is clusters or items, got {generalise_to!r}")
    place = baseline or results / "baselines" / f"{task}.json"
    population: Any = generalise_to
    rules = load_policy(policy) if policy else single_check_policy(task, place, margin, generalise_to=population)
    asked = partial(evaluate, results=results, data_path=data_path, allow_uncertified=allow_uncertified)
    verdict = run_gate(str(candidate), rules, asked, until_decided=until_decided)
    _echo(as_text(verdict), (UNCERTIFIED,))
    write_verdict(verdict, json_path=json, junit_path=junit, comment_path=comment, summary_path=summary)
    raise typer.Exit(verdict.exit_code)


def _echo(text: str, alarming: tuple[str, ...]) -> None:
    """Print `text`; its lines that begin with an alarm are red where the terminal has colours."""
    for line in text.splitlines():
        typer.secho(line, fg="red", bold=True) if line.startswith(alarming) else typer.echo(line)
