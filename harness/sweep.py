"""The one orchestration: plan -> certify -> train -> sample -> grade -> judge -> report. In: `SweepRequest`. Out:
results/<name>/.

Stages meet only on disk, so resume is: the same call again. Runs are chosen on validation; only the finalists see test.
Nothing here knows how a stage works: an engine runs them (engine/local.py), `store` keeps them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.certify_sweep import add_engine_part, certify_sweep
from harness.chat import ChatFormat
from harness.core import Base, RunSpec, Split, UserError, digest, to_json
from harness.engine import start_engine
from harness.grade_run import grade_run
from harness.hosted import refuse_without_key
from harness.hosted_stage import HostedStage
from harness.plan import more_seeds
from harness.prepare import Prepared, SweepRequest, prepare, with_runs
from harness.progress import Display
from harness.references import log_probabilities, probe_ids
from harness.sample.batches import NUM_ALONE
from harness.sample.proof import BASE
from harness.sample.vllm_settings import process_settings
from harness.store import Run, Sweep, append_lines, read_json, write_json
from harness.sweep_info import now, write_plan
from harness.tokens import messages, requests, shots_of, training_items
from harness.trained_with import differences, refusal, training_record


def run_sweep(request: SweepRequest, console: Console) -> Sweep:
    """Do what the sweep has not done yet, and write its report. Raises UserError; KeyboardInterrupt is resumable."""
    sweep = Sweep(request.folder)
    with sweep.lock():
        prepared = prepare(request)
        if request.hosted.judges or len(prepared.models) < len(request.axes.models):
            refuse_without_key()
        stages = Stages(request, prepared, sweep, console)
        try:
            stages.run()
        finally:
            stages.close()
        write_json(sweep.folder / "sweep.json", {**sweep.info, "finished": now()})
        from harness.report import write_report

        write_report(sweep.folder)
    return sweep


class Stages:
    """The stages of one sweep, in order, each skipping what is on disk."""

    def __init__(self, request: SweepRequest, prepared: Prepared, sweep: Sweep, console: Console) -> None:
        self.request, self.sweep = request, sweep
        self.runs: list[Run] = []
        self._take(prepared)
        self.engine = start_engine(request.engine, sweep.folder, request.device, request.engine_options)
        self.display = Display(console, _expected_s(request, prepared, self.runs))
        self._grader = ThreadPoolExecutor(1, thread_name_prefix="grade")
        self._engines: Any = None
        self._engines_of = ""

    def run(self) -> None:
        """Every stage for every model, then the finalists on test; stops after the stage `until` names."""
        with self.display:
            self._certify()
            for model in self.prepared.models:
                self._train(model)
                if self.request.until != "train":
                    self._evaluate(model, "validation", self._of_model(model))
            if self.request.until == "train":
                return
            self._ask_hosted("validation", self.runs)
            if self.request.until != "report":
                return
            finalists = self._finalists()
            finalists |= self._under_more_seeds(finalists)
            for model in self.prepared.models:
                self._evaluate(model, "test", [run for run in self._of_model(model) if run.name in finalists])
            self._ask_hosted("test", [run for run in self.runs if run.name in finalists])

    def _take(self, prepared: Prepared) -> None:
        """Write the plan. The failures of runs that join now are forgotten when they are to be tried again."""
        write_plan(self.sweep, self.request, prepared)
        known = {run.name for run in self.runs}
        self.prepared, self.runs = prepared, [Run(self.sweep.folder / name) for name in prepared.names]
        if self.request.retry_failed:
            for run in self.runs:
                if run.name not in known:
                    (run.folder / "failure.json").unlink(missing_ok=True)

    def _under_more_seeds(self, finalists: set[str]) -> set[str]:
        """Train and validate the finalists' settings under the axis `finalist_seeds`; the names of those runs, and of the
        grid's own run of each setting."""
        chosen = [Run(self.sweep.folder / name).spec for name in sorted(finalists)]
        again = more_seeds(chosen, self.request.axes.finalist_seeds)
        if not again:
            return set()
        self._take(with_runs(self.request, self.prepared, again))
        for model in self.prepared.models:
            self._train(model)
            self._evaluate(model, "validation", self._of_model(model))
        self._ask_hosted("validation", self.runs)
        settings = {replace(spec, seed=0) for spec in again}
        return {run.name for run in self.runs if replace(run.spec, seed=0) in settings}

    def close(self) -> None:
        """End every child process; trainers save first."""
        self.engine.stop()
        self._grader.shutdown(wait=False, cancel_futures=True)

    def _of_model(self, model: str) -> list[Run]:
        return [run for run in self.runs if run.spec.model == model]

    def _certify(self) -> None:
        """Prove that the evaluation can judge before anything is trained; the certificate stays with the numbers."""
        self.display.stage("certify", 1 + len(self.prepared.models))
        found = certify_sweep(self.sweep, self.request, self.prepared, self.display.update)
        if found is None:
            return
        self.display.say(f"certificate: {found.summary}")
        for check in found.checks:
            if check.status != "pass":
                self.display.say(f"  {check.status}: {check.name}: {check.detail}")

    def _train(self, model: str) -> None:
        waiting = [run for run in self._of_model(model) if _must_train(run)]
        if not waiting:
            return
        self._close_engines()
        totals, jobs = {}, []
        for run in waiting:
            items, notes = training_items(
                self.prepared.task, self.prepared.dataset, run.spec, self.prepared.chats[model]
            )
            path = run.folder / "items.jsonl"
            path.unlink(missing_ok=True)
            append_lines(path, items)
            if notes:
                write_json(run.folder / "notes.json", notes)
            folder = str(self.prepared.models[model].folder)
            record = training_record(self.prepared.task, self.prepared.dataset, run.spec, self.prepared.chats[model])
            files = {"items": str(path), "tokenizer": folder, "record": record}
            jobs.append({"run_dir": str(run.folder), "spec": to_json(run.spec), **files})
            totals[run.name] = float(len(items))
        self.display.stage("train", sum(totals.values()))
        done: dict[str, float] = dict.fromkeys(totals, 0.0)

        def tell(event: dict[str, Any]) -> None:
            name = Path(str(event.get("run", ""))).name
            if name not in totals:
                return
            if event["event"] == "step":
                done[name] = totals[name] * event["step"] / max(1, event["steps"])
            elif event["event"] in ("finished", "failed", "skipped"):
                done[name] = totals[name]
            loss = event.get("loss")
            note = f"{_short(name)} loss {loss:.3f}" if isinstance(loss, float) else _short(name)
            self.display.update(sum(done.values()), note)
            if event["event"] == "failed":
                self.display.say(f"  failed: {_short(name)}: {event.get('reason', '')}")

        dtype = "bfloat16"
        folder = str(self.prepared.models[model].folder)
        job = {"model": folder, "dtype": dtype, "options": self.request.options}
        self.engine.train({**job, "device_bytes": self.request.device_bytes, "runs": jobs}, tell)

    def _evaluate(self, model: str, split: Split, runs: Sequence[Run]) -> None:
        """Sample and grade one split of the runs that trained."""
        runs = [run for run in runs if run.failure() is None]
        waiting = [run for run in runs if len(run.completions(split)) < len(self.prepared.dataset.usable(split))]
        grading = [self._grade_later(run, split) for run in runs if run not in waiting]
        for run in waiting:
            self._refuse_another_format(run)
        waiting = [run for run in waiting if run.failure() is None]
        if waiting:
            chat = self.prepared.chats[model]
            self._keep_items(split, runs, chat)
            probes = probe_ids(self.prepared.task, self.prepared.dataset, self._of_model(model)[0].spec, chat)
            base = self._references(model, waiting, probes)
            grading += self._sample(split, [run for run in waiting if run.failure() is None], probes, base)
        for future in grading:
            while not future.done():
                time.sleep(0.05)
            future.result()
        add_engine_part(self.sweep, self.request.allow_uncertified)

    def _ask_hosted(self, split: Split, runs: Sequence[Run]) -> None:
        """The answers of hosted models on one split, then the judge's verdicts on every answer of `runs`."""
        HostedStage(self.request, self.prepared, self.sweep, self.display).run(split, runs)

    def _refuse_another_format(self, run: Run) -> None:
        """A checkpoint is asked as it was trained; its files may have changed since."""
        if run.checkpoint is None:
            return
        task, dataset = self.prepared.task, self.prepared.dataset
        found = differences(run.checkpoint, task, dataset, run.spec, self.prepared.chats[run.spec.model])
        if found and not self.request.allow_uncertified:
            run.fail("format", refusal(_short(run.name), found))
            self.display.say(f"  failed: {_short(run.name)}: {'; '.join(found)}")
        elif found:
            notes = [note for note in read_json(run.folder / "notes.json") or [] if not note.startswith("forced: ")]
            write_json(run.folder / "notes.json", [*notes, f"forced: {'; '.join(found)}"])

    def _references(self, model: str, runs: Sequence[Run], probes: list[list[int]]) -> list[list[float]]:
        """Write the reference of each run; returns the base model's."""
        base = Run(self.sweep.folder / "logs" / f"base-{digest(model)}")
        missing = [run for run in (base, *runs) if not (run.folder / "reference.json").exists()]
        if not missing:
            return log_probabilities(base, base.name)
        self.display.stage("reference", len(missing))
        seen: list[str] = []

        def tell(event: dict[str, Any]) -> None:
            seen.append(event["event"])
            self.display.update(len(seen))

        rows = [
            {
                "run_dir": str(run.folder),
                "method": "base" if run is base else _kind(run.spec),
                "checkpoint": _path(run.checkpoint),
            }
            for run in missing
        ]
        folder = str(self.prepared.models[model].folder)
        self.engine.reference({"model": folder, "probes": probes, "runs": rows}, tell)
        for run in missing:
            if run is base:
                continue
            try:
                log_probabilities(run, "the checkpoint")
            except UserError as error:
                run.fail("reference", str(error))
        return log_probabilities(base, base.name)

    def _sample(
        self, split: Split, runs: Sequence[Run], probes: list[list[int]], base: list[list[float]]
    ) -> list[Future[None]]:
        references = {BASE: base, **{run.name: log_probabilities(run, run.name) for run in runs}}
        if not runs:
            return []
        model = runs[0].spec.model
        chat = self.prepared.chats[model]
        lone = next((run for run in runs if not isinstance(run.spec.method, Base)), runs[0])
        jobs: list[dict[str, Any]] = []
        for run in runs:
            asked = requests(self.prepared.task, self.prepared.dataset, run.spec, chat, split)
            jobs.append(
                {
                    "run": run.name,
                    "method": _kind(run.spec),
                    "checkpoint": _path(run.checkpoint),
                    "split": split,
                    "requests": asked,
                    "out": str(run.folder / "completions.jsonl"),
                    "max_new_tokens": self.prepared.task.max_new_tokens,
                    "end_id": chat.end_id,
                    "probes": probes,
                    "references": references,
                    "num_alone": NUM_ALONE if run is lone and split == "validation" else 0,
                }
            )
        longest = max((len(r["prompt_ids"]) for job in jobs for r in job["requests"]), default=1)
        total = sum(len(job["requests"]) for job in jobs)
        self.display.stage(f"sample {split}", total)
        counts = {run.name: len(run.completions(split)) for run in runs}
        by_name = {run.name: run for run in runs}
        grading: list[Future[None]] = []

        def tell(event: dict[str, Any]) -> None:
            name = event.get("run", "")
            if event["event"] == "engine":
                self.display.update(sum(counts.values()), "starting the engine")
            elif event["event"] == "progress":
                counts[name] = event["done"]
                self.display.update(sum(counts.values()), _short(name))
            elif event["event"] == "sampled":
                counts[name] = len(self.prepared.dataset.usable(split))
                self.display.update(sum(counts.values()), _short(name))
                _note_sampling(by_name[name], event, self.request.sampler)
                grading.append(self._grade_later(by_name[name], split))
            elif event["event"] == "failed":
                by_name[name].fail("sample", event["reason"])
                self.display.say(f"  failed: {_short(name)}: {event['reason']}")

        samplers = self._samplers(model, longest)
        samplers.sample(jobs, tell)
        return grading

    def _samplers(self, model: str, longest_prompt: int) -> Any:
        """The engines of one model, kept between validation and test."""
        if self._engines_of != model:
            self._close_engines()
            settings = process_settings(
                self.request,
                self.prepared.models[model],
                most_tokens=longest_prompt + self.prepared.task.max_new_tokens,
                max_lora_rank=max(self.request.axes.ranks, default=0),
                scratch=self.sweep.folder / "scratch",
            )
            self._engines_of, self._engines = model, self.engine.samplers(settings)
        return self._engines

    def _close_engines(self) -> None:
        """Give the devices' memory back."""
        if self._engines is not None:
            self._engines.close()
        self._engines, self._engines_of = None, ""

    def _keep_items(self, split: Split, runs: Sequence[Run], chat: ChatFormat) -> None:
        dataset, task = self.prepared.dataset, self.prepared.task
        self.sweep.write_examples((split, example) for example in dataset.usable(split))
        for spec in {run.spec.prompt_style: run.spec for run in runs}.values():
            shots = shots_of(dataset, spec)
            texts = {e.id: chat.prompt_text(messages(task, spec, e, shots)) for e in dataset.usable(split)}
            self.sweep.write_prompts(spec.prompt_style, texts)

    def _grade_later(self, run: Run, split: Split) -> Future[None]:
        return self._grader.submit(
            grade_run, self.prepared.task, self.prepared.dataset, run, split, self.request.workers
        )

    def _finalists(self) -> set[str]:
        from harness.selection import select

        runs, scores = self.sweep.runs(), self.sweep.scores()
        wanted = self.request.baseline
        named = next((run.name for run, row in zip(self.runs, runs.to_dict("records"), strict=False)
                      if wanted in (run.name, row["label"])), wanted)  # fmt: skip
        try:
            return set(select(runs, scores, "validation", baseline=named).finalists)
        except UserError as error:
            if wanted is not None:
                raise
            self.display.say(f"  no finalist goes to test: {error}")
            return set()


def _must_train(run: Run) -> bool:
    return not isinstance(run.spec.method, Base) and run.trained() is None and run.failure() is None


def _expected_s(request: SweepRequest, prepared: Prepared, runs: Sequence[Run]) -> dict[str, float]:
    """Rough seconds a stage, for the time display only: measured on two cores with the default model and task."""
    speed = 1.0 if request.device == "cpu" else 20.0
    examples = sum(
        (run.spec.train_size or len(prepared.dataset.train)) * run.spec.training.epochs
        for run in runs
        if run.spec.training is not None and _must_train(run)
    )
    validation = len(runs) * len(prepared.dataset.validation)
    return {
        "certify": 18.0,
        "train": examples / 3.0 / speed,
        "reference": 6.0 + 3.0 * len(runs),
        "sample validation": 35.0 + validation / 8.0 / speed,
        "sample test": 3 * len(prepared.dataset.test) / 8.0 / speed,
    }


def _note_sampling(run: Run, event: dict[str, Any], sampler: str) -> None:
    known = read_json(run.folder / "sampling.json") or {"seconds": 0.0, "tokens": 0}
    seconds, tokens = known["seconds"] + event["seconds"], known["tokens"] + event["tokens"]
    write_json(
        run.folder / "sampling.json",
        {
            "engine": sampler,
            "route": event["route"],
            "check": event["check"],
            "batch": event.get("batch") or known.get("batch"),
            "seconds": seconds,
            "tokens": tokens,
            "tokens_per_second": tokens / seconds if tokens else None,
            "notes": read_json(run.folder / "notes.json") or [],
        },
    )


def _kind(spec: RunSpec) -> str:
    return type(spec.method).__name__.lower()


def _path(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _short(name: str) -> str:
    return name.rsplit("-", 1)[0].replace("_", " ")
