"""Nothing a model writes runs, hangs, or fills the memory; scoring works from threads, processes and an event loop."""

from __future__ import annotations

import ast
import asyncio
import multiprocessing
import re
import resource
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import tasks.math
from harness.sandbox import Killed, RemoteError
from tasks.math import symbolic, task
from tasks.math.read import read

PACKAGE = Path(tasks.math.__file__).parent
FORBIDDEN = frozenset(
    "eval exec compile __import__ parse_expr sympify parse_latex lambdify simplify literal_eval getattr".split()  # noqa: SIM905
)
HARD = (r"\sqrt{3+2\sqrt2}", r"1+\sqrt2")  # needs the child
GOLDS = ("18", r"\sqrt{2}", r"\text{east}", "(1,2)", "x^2+1")
HOSTILE = (
    *task.nasty,
    "9**9**9**9",
    "9^9^9^9^9",
    "(((9^9)^9)^9)^9",
    "(1+x)^{1000000}",
    "(1+x+y+z+w)^{60}",
    "(x+1)^(64)*(y+1)^(64)*(z+1)^(64)",
    "((x+1)^{60}+(y+1)^{60})^{60}",
    "1000000!",
    "((100!)!)!",
    r"\binom{1000000}{500000}",
    "1e999999999",
    "1" * 3000,
    "0." + "3" * 100_000,
    "\\frac{" * 2000 + "1" + "}{2}" * 2000,
    "\\sqrt{" * 500 + "2" + "}" * 500,
    "-" * 5000 + "1",
    "(" * 1500 + "1" + ")" * 1500,
    "2^" * 800 + "2",
    ",".join("1" * 900),
    "\\pm" * 200 + "1",
    "+".join(f"\\pm x_{{{k}}}" for k in range(40)),
    "|" * 1000,
    "\\begin{pmatrix}" * 300,
    "\\log" * 500 + "2",
    "sqrt(10000000000000000000000000000000000000000000000000000000000000000000000000000061)",
    "２＋２",
    "𝟏𝟖",
    "1\u200b8",
    "<think>" * 1000 + "</think>" * 1000,
    "the answer is not " * 5000,
    "#### \n" * 20_000,
    "= " * 50_000,
    "1 or " * 20_000,
    "\\boxed{1} and " * 5_000,
    "a" * 200_000 + "?" * 200_000,
    "If " * 50_000,
    "1.1.1." * 30_000,
    "$1" * 50_000,
    " " * 500_000 + "x",
    "\n" * 500_000,
    "answer" * 50_000,
    "answer: " * 50_000,
    "So the value is 5 " + " " * 200_000 + "7.",
    "So the value is 5 " + "<think>" * 20_000 + "7.",
    "(A). " * 400,
)


def test_no_source_file_evaluates_text() -> None:
    """Every call in the package by name; `re.compile` is the one allowed namesake."""
    found = []
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                if name.rpartition(".")[2] in FORBIDDEN and name != "re.compile":
                    found.append(f"{path.name}:{node.lineno} calls {name}")
    assert not found


def test_sympy_is_imported_in_the_child_only() -> None:
    importers = {
        path.name for path in PACKAGE.glob("*.py") if re.search(r"^\s*(?:import|from) sympy", path.read_text(), re.M)
    }
    assert importers == {"sympy_child.py"}


@pytest.mark.parametrize("gold", GOLDS)
def test_hostile_text_ends_in_two_seconds_without_an_exception(gold: str) -> None:
    example = task.pair({"id": "1", "gold": gold})
    symbolic.start()  # its import is not the pair's time
    for text in HOSTILE:
        began = time.process_time()
        scores = task.score(example, text)
        spent = time.process_time() - began
        assert spent < 2.0, f"{text[:40]!r} took {spent:.2f} s against {gold!r}"
        assert scores["answer"].value in (0.0, 1.0, None)


def test_hostile_text_does_not_fill_the_memory() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    example = task.pair({"id": "1", "gold": "18"})
    for text in HOSTILE:
        task.score(example, text)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 300 * 1024, f"{grown / 1024:.0f} MiB more"


@pytest.mark.parametrize(
    "payload",
    [
        "__import__('pathlib').Path('{canary}').touch()",
        "\\boxed{__import__('os').system('touch {canary}')}",
        "#### (lambda: open('{canary}','w'))()",
        "The answer is exec(\"open('{canary}','w')\")",
        "\\boxed{{}.__class__.__mro__[1].__subclasses__()}",
        "\\boxed{\\write18{touch {canary}}}",
        "\\boxed{\\input{/etc/passwd}}",
        "`touch {canary}`",
        "$(touch {canary})",
        '\\boxed{N(\'__import__("os").system("touch {canary}")\')}',
    ],
)
def test_code_in_an_answer_leaves_no_trace(payload: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    text = payload.replace("{canary}", str(canary))
    for gold in ("18", r"\sqrt{2}", "x^2"):
        scores = task.score(task.pair({"id": "1", "gold": gold}), text)
        assert scores["answer"].value in (0.0, None)
    task.score(task.pair({"id": "1", "gold": text}), text)  # a hostile gold as well
    assert not canary.exists()


def test_nasty_strings_score_zero_with_every_scorer() -> None:
    example = task.pair({"id": "1", "gold": "2 * 9 = 18\n#### 18"})
    for text in task.nasty:
        assert {score.value for score in task.score(example, text).values()} == {0.0}, text[:40]


def _hard_pair(_: int) -> float | None:
    return task.score(task.pair({"id": "1", "gold": HARD[0]}), HARD[1])["answer"].value


def test_hard_pairs_are_scored_from_threads() -> None:
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(_hard_pair, range(8))) == {1.0}


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_hard_pairs_are_scored_from_processes(method: str) -> None:
    _hard_pair(0)  # the parent has a worker of its own, which a forked child must not share
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.map_async(_hard_pair, range(3)).get(timeout=120) == [1.0] * 3


def test_hard_pairs_are_scored_inside_an_event_loop() -> None:
    async def scored() -> float | None:
        return _hard_pair(0)

    assert asyncio.run(scored()) == 1.0


@pytest.mark.parametrize(
    "failure", [Killed("timeout"), Killed("memory"), Killed("crash"), RemoteError("ValueError: no")]
)
def test_a_child_that_fails_makes_the_pair_unscored(failure: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        def call(self, payload: object, timeout_s: float) -> object:
            raise failure

    monkeypatch.setattr(symbolic, "_worker", Failing)
    score = task.score(task.pair({"id": "1", "gold": HARD[0]}), HARD[1])["answer"]
    assert (score.value, score.why) == (None, "undecided")


def test_the_reader_refuses_what_is_too_deep_before_any_arithmetic() -> None:
    for text in ("(" * 300 + "1" + ")" * 300, "\\sqrt{" * 100 + "2" + "}" * 100, "9" * 1000):
        with pytest.raises(Exception, match=r"deep|characters|symbols"):
            read(text)


def test_the_child_ends_a_call_by_its_processor_time(monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.math import sympy_child

    def spin(payload: object) -> list[str]:
        while True:
            pass

    monkeypatch.setattr(sympy_child, "_verdict", spin)
    monkeypatch.setattr(sympy_child, "CPU_S", 0.05)
    assert sympy_child.answer({}) == ["undecided", "sympy took more than 0.05 s"]
