"""README.md's file map names every Python file of the three packages, each with a phrase, and none that is not there."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("harness", "tasks", "judges")
README = (ROOT / "README.md").read_text(encoding="utf-8")
ENTRY = re.compile(r"^- `((?:harness|tasks|judges)/[\w/]+\.py)`: (\S.*)$", re.MULTILINE)
NAMED_FILE = re.compile(r"(?:harness|tasks|judges|tests|results|requirements)/[\w./-]*\.(?:py|md|txt|yaml)\b")
MADE_BY_USE = re.compile(r"^results/(?!README\.md)")


def test_every_python_file_is_in_the_file_map() -> None:
    mapped = {name for name, _ in ENTRY.findall(README)}
    lacking = [path for path in _python_files() if path.relative_to(ROOT).as_posix() not in mapped]
    lines = [f"- `{path.relative_to(ROOT).as_posix()}`: {_first_sentence(path)}" for path in lacking]
    assert not lines, "README.md's file map lacks:\n" + "\n".join(lines)


def test_every_entry_of_the_file_map_is_a_file_and_named_once() -> None:
    names = [name for name, _ in ENTRY.findall(README)]
    assert names, "README.md has no file map"
    assert [name for name in names if not (ROOT / name).is_file()] == []
    assert [name for name, count in Counter(names).items() if count > 1] == []


def test_every_file_the_readme_names_exists() -> None:
    named = {name for name in NAMED_FILE.findall(README) if not MADE_BY_USE.match(name)}
    assert sorted(name for name in named if not (ROOT / name).is_file()) == []


def test_every_line_of_the_file_map_is_an_entry() -> None:
    after = README.partition("## File map")[2].partition("\n## ")[0]
    entries = [line for line in after.splitlines() if line.startswith("- ")]
    assert [line for line in entries if not ENTRY.fullmatch(line)] == []


def _python_files() -> list[Path]:
    found = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return [path for path in found if path.name != "__init__.py" or path.read_text(encoding="utf-8").strip()]


def _first_sentence(path: Path) -> str:
    text = " ".join((ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split())
    return re.split(r"(?<=[.?!]) (?=[A-Z`])", text)[0].rstrip(".")
