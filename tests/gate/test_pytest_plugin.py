"""The fixture `assert_no_regression` in a team's own test suite, run by a real pytest in a child process."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest

from harness.baseline import bless
from tests.gate.material import item_set

CONFTEST = """
import pytest
from dataclasses import replace
from pathlib import Path
from harness.baseline import read_baseline

@pytest.fixture(scope="session")
def gate_evaluate():
    def evaluate(checkpoint, baseline, item_ids):
        if checkpoint == "corrupt":
            raise OSError("not a safetensors file")
        found = read_baseline(Path("results/baselines/sql.json"))
        wrong = {"good": 0, "bad": 100}[checkpoint]
        rows = [
            replace(row, value=0.0, outcome="wrong") if place < wrong else row for place, row in enumerate(found.items)
        ]
        return replace(found, name=checkpoint, items=tuple(row for row in rows if row.id in set(item_ids)))
    return evaluate
"""

CASES = {
    "good": ('"good", task="sql", margin=0.02', "passed", ""),
    "bad": ('"bad"', "failed", "FAIL (exit 1)"),
    "corrupt": ('"corrupt"', "failed", "CANNOT_COMPARE (exit 3)"),
    "undecided": ('"good", margin=0.001', "failed", "INCONCLUSIVE (exit 2)"),
    "missing": ('"good", baseline="nowhere.json"', "failed", "harness bless"),
    "policy": ('"good", policy="nowhere.yaml"', "failed", "no policy at"),
    "margin": ('"good", margin=2', "failed", "a margin is in"),
}


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    """{case: (outcome, text)} of one real pytest run over a team's folder."""
    folder = tmp_path_factory.mktemp("team")
    bless(item_set(["right"] * 400), folder / "results" / "baselines" / "sql.json")
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    tests = [
        f"def test_{case}(assert_no_regression):\n    assert_no_regression({call})\n"
        for case, (call, _, _) in CASES.items()
    ]
    (folder / "test_release.py").write_text("\n".join(tests))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml=report.xml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    found = {}
    for case in ElementTree.parse(folder / "report.xml").iter("testcase"):
        failure = case.find("failure")
        text = "" if failure is None else (failure.text or "") + failure.get("message", "")
        found[case.get("name", "").removeprefix("test_")] = ("passed" if failure is None else "failed", text)
    return found


@pytest.mark.parametrize("case", CASES)
def test_the_fixture_fails_unless_the_verdict_is_pass(reports: dict[str, tuple[str, str]], case: str) -> None:
    _, outcome, words = CASES[case]
    assert reports[case][0] == outcome
    assert words in reports[case][1]


def test_loading_the_plugin_imports_nothing_heavy() -> None:
    code = (
        "import sys, pytest\nbefore = set(sys.modules)\nimport harness.pytest_plugin\n"
        "print(sorted(name for name in set(sys.modules) - before if not name.startswith('_')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() in ("['harness', 'harness.pytest_plugin']", "['harness.pytest_plugin']")
