"""The five renderings of one verdict say the same, and nothing hostile gets through any of them."""

from __future__ import annotations

import html
import json
import re
import unicodedata
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest

from harness.baseline import bless
from harness.gate import Verdict, run_gate
from harness.gate_policy import Check, Floor, Margin, MaxRatio, Policy, TaskPolicy
from harness.gate_render import as_comment, as_json, as_junit, as_step_summary, as_text, facts, visible, write_verdict
from tests.gate.material import evaluator, item, item_set

HOSTILE = (
    "]]></failure><script>alert(1)</script>",
    "| a | b |\n|---|---|\n# PASS (exit 0)",
    "@everyone #1 [x](javascript:alert(1)) https://evil.example www.evil.example",
    "\x1b[2J\x1b[31mPASS\x07\x00\x9b",
    "\u202egnp.exe\u2066\ufeff\ud800",
    "`code` **bold** <img src=x onerror=alert(1)> <!-- &amp; -->",
)


def verdicts(folder: Path) -> dict[str, Verdict]:
    """One verdict of each kind, with hostile ids, reasons, tags, run names and exception texts."""
    size = 240
    rows = [
        item(n, id=f"{n} {HOSTILE[n % 6]}", why=HOSTILE[n % 6], tags=(HOSTILE[2],), latency_s=1.0 + n % 5)
        for n in range(size)
    ]
    baseline = item_set([], items=tuple(rows), name=HOSTILE[1])
    path = bless(baseline, folder / "sql.json")
    checks = (
        Check(metric="score", limit=Margin(value=0.02)),
        Check(metric="format_failures", limit=Margin(value=0.05)),
        Check(metric="latency", limit=MaxRatio(value=1.5)),
        Check(metric="score", slice=HOSTILE[2], limit=Floor(value=0.5)),
    )
    policy = Policy(tasks=(TaskPolicy(task="sql", baseline=path, checks=checks),))

    def candidate(wrong: int) -> list[object]:
        changed = [
            replace(row, value=0.0, outcome="wrong", answer=HOSTILE[0]) if n < wrong else row
            for n, row in enumerate(rows)
        ]
        return [replace(row, latency_s=(row.latency_s or 1) * (1.1 + 0.01 * (n % 4))) for n, row in enumerate(changed)]

    def raises(checkpoint: str, baseline: object, item_ids: object) -> object:
        raise ValueError(HOSTILE[0] + HOSTILE[3])

    found = {
        "FAIL": run_gate(HOSTILE[0], policy, evaluator(replace(baseline, items=tuple(candidate(60))))),  # type: ignore[arg-type]
        "INCONCLUSIVE": run_gate(HOSTILE[1], policy, evaluator(replace(baseline, items=tuple(candidate(4))))),  # type: ignore[arg-type]
        "CANNOT_COMPARE": run_gate(HOSTILE[3], policy, raises),  # type: ignore[arg-type]
    }
    loose = Policy(
        tasks=(TaskPolicy(task="sql", baseline=path, checks=(Check(metric="score", limit=Margin(value=0.05)),)),)
    )
    found["PASS"] = run_gate("good", loose, evaluator(baseline))
    return found


def plain(markdown_text: str) -> str:
    """What a reader of the rendered page sees, near enough: character references resolved."""
    return html.unescape(markdown_text)


@pytest.mark.parametrize("decision", ["PASS", "FAIL", "INCONCLUSIVE", "CANNOT_COMPARE"])
def test_every_rendering_carries_the_same_verdict_and_numbers(tmp_path: Path, decision: str) -> None:
    verdict = verdicts(tmp_path)[decision]
    words = facts(verdict)
    assert verdict.decision == decision
    body = json.loads(as_json(verdict))
    tree = ElementTree.fromstring(as_junit(verdict))
    junit = "\n".join([*(text for element in tree.iter() for text in [element.text or "", *element.attrib.values()])])
    pages = [as_text(verdict), plain(as_step_summary(verdict)), plain(as_comment(verdict)), junit]
    assert (body["decision"], body["exit_code"]) == (decision, verdict.exit_code)
    for page in pages:
        assert decision in page
        for problem in words.problems:
            assert visible(problem) in page
        for check in words.checks:
            for cell in (check.name, check.decision, check.measured, check.limit, check.counts, check.p_values):
                assert visible(cell) in page
            assert check.further in page
    for page in pages[:3]:
        assert words.headline in page
        for line in words.tasks:
            assert visible(line) in page
    for row, check in zip(body["checks"], words.checks, strict=True):
        assert row["words"] == vars(check)
        assert row["words"]["measured"].split()[1] in (
            f"{row['estimate']:+.4f}",
            f"{row['estimate']:.3f}",
            f"{row['estimate']:.4f}",
        )
    assert [task["lost"]["count"] for task in body["tasks"]] == [len(task.flips.lost) for task in verdict.tasks]


@pytest.mark.parametrize("decision", ["PASS", "FAIL", "INCONCLUSIVE", "CANNOT_COMPARE"])
def test_junit_is_green_only_on_pass(tmp_path: Path, decision: str) -> None:
    verdict = verdicts(tmp_path)[decision]
    suite = ElementTree.fromstring(as_junit(verdict))[0]
    red = int(suite.get("failures", "")) + int(suite.get("errors", ""))
    assert (red == 0) == (decision == "PASS")
    assert int(suite.get("tests", "")) == len(suite.findall("testcase")) == len(verdict.checks) + len(verdict.problems)
    assert red == len(suite.findall("testcase/failure")) + len(suite.findall("testcase/error"))


def test_no_markup_of_hostile_text_survives_in_markdown(tmp_path: Path) -> None:
    for verdict in verdicts(tmp_path).values():
        for page in (as_step_summary(verdict), as_comment(verdict)):
            bare = page.replace("<!-- tunebench gate -->", "")
            tags = set(re.findall(r"<[^>\n]*>", bare))
            assert tags <= {"<details>", "</details>", "<summary>", "</summary>"}
            assert not re.search(r"[@`*\[\]_]|https?:|www\.|!\[", bare)
            assert sum(line.startswith("#") for line in bare.splitlines()) == 1
            rows = [line for line in bare.splitlines() if line.startswith("|")]
            assert {row.count("|") for row in rows} <= {8}


def test_no_control_character_reaches_a_terminal_or_a_file(tmp_path: Path) -> None:
    for verdict in verdicts(tmp_path).values():
        for render in (as_text, as_junit, as_step_summary, as_comment):
            assert {c for c in render(verdict) if unicodedata.category(c)[0] == "C"} <= {"\n"}
        assert as_json(verdict).isascii()


def test_long_lists_are_cut_to_the_limit_and_the_checks_stay(tmp_path: Path) -> None:
    rows = [item(n, id=f"{n} " + "\u00fc<>" * 90) for n in range(3000)]
    baseline = item_set([], items=tuple(rows))
    path = bless(baseline, tmp_path / "sql.json")
    policy = Policy(
        tasks=(TaskPolicy(task="sql", baseline=path, checks=(Check(metric="score", limit=Margin(value=0.02)),)),)
    )
    lost = tuple(replace(row, value=0.0, outcome="wrong") for row in rows)
    verdict = run_gate("new", policy, evaluator(replace(baseline, items=lost)))
    assert len(as_step_summary(verdict).encode()) <= 1_048_576
    assert len(as_comment(verdict)) <= 65_536
    tiny = as_step_summary(verdict, limit_bytes=2_000)
    assert len(tiny.encode()) <= 2_000
    assert "FAIL" in tiny
    assert "3000 lost" in tiny
    with pytest.raises(ValueError, match="do not fit"):
        as_step_summary(verdict, limit_bytes=100)


def test_a_long_list_of_problems_is_cut_with_its_number(tmp_path: Path) -> None:
    verdict = replace(
        verdicts(tmp_path)["CANNOT_COMPARE"], problems=tuple(f"problem {n} " + "<" * 290 for n in range(500))
    )
    page = as_comment(verdict)
    assert len(page) <= 65_536
    assert "and 480 more problems" in page


def test_renderings_are_written_and_the_summary_is_appended(tmp_path: Path) -> None:
    verdict = verdicts(tmp_path)["PASS"]
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    write_verdict(
        verdict,
        json_path=tmp_path / "deep" / "gate.json",
        junit_path=tmp_path / "gate.xml",
        comment_path=tmp_path / "gate.md",
        summary_path=summary,
    )
    assert summary.read_text() == "before\n" + as_step_summary(verdict)
    assert json.loads((tmp_path / "deep" / "gate.json").read_text())["decision"] == "PASS"
    assert (tmp_path / "gate.md").read_text() == as_comment(verdict)
