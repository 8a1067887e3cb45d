"""Every `harness` command that a README shows exists, with every option it is shown with; so does every make target."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from harness.cli import app
from harness.cli_judges import OPTIONS

ROOT = Path(__file__).resolve().parents[2]
FILES = ("README.md", "judges/README.md")
COMMAND = re.compile(r"(?:^|`|/)(harness [a-z][^`#\n]*)", re.MULTILINE)
TARGET = re.compile(r"(?:^|`)make ([a-z][a-z-]*)((?: [A-Z_]+=)?)", re.MULTILINE)


@pytest.mark.parametrize("name", FILES)
def test_every_command_and_option_exists(name: str) -> None:
    verbs = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    found = COMMAND.findall(_shown(name))
    assert found
    for command in found:
        words = command.split()[1:]
        assert words[0] in verbs, command
        known = {option for parameter in verbs[words[0]].params for option in parameter.opts}
        asked = {word.partition("=")[0] for word in words if word.startswith("--")} - {"--help"}
        assert asked <= known, command


@pytest.mark.parametrize("name", FILES)
def test_every_make_target_exists(name: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target, _ in TARGET.findall(_shown(name)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_option_of_a_judge_is_a_make_variable() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for option in OPTIONS:
        assert f"--{option.replace('_', '-')}" in makefile or f"{option.replace('_', '-')})" in makefile, option
        assert option.upper() in makefile, option
        assert option.upper() in (ROOT / "judges" / "README.md").read_text(encoding="utf-8"), option


def _shown(name: str) -> str:
    """The file without what it says is not there yet."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return re.sub(r"## What is not there yet\n.*?(?=\n## )", "", text, flags=re.DOTALL)
