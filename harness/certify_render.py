"""A certificate for a person. In: a `Certificate`. Out: a table for a terminal with what to look at, and one closing line.

Details and examples hold texts from data sets: they are printed as text, without markup or control characters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.certificate import Certificate, Check, Status
from harness.gate_render import visible

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

STYLES: dict[Status, str] = {"pass": "green", "warn": "yellow", "fail": "bold red"}
EXAMPLES = 3
LONGEST = 400


def print_certificate(certificate: Certificate, title: str, console: Console) -> None:
    """Print every check with its status, the hashes of the parts, and the summary."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), title_justify="left", box=None, pad_edge=False)
    for heading in ("", "part", "check", "what was seen"):
        table.add_column(heading, overflow="fold")
    for check in certificate.checks:
        style = STYLES[check.status]
        table.add_row(Text(check.status, style=style), check.part, Text(check.name, style="bold"), _seen(check))
    console.print(table)
    parts = "  ".join(f"{part} {value}" for part, value in certificate.hashes.items())
    console.print(Text(f"hashes: {parts}", style="dim"))
    console.print(Text(certificate.summary, style="green bold" if certificate.passed else "red bold"))


def _seen(check: Check) -> RenderableType:
    from rich.text import Text

    text = Text(visible(check.detail)[:LONGEST])
    if check.status != "pass":
        for example in check.examples[:EXAMPLES]:
            text.append(f"\n{visible(example)[:LONGEST]}", style="dim")
    return text
