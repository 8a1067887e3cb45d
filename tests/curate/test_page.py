"""data.html and data.md: hostile text stays text, the policy allows nothing, and the files are whole."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from harness.curate.page import markdown, page, write_data_report
from tests.curate.planted import report
from tests.curate.test_planted_faults import asked

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"' onload=x {{ 7*7 }} \u202e | [a](javascript:x)"


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


def test_hostile_text_is_shown_and_never_markup() -> None:
    pair = (
        asked(HOSTILE, f"a {HOSTILE}", id=f"one {HOSTILE}"),
        asked(HOSTILE, "b", id=f"two {HOSTILE}", schema="schema 0"),
    )
    told = report(train=pair, test=(asked(HOSTILE, f"list {HOSTILE}", id="three", schema=HOSTILE),))
    text = page(told)
    tags = Tags()
    tags.feed(text)
    assert not {"script", "img", "iframe", "object", "link", "form"} & set(tags.tags)
    assert not [name for name, _ in tags.attributes if name.startswith("on")]
    assert "alert(1)" in text
    assert "\u202e" not in text
    assert not re.search(r"(?<!\\)<(?:script|img)", markdown(told))
    assert not re.search(r"(?<!\\)\]\(javascript", markdown(told))


def test_the_policy_allows_no_script_and_nothing_from_anywhere() -> None:
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page(report()))
    assert "default-src &#39;none&#39;" in policy
    assert "script-src &#39;none&#39;" in policy
    assert "unsafe-eval" not in policy
    assert "http" not in policy


def test_the_files_hold_the_same_findings(tmp_path: Path) -> None:
    told = report(train=(asked("What does the cafÃ© on the corner of the square sell?"),))
    path = write_data_report(told, tmp_path, "harness data toy")
    body = json.loads((tmp_path / "data.json").read_text())
    assert [finding["key"] for finding in body["findings"]] == [finding.key for finding in told.findings]
    assert body["removals"] == {"planted": told.removals["planted"]}
    for finding in told.findings:
        assert finding.title in path.read_text()
    assert "Made by: harness data toy" in (tmp_path / "data.md").read_text()


@pytest.mark.parametrize("file", ["data.html", "data.md", "data.json"])
def test_a_lone_surrogate_does_not_stop_the_report(tmp_path: Path, file: str) -> None:
    told = report(train=(asked("What is the n\ud83dme of the man on the square?"),))
    write_data_report(told, tmp_path)
    assert told.removals["planted"].startswith("broken characters: lone surrogate")
    assert (tmp_path / file).read_bytes().decode("utf-8")
