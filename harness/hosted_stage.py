"""The stage of hosted models in a sweep: the answers of hosted rows, their scores, then the judge's verdicts. In: the sweep as
prepared, and runs. Out: the runs' files, hosted.json, logs/hosted.log. Skips what is on disk; a row that cannot be asked
has failed with its reason, and a judge that cannot be asked leaves its column unscored: the sweep goes on.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.core import Split, UserError, hosted_name
from harness.grade_run import grade_run
from harness.hosted import Bill, answer, call_log, prompt_text
from harness.prepare import Prepared, SweepRequest
from harness.progress import Display
from harness.store import Run, Sweep
from harness.tokens import messages, shots_of


class HostedStage:
    """Asks the hosted models of one sweep."""

    def __init__(self, request: SweepRequest, prepared: Prepared, sweep: Sweep, display: Display) -> None:
        self.request, self.prepared, self.sweep, self.display = request, prepared, sweep, display
        self._num_answers = 0

    def run(self, split: Split, runs: Sequence[Run]) -> None:
        """The answers of hosted rows among `runs` on one split, then the judge's verdicts on every answer of `runs`."""
        answering = [run for run in runs if hosted_name(run.spec.model) is not None and run.failure() is None]
        if not answering and not self.request.hosted.judges:
            return
        bill = Bill(self.sweep, self.request.hosted)
        with call_log(self.sweep.folder / "logs" / "hosted.log"):
            for run in answering:
                self._answer(split, run, bill)
            if self.request.hosted.judges:
                self._judge(split, [run for run in runs if run.failure() is None], bill)

    def _answer(self, split: Split, run: Run, bill: Bill) -> None:
        self._keep_items(split, run)
        name = run.name.rsplit("-", 1)[0].replace("_", " ")
        self._begin(f"{split} {name}", len(self.prepared.dataset.usable(split)))
        try:
            answer(self.prepared, self.request.hosted, bill, run, split, self._tell)
        except UserError as error:
            run.fail("sample", str(error))
            self.display.say(f"  failed: {name}: {error}")
            return
        grade_run(self.prepared.task, self.prepared.dataset, run, split, self.request.workers)

    def _judge(self, split: Split, runs: Sequence[Run], bill: Bill) -> None:
        from harness.judging import judge_split

        self._begin(f"judge {split}", len(runs) * len(self.prepared.dataset.usable(split)))
        problem = judge_split(self.prepared, self.request.hosted, bill, runs, split, self._tell)
        if problem:
            self.display.say(f"  the judge gave no verdict: {problem}")

    def _begin(self, stage: str, num_answers: int) -> None:
        self._num_answers = num_answers
        self.display.stage(stage, num_answers)

    def _tell(self, done: int, total: int, usd: float) -> None:
        """Calls as a share of the stage: equal ones are asked once, and votes are several for one answer."""
        self.display.update(self._num_answers * done / max(total, 1), f"{done} of {total} calls, ${usd:.4f}")

    def _keep_items(self, split: Split, run: Run) -> None:
        dataset, spec = self.prepared.dataset, run.spec
        self.sweep.write_examples((split, example) for example in dataset.usable(split))
        shots = shots_of(dataset, spec)
        texts = {e.id: prompt_text(messages(self.prepared.task, spec, e, shots)) for e in dataset.usable(split)}
        self.sweep.write_prompts(spec.prompt_style, texts)
