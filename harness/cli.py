"""The command `harness`: thin verbs over functions that a notebook can call.

Exit codes: 0 done, 1 a gate said FAIL, a check failed or an input line was broken, 2 INCONCLUSIVE, 3 cannot compare, 64 usage
or a mistake the user can mend, 130 interrupted (the same command goes on), 70 our bug. `--debug` shows the traceback. Heavy
imports wait for their verb.
"""

from __future__ import annotations

import inspect
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli_data import add_data
from harness.cli_judges import add_verbs, with_judge

if TYPE_CHECKING:
    from harness.prepare import SweepRequest

PROGRESS_EVERY_S = 5.0
EX_USAGE, EX_SOFTWARE, EX_INTERRUPTED = 64, 70, 130
app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)

Task = Annotated[str, typer.Argument(help="sql, functional, math, or an installed task")]
Text = Annotated[str | None, typer.Option()]
Whole = Annotated[int | None, typer.Option()]


@app.command()
@with_judge
def sweep(
    task: Task,
    preset: Annotated[str, typer.Option(help="quick, standard or llama2")] = "quick",
    file: Annotated[Path | None, typer.Option(help="a YAML file of axes, instead of a preset")] = None,
    name: Annotated[str | None, typer.Option(help="folder under --results")] = None,
    results: Path = Path("results"),
    data: Annotated[str | None, typer.Option(help="data sets of the task; several are several sweeps")] = None,
    data_path: Path | None = None,
    data_seed: Whole = None,
    synthetic: Annotated[Path | None, typer.Option(help="a file of `harness author`, added to the data")] = None,
    model: Annotated[
        str | None, typer.Option(help="hub ids (owner/name, owner/name@revision), folders, built-in names")
    ] = None,
    methods: Text = None,
    ranks: Text = None,
    alpha: Annotated[str | None, typer.Option(help="numbers, or multiples of the rank such as 2x")] = None,
    dropout: Text = None,
    targets: Annotated[
        str | None, typer.Option(help="all, attention, mlp, or modules; q_proj+v_proj,all are two sets")
    ] = None,
    lrs: Annotated[str | None, typer.Option(help="for LoRA and, without --full-lrs, full")] = None,
    full_lrs: Text = None,
    schedule: Text = None,
    epochs: Text = None,
    batch_size: Text = None,
    prompt_styles: Text = None,
    seeds: Text = None,
    train_size: Text = None,
    curation: Annotated[str | None, typer.Option(help="raw, clean, or both: what `harness data` would remove")] = None,
    validation_size: Whole = None,
    test_size: Whole = None,
    few_shot: Text = None,
    hosted_few_shot: Annotated[str | None, typer.Option(help="few-shot axis of hosted models alone")] = None,
    max_length: Whole = None,
    device: Annotated[str, typer.Option(help="cpu or cuda; found by itself")] = "",
    sampler: Annotated[str, typer.Option(help="vllm or transformers; found by itself")] = "",
    baseline: Text = None,
    offline: bool = False,
    remote_code: bool = False,
    retry_failed: bool = False,
    allow_uncertified: bool = False,
    dry_run: bool = False,
    workers: Whole = None,
    engine: Annotated[str, typer.Option(envvar="ENGINE", help="local, or ray (RAY_ADDRESS joins a cluster)")] = "local",
    storage: Annotated[str | None, typer.Option(help="ray: a path or URL that every machine reaches")] = None,
    workers_per_run: Annotated[int | None, typer.Option(help="ray: devices of one run; by its memory")] = None,
    samplers: Annotated[int | None, typer.Option(help="ray: sampling engines at a time")] = None,
    device_memory: Annotated[float | None, typer.Option(help="GiB of one device; found by itself")] = None,
    until: Annotated[str, typer.Option(help="stop after this stage: train, sample (validation) or report")] = "report",
    hosted: Any = None,
) -> None:
    """Train, sample, score and report a grid of runs. The same command again continues it."""
    if until not in ("train", "sample", "report"):
        raise _user_error(f"--until is train, sample or report, got {until!r}")
    from harness.doctor import found_device, found_sampler
    from harness.engine import EngineOptions
    from harness.plan import by_data, sweep_file
    from harness.plan import preset as shipped
    from harness.prepare import SweepRequest

    flags: dict[str, Any] = {
        "task": task, "data": _list(data), "data_seed": data_seed, "models": _list(model), "methods": _list(methods),
        "ranks": _list(ranks), "alpha": _list(alpha), "dropout": _list(dropout), "targets": _list(targets),
        "schedule": _list(schedule), "epochs": _list(epochs), "batch_size": _list(batch_size),
        "prompt_styles": _list(prompt_styles), "seeds": _list(seeds), "train_size": _list(train_size),
        "curation": _list(curation),
        "validation_size": validation_size, "test_size": test_size, "few_shot": _list(few_shot), "max_length": max_length,
        "hosted_few_shot": _list(hosted_few_shot),
    }  # fmt: skip
    start = sweep_file(file) if file else shipped(preset)
    if lrs or full_lrs:
        flags["learning_rates"] = _rates(lrs, full_lrs, start)
    every = by_data(start, flags)
    if len(every) > 1 and data_path is not None:
        raise _user_error(f"--data-path is the place of one data set, and --data names {len(every)}")
    for given in every:
        chosen = name if name is None or len(every) == 1 else f"{name}-{given.data}"
        request = SweepRequest(
            axes=given,
            folder=results / (chosen or f"{task}-{given.data}-{file.stem if file else preset}"),
            data_path=data_path,
            device=device or found_device(),
            sampler=sampler or found_sampler(),
            offline=offline,
            remote_code=remote_code,
            baseline=baseline,
            retry_failed=retry_failed,
            until=until,  # type: ignore[arg-type]  # checked above
            allow_uncertified=allow_uncertified,
            workers=workers,
            hosted=hosted,
            synthetic=synthetic,
            dry_run=dry_run,
            engine=engine,
            engine_options=EngineOptions(storage=storage, workers_per_run=workers_per_run, samplers=samplers),
            device_bytes=int(device_memory * 2**30) if device_memory else None,
        )
        _sweep_one(request)


def _sweep_one(request: SweepRequest) -> None:
    from harness.sweep import run_sweep

    console = _console()
    if request.dry_run:
        _print_plan(request, console)
        return
    finished = run_sweep(request, console)
    if request.until != "report":
        console.print(f"{request.until} is done; `harness sweep` with the same options goes on", highlight=False)
        return
    from harness.report import print_summary

    print_summary(finished.folder, console)
    console.print(f"report: {finished.folder / 'report.html'}", highlight=False)


def _stage(name: str, summary: str, **fixed: object) -> None:
    """A verb that is `sweep` with some options fixed; it takes all the others."""
    signature = inspect.signature(sweep)
    kept = [parameter for parameter in signature.parameters.values() if parameter.name not in fixed]

    def verb(**options: object) -> None:
        sweep(**options, **fixed)

    verb.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined]
    verb.__annotations__ = {parameter.name: parameter.annotation for parameter in kept}
    app.command(name, help=summary)(verb)


_stage("plan", "What a sweep would run, with tokens, time, memory and disk.", dry_run=True, until="report")
_stage("train", "A sweep up to its trained checkpoints.", dry_run=False, until="train")
_stage("sample", "A sweep up to its validation answers and scores.", dry_run=False, until="sample")


@app.command()
def report(folder: Path) -> None:
    """Write the report of a sweep again and print its summary."""
    from harness.report import print_summary, write_report

    page = write_report(folder)
    print_summary(folder, _console())
    typer.echo(f"report: {page}")


@app.command()
def certify(
    task: Task,
    data: str = "builtin",
    data_path: Path | None = None,
    model: Annotated[str, typer.Option(help="whose tokens are checked; none leaves the format out")] = "smollm2-135m",
    checkpoint: Annotated[Path | None, typer.Option(help="also: is it asked as it was trained?")] = None,
    prompt_style: Text = None,
    sample: Annotated[int, typer.Option(help="test items whose wrong answers are scored")] = 60,
    accuracy: Annotated[float, typer.Option(help="expected, for what the test split can show")] = 0.7,
    margin: Annotated[float, typer.Option(help="the gate's, for how many items it needs")] = 0.02,
    output: Annotated[Path | None, typer.Option(help="write the certificate as JSON")] = None,
) -> None:
    """Prove that an evaluation can judge, and that training and inference see the same tokens. Exits 1 on a failure."""
    from harness.certify_command import CertifyRequest, certificate_of
    from harness.certify_render import print_certificate
    from harness.core import DataRequest
    from harness.store import write_json

    certificate = certificate_of(
        CertifyRequest(
            task=task,
            data=DataRequest(name=data, path=data_path, train_size=600, validation_size=200, test_size=200),
            model=None if model == "none" else model,
            checkpoint=checkpoint,
            prompt_style=prompt_style,
            sample=sample,
            accuracy=accuracy,
            margin=margin,
        )
    )
    print_certificate(certificate, f"certificate of {task} on {data}", _console())
    if output is not None:
        write_json(output, certificate.to_json())
    if not certificate.passed:
        raise typer.Exit(1)


@app.command()
@with_judge
def score(
    task: Task,
    input: Annotated[Path, typer.Option(help="pairs, one JSON object a line: id, gold, prediction, ...; - is stdin")],
    output: Annotated[Path, typer.Option(help="one line out for each line in; - is stdout")] = Path("-"),
    workers: Whole = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="with --judge: what it would ask and cost")] = False,
    hosted: Any = None,
) -> None:
    """Grade outputs made anywhere, without a model or a sweep. Exits 1 when a line was broken."""
    import json
    import tempfile
    import time

    from harness.judging import ScoreFile
    from harness.registry import load_task

    if workers is not None and workers < 1:
        raise _user_error(f"--workers is at least 1, got {workers}; leave it out for one a core")
    if str(output) != "-" and not output.absolute().parent.is_dir():
        raise _user_error(f"--output {output}: there is no folder {output.absolute().parent}; make it first")
    loaded, source = load_task(task), input
    if str(input) == "-":
        with tempfile.NamedTemporaryFile("wb", suffix=".jsonl", delete=False) as copy:
            copy.write(sys.stdin.buffer.read())
        source = Path(copy.name)
    elif not input.is_file():
        raise _user_error(f"--input {input} does not exist")
    scores = ScoreFile(loaded, source, hosted, workers)
    if dry_run:
        typer.echo(scores.estimate())
        return
    broken = count = 0
    started = told = time.monotonic()
    stream = sys.stdout if str(output) == "-" else output.open("w", encoding="utf-8")
    try:
        for row in scores.rows():
            stream.write(json.dumps(row) + "\n")
            broken += "error" in row
            count += 1
            if time.monotonic() - told > PROGRESS_EVERY_S:
                told = time.monotonic()
                typer.echo(f"{count} scored, {count / (told - started):.0f} a second", err=True)
    finally:
        if stream is not sys.stdout:
            stream.close()
        if source != input:
            source.unlink()
    typer.echo(f"{count} lines, {broken} broken{scores.spent()}", err=True)
    if broken:
        raise typer.Exit(1)


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(help="a run, sweep, baseline, or .jsonl, .json, .eval of any harness")],
    b: Path,
    scorer: Annotated[
        str | None, typer.Option(help="where a side has several; lm-eval: metric or metric,filter")
    ] = None,
    split: Annotated[str | None, typer.Option(help="of runs: validation or test (where both have it)")] = None,
    force: Annotated[bool, typer.Option(help="compare although versions differ; every output says so")] = False,
    form: Annotated[str, typer.Option(help="text, json or markdown")] = "text",
    output: Text = None,
) -> None:
    """Compare two runs, sweeps or result files item by item: does B really differ from A?"""
    from harness.compare import as_json, as_markdown, as_text
    from harness.compare import compare as compared
    from harness.compare_formats import load_items

    forms: dict[str, Callable[[Any], str]] = {"text": as_text, "json": as_json, "markdown": as_markdown}
    if form not in forms:
        raise _user_error(f"--form is text, json or markdown, got {form!r}")
    if split not in (None, "validation", "test"):
        raise _user_error(f"--split is validation or test, got {split!r}")
    part: Any = split
    sides = [load_items(path, scorer=scorer, split=part) for path in (a, b)]
    text = forms[form](compared(*sides, force=force))
    if output:
        Path(output).write_text(text, encoding="utf-8")
    else:
        _echo(text, ("WARNING: forced:", "WARNING: uncertified:"))


@app.command()
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


@app.command()
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
        raise _user_error(f"--generalise-to is clusters or items, got {generalise_to!r}")
    place = baseline or results / "baselines" / f"{task}.json"
    population: Any = generalise_to
    rules = load_policy(policy) if policy else single_check_policy(task, place, margin, generalise_to=population)
    asked = partial(evaluate, results=results, data_path=data_path, allow_uncertified=allow_uncertified)
    verdict = run_gate(str(candidate), rules, asked, until_decided=until_decided)
    _echo(as_text(verdict), (UNCERTIFIED,))
    write_verdict(verdict, json_path=json, junit_path=junit, comment_path=comment, summary_path=summary)
    raise typer.Exit(verdict.exit_code)


@app.command()
def tasks() -> None:
    """The tasks that are installed."""
    from harness.registry import load_task, task_names

    for name in task_names():
        task = load_task(name)
        typer.echo(f"{name:<12} {task.summary} | data: {', '.join(task.sources)} | primary: {task.primary}")


@app.command()
def models() -> None:
    """The built-in models; any hub id or local folder works too."""
    from harness.models import BUILTIN

    for name, (_, _, source) in BUILTIN.items():
        typer.echo(f"{name:<14} {source}")


@app.command()
def doctor(
    start_engine: Annotated[bool, typer.Option(help="also start vLLM, about 40 s")] = False,
    device: Annotated[str, typer.Option(help="cpu or cuda; found by itself")] = "",
) -> None:
    """Versions, device, memory, disk, what is missing, and the command that mends it."""
    from harness.doctor import found_device
    from harness.doctor import main as examine

    raise typer.Exit(examine([device or found_device(), *(["--start-engine"] if start_engine else [])]))


add_data(app)
add_verbs(app)


def main() -> None:
    """Run a verb; turn a user's mistake into one line, and Ctrl-C or SIGTERM into a resumable end."""
    debug = "--debug" in sys.argv
    if debug:
        sys.argv.remove("--debug")
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = app(standalone_mode=False)
    except KeyboardInterrupt:
        code = EX_INTERRUPTED
    except Exception as error:  # becomes one line and an exit code
        if debug:
            raise
        code = _explain(error)
    if code == EX_INTERRUPTED:  # typer, too, turns an interrupt into this code
        print(f"\ninterrupted; the same command continues: {' '.join(['harness', *sys.argv[1:]])}", file=sys.stderr)
        sys.stderr.flush()
        os._exit(EX_INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


def _explain(error: Exception) -> int:
    from harness.core import UserError

    if isinstance(error, UserError):
        print(f"error: {error}", file=sys.stderr)
        return EX_USAGE
    if hasattr(error, "format_message"):  # click's own usage errors
        print(f"error: {error.format_message()}; see harness --help", file=sys.stderr)
        return EX_USAGE
    print(f"bug: {type(error).__name__}: {error}; run again with --debug for the traceback", file=sys.stderr)
    return EX_SOFTWARE


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _echo(text: str, alarming: tuple[str, ...]) -> None:
    """Print `text`; its lines that begin with an alarm are red where the terminal has colours."""
    for line in text.splitlines():
        typer.secho(line, fg="red", bold=True) if line.startswith(alarming) else typer.echo(line)


def _user_error(text: str) -> Exception:
    from harness.core import UserError

    return UserError(text)


def _list(text: str | None) -> list[str] | None:
    return None if text is None else [item.strip() for item in text.split(",") if item.strip()]


def _rates(lrs: str | None, full_lrs: str | None, start: dict[str, Any]) -> dict[str, Any]:
    known = start.get("learning_rates", {})
    known = known if isinstance(known, dict) else {"lora": known, "full": known}
    chosen = {"lora": _list(lrs) or known.get("lora"), "full": _list(full_lrs) or _list(lrs) or known.get("full")}
    return {method: rates for method, rates in chosen.items() if rates}


def _print_plan(request: SweepRequest, console: Any) -> None:
    from rich.table import Table

    from harness.estimate import detectable, estimates
    from harness.prepare import prepare
    from harness.train.planning import device_bytes

    plan = prepare(request)
    size = request.device_bytes or device_bytes(request.device)
    rows = list(estimates(plan, request, size))
    fits = f"fits {size / 2**30:.0f} GiB"
    columns = ("run", "train tokens", "validation tokens", "time, about", "memory", fits, "checkpoint")
    table = Table(*columns, title=f"plan of {request.folder}: {len(rows)} runs")
    for row in rows:
        table.add_row(
            row.label,
            f"{row.train_tokens:,}",
            f"{row.validation_tokens:,}",
            f"{(row.train_s + row.validation_s) / 60:.1f} min",
            _bytes(row.memory_bytes),
            row.fit or "-",
            _bytes(row.disk_bytes),
        )
    console.print(table)
    training, sampling = sum(row.train_s for row in rows) / 60, sum(row.validation_s for row in rows) / 60
    console.print(
        f"in all: {sum(row.train_tokens for row in rows):,} tokens trained, about {training:.1f} min of training and "
        f"{sampling:.1f} min of validation on {request.device}, {_bytes(sum(row.disk_bytes for row in rows))} of "
        "checkpoints; starting engines and the finalists' test come on top",
        highlight=False,
    )
    console.print(detectable(plan), highlight=False)
    for sentence in _hosted_plan(plan, request):
        console.print(sentence, highlight=False)


def _hosted_plan(plan: Any, request: SweepRequest) -> list[str]:
    """What hosted models would be asked and cost."""
    from harness.hosted import spend_estimates
    from harness.judging import judge_estimate
    from harness.store import Sweep

    sweep = Sweep(request.folder)
    told = list(spend_estimates(plan, request.hosted, sweep))
    return [*told, judge_estimate(plan, request.hosted, sweep)] if request.hosted.judges else told


def _console() -> Any:
    """The terminal's console; in a log or a pipe wide enough for the table of runs."""
    from rich.console import Console

    return Console() if sys.stdout.isatty() else Console(width=140)


def _bytes(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"


if __name__ == "__main__":
    main()
