"""A team's own tests gate releases: the fixture `assert_no_regression`, installed with the package.

    def test_release(assert_no_regression):
        assert_no_regression("checkpoints/new", task="sql", margin=0.02)

It fails unless the verdict is PASS: INCONCLUSIVE and CANNOT_COMPARE fail too, each with its reason. The baseline is
`results/baselines/<task>.json` below pytest's root directory unless one is given. `gate_evaluate` is the fixture that
gets a checkpoint's items; override it to sample elsewhere. Nothing of ours is imported before a test asks for the
fixture: this module is loaded in every pytest run of everyone who has the package installed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    from harness.gate import Evaluate, Verdict
    from harness.gate_policy import Population


class AssertNoRegression(Protocol):
    """What the fixture gives: a call that returns the PASS verdict or fails the test."""

    def __call__(
        self,
        checkpoint: str | Path,
        *,
        task: str = "sql",
        margin: float = 0.02,
        baseline: str | Path | None = None,
        policy: str | Path | None = None,
        generalise_to: Population = "clusters",
        until_decided: bool = False,
    ) -> Verdict: ...


@pytest.fixture(scope="session")
def gate_evaluate(pytestconfig: pytest.Config) -> Evaluate:
    """How a checkpoint's items are got: from a finished run, else by sampling and scoring it, kept in results/gates/."""
    from functools import partial

    from harness.candidate import evaluate

    return partial(evaluate, results=pytestconfig.rootpath / "results")


@pytest.fixture
def assert_no_regression(request: pytest.FixtureRequest, gate_evaluate: Evaluate) -> AssertNoRegression:
    """Fails the test unless `checkpoint` is shown to be no worse than the baseline by the margin or the policy file."""

    def check(
        checkpoint: str | Path,
        *,
        task: str = "sql",
        margin: float = 0.02,
        baseline: str | Path | None = None,
        policy: str | Path | None = None,
        generalise_to: Population = "clusters",
        until_decided: bool = False,
    ) -> Verdict:
        from harness.core import UserError
        from harness.gate import run_gate
        from harness.gate_policy import load_policy, single_check_policy
        from harness.gate_render import as_text

        root = request.config.rootpath
        try:
            if policy is not None:
                rules = load_policy(root / policy)
            else:
                place = root / (baseline or Path("results", "baselines", f"{task}.json"))
                rules = single_check_policy(task, place, margin, generalise_to=generalise_to)
            verdict = run_gate(str(checkpoint), rules, gate_evaluate, until_decided=until_decided)
        except UserError as error:
            pytest.fail(f"the gate cannot be asked: {error}", pytrace=False)
        if verdict.decision != "PASS":
            pytest.fail(as_text(verdict), pytrace=False)
        return verdict

    return check
