"""The options of a judge, shared by every verb that takes one, and the verbs about judges themselves. Thin, like cli.py.

`with_judge` puts the options into a verb's signature in place of its parameter `hosted`, which gets a `HostedRequest`.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

Option = tuple[Any, Any]  # (annotation, default)
OPTIONS: dict[str, Option] = {
    "judge": (
        Annotated[str | None, typer.Option(help="a hosted model as one more scorer, such as gpt-4o; several vote")],
        None,
    ),
    "judge_when": (Annotated[str, typer.Option(help="answers it is asked about: undecided, wrong or all")], "all"),
    "judge_budget": (
        Annotated[float, typer.Option(help="dollars for all hosted models; stops before it is passed")],
        5.0,
    ),
    "no_budget": (
        Annotated[bool, typer.Option("--no-budget", help="no limit; also for a model whose price is not known")],
        False,
    ),
    "judge_price": (
        Annotated[str | None, typer.Option(help="MODEL=INPUT/OUTPUT, dollars per million tokens")],
        None,
    ),
    "judge_votes": (Annotated[int, typer.Option(help="times each judge is asked")], 1),
    "judge_rubric": (Annotated[str, typer.Option(help="your own rubric, a file ending in .md")], ""),
    "judge_blind": (Annotated[bool, typer.Option("--judge-blind", help="judge without seeing the reference")], False),
    "judge_tokens": (
        Annotated[
            int, typer.Option(help="tokens that a verdict with its reason may have; more for a model that thinks")
        ],
        400,
    ),
    "judge_reason_chars": (
        Annotated[
            int | None, typer.Option(help="longest reason, where the server's schema knows a length (vLLM; not OpenAI)")
        ],
        None,
    ),
    "judge_batch": (
        Annotated[bool, typer.Option("--judge-batch", help="the Batch API: half the price, within a day")],
        False,
    ),
}


def with_judge(verb: Callable[..., None]) -> Callable[..., None]:
    """`verb` with the options of a judge on its command line."""
    hints = get_type_hints(verb, include_extras=True)
    own = [
        parameter.replace(annotation=hints[parameter.name])
        for parameter in inspect.signature(verb).parameters.values()
        if parameter.name != "hosted"
    ]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, (annotation, default) in OPTIONS.items()
    ]

    def wrapped(**options: Any) -> None:
        hosted = hosted_request({name: options.pop(name, OPTIONS[name][1]) for name in OPTIONS})
        verb(**options, hosted=hosted)

    wrapped.__name__, wrapped.__doc__ = verb.__name__, verb.__doc__
    wrapped.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]
    wrapped.__annotations__ = {parameter.name: parameter.annotation for parameter in [*own, *added]}
    return wrapped


def hosted_request(options: Mapping[str, Any]) -> Any:
    """The `HostedRequest` of the options. Raises UserError on one that makes no sense."""
    from harness.hosted import HostedRequest, prices_from_text

    return HostedRequest(
        judges=tuple(dict.fromkeys(name.strip() for name in (options["judge"] or "").split(",") if name.strip())),
        when=options["judge_when"],
        budget_usd=None if options["no_budget"] else options["judge_budget"],
        votes=options["judge_votes"],
        rubric=options["judge_rubric"],
        reference_free=options["judge_blind"],
        batch=options["judge_batch"],
        reply_tokens=options["judge_tokens"],
        reason_chars=options["judge_reason_chars"],
        prices=prices_from_text(options["judge_price"]),
    )


def add_verbs(app: typer.Typer) -> None:
    """Put the verbs of this file on the command line."""
    app.command("audit-judge")(with_judge(audit_judge))
    app.command("author")(author)
    app.command("judge-demo")(judge_demo)


def audit_judge(
    task: Annotated[str, typer.Argument(help="sql, functional, math, or an installed task")],
    run: Annotated[
        list[Path] | None, typer.Option(help="a run or a sweep; repeat it. Without: the task's own data")
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="human labels, a JSON line each: id, label")] = None,
    split: Annotated[str | None, typer.Option(help="validation or test; both without")] = None,
    items: Annotated[int | None, typer.Option(help="answers to judge, drawn at random; all without")] = None,
    data: Annotated[str, typer.Option(help="the data set, without --run")] = "builtin",
    data_path: Path | None = None,
    min_kappa: Annotated[float, typer.Option(help="the agreement that a fit judge shows")] = 0.6,
    form: Annotated[str, typer.Option(help="text, json or markdown")] = "text",
    output: Path | None = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="what it would ask and cost")] = False,
    hosted: Any = None,
) -> None:
    """Judge the judge: against the exact scorers on the same answers, human labels, and controls."""
    from harness import audit as auditing
    from harness.core import DataRequest, UserError
    from harness.registry import load_task

    if not hosted.judges:
        raise UserError("give --judge NAME, the hosted model to audit, such as gpt-4o")
    if form not in ("text", "json", "markdown") or split not in (None, "validation", "test"):
        raise UserError(f"--form is text, json or markdown, got {form!r}; --split is validation or test, got {split!r}")
    loaded = load_task(task)
    if run:
        found = auditing.answers_of_runs(loaded, run, split)  # type: ignore[arg-type]  # checked above
    else:
        request = DataRequest(
            name=data, path=data_path, train_size=1, validation_size=auditing.NUM_CONSTRUCTED, test_size=1
        )
        found = auditing.constructed_answers(loaded, request, None)
    if labels:
        found, problems = auditing.labelled(found, labels)
        for problem in problems:
            typer.echo(f"not used: {problem}", err=True)
    found = auditing.sampled(found, items)
    typer.echo(f"{len(found):,} answers; truth: {auditing.truth_words(found)}", err=True)
    if dry_run:
        typer.echo(auditing.audit_estimate(loaded, found, hosted))
        return
    with _progress("audit", len(found)) as tell:
        result = auditing.audit_judge(loaded, found, hosted, min_kappa, tell)
    text = auditing.as_form(result, form)
    if output:
        output.write_text(text, encoding="utf-8", errors="backslashreplace")
    else:
        typer.echo(text)
    kept = auditing.keep_audit(run or [], result)
    if kept:
        typer.echo(f"kept in {kept}; `harness report {kept.parents[1]}` puts it into the report", err=True)


def author(
    task: Annotated[str, typer.Argument(help="sql, functional, math, or an installed task")],
    kind: Annotated[str, typer.Argument(help="tables (contents for schemas without data), paraphrases or cases")],
    output: Annotated[Path, typer.Option(help="a JSONL file for `harness sweep --synthetic`")],
    model: Annotated[str, typer.Option(help="the hosted model that writes")] = "gpt-4o",
    data: str = "builtin",
    data_path: Path | None = None,
    split: Annotated[str, typer.Option(help="train or validation; tables also test")] = "train",
    items: Annotated[int, typer.Option(help="items to write about")] = 20,
    per_item: Annotated[int, typer.Option(help="texts for each item")] = 1,
    budget: Annotated[float, typer.Option(help="dollars; stops before it is passed")] = 5.0,
    no_budget: Annotated[bool, typer.Option("--no-budget", help="no limit")] = False,
    price: Annotated[str | None, typer.Option(help="MODEL=INPUT/OUTPUT, dollars per million tokens")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="what it would ask and cost")] = False,
) -> None:
    """Synthetic material by a hosted model; what is kept passed the task's own checks and is labelled."""
    from harness import authoring
    from harness.core import SPLITS, DataRequest, UserError
    from harness.hosted import HostedRequest, prices_from_text
    from harness.registry import load_task

    if split not in SPLITS:
        raise UserError(f"--split is one of {', '.join(SPLITS)}, got {split!r}")
    loaded = load_task(task)
    sizes = {f"{name}_size": items if name == split else 1 for name in SPLITS}
    examples = loaded.load(DataRequest(name=data, path=data_path, **sizes)).usable(split)[:items]  # type: ignore[arg-type]
    hosted = HostedRequest(judges=(model,), budget_usd=None if no_budget else budget, prices=prices_from_text(price))
    if dry_run:
        typer.echo(authoring.author_estimate(loaded, kind, examples, split, hosted, per_item))  # type: ignore[arg-type]
        return
    result = authoring.author(loaded, kind, examples, split, hosted, per_item)  # type: ignore[arg-type]  # checked there
    authoring.write_authored(result, output)
    for name, why in result.refused:
        typer.echo(f"refused: {name}: {why}", err=True)
    for sentence in result.told:
        typer.echo(sentence, err=True)
    typer.echo(f"{len(result.rows)} kept, {len(result.refused)} refused: {output}")


def judge_demo(
    results: Annotated[Path, typer.Option(help="where sweeps lie")] = Path("results"),
    run: Annotated[Path | None, typer.Option(help="a run or a sweep of SQL; found by itself")] = None,
    items: Annotated[int, typer.Option(help="answers to judge")] = 32,
) -> None:
    """The path without a key: a local vLLM server with the built-in model as judge of SQL answers, and its audit."""
    from harness.audit_demo import demo

    demo(results, run, items, typer.echo)


@contextlib.contextmanager
def _progress(stage: str, total: int) -> Iterator[Callable[[int, int, float], None]]:
    """A progress display on stderr, so that stdout holds the result alone."""
    from rich.console import Console

    from harness.progress import Display

    with Display(Console(stderr=True), {}) as display:
        display.stage(stage, total)
        yield lambda done, calls, usd: display.update(
            total * done / max(calls, 1), f"{done} of {calls} calls, ${usd:.4f}"
        )
