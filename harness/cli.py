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
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli_data import LoadingLines, add_data
from harness.cli_gate import add_gate
from harness.cli_judges import add_verbs, with_judge
from harness.core import UserError
from harness.sources import listening

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
    finalist_seeds: Annotated[str | None, typer.Option(help="more seeds for the best setting of each method")] = None,
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
    stream_above: Annotated[float, typer.Option(help="ray: GiB of items beyond which shared runs stream them")] = 1.0,
    device_memory: Annotated[float | None, typer.Option(help="GiB of one device; found by itself")] = None,
    until: Annotated[str, typer.Option(help="stop after this stage: train, sample (validation) or report")] = "report",
    hosted: Any = None,
) -> None:
    """Train, sample, score and report a grid of runs. The same command again continues it."""
    if until not in ("train", "sample", "report"):
        raise UserError(f"--until is train, sample or report, got {until!r}")
    from harness.doctor import found_device, found_sampler
    from harness.engine import EngineOptions
    from harness.plan import by_data, sweep_file
    from harness.plan import preset as shipped
    from harness.prepare import SweepRequest

    flags: dict[str, Any] = {
        "task": task, "data": _list(data), "data_seed": data_seed, "models": _list(model), "methods": _list(methods),
        "ranks": _list(ranks), "alpha": _list(alpha), "dropout": _list(dropout), "targets": _list(targets),
        "schedule": _list(schedule), "epochs": _list(epochs), "batch_size": _list(batch_size),
        "prompt_styles": _list(prompt_styles), "seeds": _list(seeds), "finalist_seeds": _list(finalist_seeds),
        "train_size": _list(train_size),
        "curation": _list(curation),
        "validation_size": validation_size, "test_size": test_size, "few_shot": _list(few_shot), "max_length": max_length,
        "hosted_few_shot": _list(hosted_few_shot),
    }  # fmt: skip
    start = sweep_file(file) if file else shipped(preset)
    if lrs or full_lrs:
        flags["learning_rates"] = _rates(lrs, full_lrs, start)
    every = by_data(start, flags)
    if len(every) > 1 and data_path is not None:
        raise UserError(f"--data-path is the place of one data set, and --data names {len(every)}")
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
            engine_options=EngineOptions(
                storage=storage, workers_per_run=workers_per_run, samplers=samplers, stream_above_gib=stream_above
            ),
            device_bytes=int(device_memory * 2**30) if device_memory else None,
        )
        _sweep_one(request)


def _sweep_one(request: SweepRequest) -> None:
    from harness.sweep import run_sweep

    console = _console()
    if request.dry_run:
        from harness.plan_render import print_plan

        print_plan(request, console)
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
        raise UserError(f"--workers is at least 1, got {workers}; leave it out for one a core")
    if str(output) != "-" and not output.absolute().parent.is_dir():
        raise UserError(f"--output {output}: there is no folder {output.absolute().parent}; make it first")
    loaded, source = load_task(task), input
    if str(input) == "-":
        with tempfile.NamedTemporaryFile("wb", suffix=".jsonl", delete=False) as copy:
            copy.write(sys.stdin.buffer.read())
        source = Path(copy.name)
    elif not input.is_file():
        raise UserError(f"--input {input} does not exist")
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
add_gate(app)
add_verbs(app)


def main() -> None:
    """Run a verb; turn a user's mistake into one line, and Ctrl-C or SIGTERM into a resumable end."""
    debug = "--debug" in sys.argv
    if debug:
        sys.argv.remove("--debug")
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with listening(LoadingLines()):
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


def _list(text: str | None) -> list[str] | None:
    return None if text is None else [item.strip() for item in text.split(",") if item.strip()]


def _rates(lrs: str | None, full_lrs: str | None, start: dict[str, Any]) -> dict[str, Any]:
    known = start.get("learning_rates", {})
    known = known if isinstance(known, dict) else {"lora": known, "full": known}
    chosen = {"lora": _list(lrs) or known.get("lora"), "full": _list(full_lrs) or _list(lrs) or known.get("full")}
    return {method: rates for method, rates in chosen.items() if rates}


def _console() -> Any:
    """The terminal's console; in a log or a pipe wide enough for the table of runs."""
    from rich.console import Console

    return Console() if sys.stdout.isatty() else Console(width=140)


if __name__ == "__main__":
    main()
