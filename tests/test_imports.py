"""Who may import whom, read from the source with ast. A violation is one line: file, line, what, and who may.

Imports inside functions count, and so does `importlib.import_module("name")` with a literal name. Imports under
`if TYPE_CHECKING:` count too for the project's own packages (a type is a dependency of the reader), but not for the
third-party ones that cost time and space only when they are really loaded.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("harness", "tasks", "judges")
OWNERS = {"peft": "harness/train", "vllm": "harness/sample", "ray": "harness/engine", "openai": "judges"}
LEAVES = ("harness.core", "harness.sandbox", "harness.stats")
TASKS_MAY = ("harness.core", "harness.sandbox", "harness.sources")
JUDGES_MAY = ("harness.core", "harness.stats")
IMPORTER_OF_TASKS_AND_JUDGES = "harness.registry"
HEAVY = ("torch", "transformers", "pandas", "scipy", "sqlglot")


def violations(path: str, source: str) -> list[str]:
    """One line for each import of the file `path` (relative, with /) that the rules forbid."""
    importer = _module_name(path)
    found = []
    for name, line, is_type_only in _imports(ast.parse(source), importer, is_package=path.endswith("/__init__.py")):
        if rule := _broken_rule(path, importer, name, is_type_only):
            found.append(f"{path}:{line} imports {name}; {rule}")
    return found


def _broken_rule(path: str, importer: str, name: str, is_type_only: bool) -> str:
    top = name.partition(".")[0]
    if top in OWNERS:
        owner = OWNERS[top]
        return "" if is_type_only or path.startswith(f"{owner}/") else f"only {owner} may"
    if top not in PACKAGES:
        return ""
    leaf = next((leaf for leaf in LEAVES if _inside(importer, leaf)), None)
    if leaf:
        return "" if _inside(name, leaf) else f"{leaf} imports nothing of ours"
    if _inside(importer, "tasks"):
        own = [".".join(importer.split(".")[:2])] if importer != "tasks" else []
        may = (*TASKS_MAY, *own)
        return "" if _any_inside(name, may) else f"a task may import only {', '.join(may)}"
    if _inside(importer, "judges"):
        may = (*JUDGES_MAY, "judges")
        return "" if _any_inside(name, may) else f"judges may import only {', '.join(may)}"
    if top in ("tasks", "judges") and importer != IMPORTER_OF_TASKS_AND_JUDGES:
        return f"only {IMPORTER_OF_TASKS_AND_JUDGES} may"
    return ""


def _imports(tree: ast.Module, importer: str, *, is_package: bool) -> Iterator[tuple[str, int, bool]]:
    """(absolute dotted name, line, under TYPE_CHECKING) of every import. `from a import b` is `a.b`."""
    type_only = {id(inner) for node in ast.walk(tree) if _is_type_checking(node) for inner in _body(node)}
    for node in ast.walk(tree):
        for name in _names(node, importer, is_package):
            yield name, getattr(node, "lineno", 0), id(node) in type_only


def _names(node: ast.AST, importer: str, is_package: bool) -> Iterable[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            parents = importer.split(".")
            kept = parents[: len(parents) - node.level + is_package]
            base = ".".join([*kept, *([node.module] if node.module else [])])
        return [f"{base}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
            return [node.args[0].value]
    return []


def _is_type_checking(node: ast.AST) -> bool:
    if not isinstance(node, ast.If):
        return False
    return getattr(node.test, "id", getattr(node.test, "attr", "")) == "TYPE_CHECKING"


def _body(node: ast.AST) -> Iterator[ast.AST]:
    assert isinstance(node, ast.If)
    for statement in node.body:
        yield from ast.walk(statement)


def _module_name(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _inside(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def _any_inside(name: str, packages: Iterable[str]) -> bool:
    return any(_inside(name, package) for package in packages)


def test_every_import_keeps_the_rules() -> None:
    files = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    assert {path.relative_to(ROOT).parts[0] for path in files} == set(PACKAGES)
    broken = [
        line
        for path in files
        for line in violations(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
    ]
    assert not broken, "\n" + "\n".join(broken)


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        ("harness/x.py", "import vllm", "harness/x.py:1 imports vllm; only harness/sample may"),
        ("harness/sample_more.py", "import vllm", "only harness/sample may"),
        (
            "harness/x.py",
            "\n\ndef f():\n    from peft import LoraConfig",
            "harness/x.py:4 imports peft.LoraConfig; only",
        ),
        ("harness/sweep.py", "import ray.data as data", "only harness/engine may"),
        (
            "harness/x.py",
            "import importlib\nimportlib.import_module('openai')",
            "x.py:2 imports openai; only judges may",
        ),
        ("harness/core.py", "from harness import stats", "harness.core imports nothing of ours"),
        (
            "harness/stats/means.py",
            "from ..core import Score",
            "imports harness.core.Score; harness.stats imports nothing",
        ),
        ("harness/sandbox.py", "import tasks.sql", "harness.sandbox imports nothing of ours"),
        ("tasks/sql/score.py", "from harness.store import Run", "a task may import only harness.core"),
        ("tasks/sql/score.py", "from tasks.math import extract", "a task may import only harness.core"),
        ("tasks/sql/builtin/draw.py", "from ...math import extract", "imports tasks.math.extract; a task may"),
        ("tasks/sql/score.py", "from harness import sweep", "a task may import only harness.core"),
        ("tasks/sql/score.py", "import judges", "a task may import only harness.core"),
        (
            "judges/grader.py",
            "from harness.sources import locate",
            "judges may import only harness.core, harness.stats",
        ),
        ("judges/grader.py", "from tasks.sql import task", "judges may import only harness.core, harness.stats"),
        ("harness/sweep.py", "from tasks.sql import task", "only harness.registry may"),
        ("harness/judging.py", "from judges import grade", "only harness.registry may"),
        (
            "harness/sweep.py",
            "if TYPE_CHECKING:\n    import judges",
            "sweep.py:2 imports judges; only harness.registry",
        ),
    ],
)
def test_a_forbidden_import_is_reported_with_its_line(path: str, source: str, expected: str) -> None:
    (line,) = violations(path, source)
    assert expected in line


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("harness/train/trainee.py", "from peft import LoraConfig"),
        ("harness/sample/vllm_engine.py", "def f():\n    import vllm"),
        ("harness/engine/ray.py", "import ray"),
        ("judges/client.py", "from openai import AsyncOpenAI"),
        ("harness/x.py", "if TYPE_CHECKING:\n    import vllm"),
        ("harness/stats/means.py", "from harness.stats.inputs import checked\nfrom .inputs import checked"),
        ("harness/stats/__init__.py", "from .inputs import checked"),
        (
            "tasks/sql/score.py",
            "from harness.core import Score\nfrom harness import sandbox\nfrom tasks.sql import parse",
        ),
        ("tasks/sql/builtin/draw.py", "from .. import schema\nimport raylib, tasks.sql.parse"),
        ("judges/grader.py", "from harness.stats import wilson_interval\nfrom judges.calls import Call"),
        ("harness/registry.py", "import tasks.sql"),
        ("harness/registry.py", "if TYPE_CHECKING:\n    import judges as judges"),
        ("harness/judging.py", "from harness.registry import judges"),
        ("harness/sweep.py", "from harness.store import Run\nimport json"),
    ],
)
def test_an_allowed_import_is_not_reported(path: str, source: str) -> None:
    assert violations(path, source) == []


@pytest.mark.parametrize("module", ["harness", "harness.core"])
def test_importing_it_loads_nothing_heavy(module: str) -> None:
    script = f"import json, sys, {module}; print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
