"""The page in a real Chromium: hostile text does nothing, items can be browsed, 30 runs x 1,000 items are quick."""

import os
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness.report.files import write_files
from harness.report.findings import report
from tests.report.synthetic import make_report_data

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or ""
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium found: install it, or set CHROMIUM to its path")
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
# OWASP XSS Filter Evasion Cheat Sheet, and what breaks data blocks, Markdown, SVG and spreadsheets
PAYLOADS = [
    "<script>window.hacked = 1</script>",
    "</script><script>window.hacked = 1</script>",
    "<img src=x onerror=window.hacked=1>",
    '"><svg onload=window.hacked=1>',
    "<svg><script>window.hacked=1</script></svg>",
    "<iframe srcdoc='<script>parent.hacked=1</script>'></iframe>",
    "<a href='javascript:window.hacked=1'>x</a>",
    "<style>body{display:none}</style>",
    "<!--",
    "-->",
    "]]>",
    "<base href=//example.org><meta http-equiv=refresh content=0;url=//example.org>",
    "{{ 7*7 }}{% for x in range(9) %}",
    "$(window.hacked=1) ${window.hacked=1} `window.hacked=1`",
    '=HYPERLINK("http://example.org")',
    "\x00\x01\x1b[31m\u202e\u2066\ufeff\ud800",
    "__proto__",
    "constructor",
    "<" * 5000,
    "$\\frac{1}{",
    "&lt;script&gt;window.hacked=1&lt;/script&gt;",
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def opened(chromium: Any, path: Path) -> tuple[Any, list[str]]:
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    page.on(
        "request", lambda request: None if request.url.startswith(("file:", "blob:")) else troubles.append(request.url)
    )
    page.goto(path.as_uri())
    return page, troubles


def objects(texts: Iterable[str], index: Any) -> "pd.Series[Any]":
    """Texts as Python objects: pandas' own strings cannot hold a lone surrogate, a model's output can."""
    return pd.Series(list(texts), index=index, dtype=object)


def first_paint_ms(page: Any) -> float:
    """Asked for again and again from here: waiting inside the page needs `eval`, which its policy forbids."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found: list[float] = page.evaluate(
            "performance.getEntriesByName('first-contentful-paint').map((entry) => entry.startTime)"
        )
        if found:
            return found[0]
        time.sleep(0.05)
    pytest.fail("the page was not painted within a minute")


def show_items(page: Any) -> None:
    page.evaluate("document.getElementById('browser').scrollIntoView()")
    page.wait_for_selector("#browser[data-ready=true]")
    page.wait_for_selector("#item .answers")


def test_hostile_text_everywhere_neither_runs_nor_breaks_the_page(chromium: Any, tmp_path: Path) -> None:
    data = make_report_data(grid="small", num_items=len(PAYLOADS) * 2)
    texts = objects((PAYLOADS[at % len(PAYLOADS)] for at in range(len(data.scores))), data.scores.index)
    evidence = [{text: {"rows": [[text]], "columns": [text]}, "gold_result": {"rows": [[text]]}} for text in texts]
    per_item = objects((PAYLOADS[at % len(PAYLOADS)] for at in range(len(data.examples))), data.examples.index)
    labels = objects((f"{PAYLOADS[at]}{at}" for at in range(len(data.runs))), data.runs.index)
    hostile = replace(
        data,
        scores=data.scores.assign(answer=texts, text=texts, why=texts, evidence=evidence),
        examples=data.examples.assign(gold=per_item, tags=[[text] for text in per_item], cluster=per_item,
                                      inputs=[{"question": text} for text in per_item]),
        runs=data.runs.assign(label=labels, note=PAYLOADS[: len(data.runs)], failed_reason=None),
        prompts={style: dict(zip(prompts, per_item, strict=True)) for style, prompts in data.prompts.items()},
        info={**data.info, "name": PAYLOADS[0], "command": PAYLOADS[1], "device": PAYLOADS[2]},
    )  # fmt: skip
    path = write_files(report(hostile), tmp_path)
    page, troubles = opened(chromium, path)
    show_items(page)
    assert len(page.query_selector_all("#list button")) == len(data.examples)
    for button in page.query_selector_all("#list button"):
        button.click()
    page.select_option("#filter-a", index=2)
    page.wait_for_timeout(300)
    assert page.evaluate("window.hacked") is None
    assert page.evaluate("getComputedStyle(document.body).display") == "block"
    assert page.evaluate("document.scripts.length") == 2 + len(page.query_selector_all("[id^=items-]")) - 1
    assert page.evaluate("document.querySelectorAll('iframe, base, img, object').length") == 0
    assert page.locator("footer").is_visible()
    assert troubles == []
    page.close()


def test_a_inside_b_filter_shows_exactly_the_items_that_a_won(chromium: Any, tmp_path: Path) -> None:
    data = make_report_data(grid="small", num_items=200)
    page, troubles = opened(chromium, write_files(report(data), tmp_path))
    show_items(page)
    a, b = (data.runs[data.runs["label"] == label].iloc[0] for label in ("lora r32 lr 0.001", "full lr 0.0001"))
    page.select_option("#filter-a", label=a["label"])
    page.select_option("#filter-b", label=b["label"])
    page.select_option("#filter-pair", "ab")
    first = {split: data.outcomes(a["run"], split)["outcome"] for split in ("validation", "test")}
    second = {split: data.outcomes(b["run"], split)["outcome"] for split in ("validation", "test")}
    wanted = sum(
        int(((first[split] == "right") & ~second[split].reindex(first[split].index).isin(["right", "unscored"])).sum())
        for split in first
    )
    assert page.inner_text("#count") == f"{wanted} of 200 items"
    page.wait_for_selector("#item .card.right")
    assert "A: lora r32" in page.inner_text("#item")
    assert "B: full" in page.inner_text("#item")
    assert page.locator("#item mark.new").count() > 0
    assert troubles == []
    page.close()


def test_a_heading_sorts_the_table_and_keeps_missing_values_last(chromium: Any, tmp_path: Path) -> None:
    page, _ = opened(chromium, write_files(report(make_report_data(grid="large", num_items=40)), tmp_path))
    read = "[...document.querySelectorAll('td[data-column=rank]')].map(cell => cell.dataset.sort)"
    heading = page.locator("table.runs th button", has_text="Rank")
    for down in (True, False):
        heading.click()
        values = [value for value in page.evaluate(read) if value]
        assert values == sorted(values, key=float, reverse=down)
        assert page.evaluate(read)[-1] == ""
    page.close()


def test_the_page_fits_a_phone_and_its_theme_can_be_switched(chromium: Any, tmp_path: Path) -> None:
    path = write_files(report(make_report_data(grid="small", num_items=60)), tmp_path)
    page, troubles = opened(chromium, path)
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    colours = set()
    for _ in range(3):
        page.click("#theme")
        colours.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(colours) == 2
    assert troubles == []
    page.close()


def test_thirty_runs_of_a_thousand_items_open_within_three_seconds(chromium: Any, tmp_path: Path) -> None:
    path = write_files(report(make_report_data()), tmp_path)
    assert path.stat().st_size < 20_000_000
    page, troubles = opened(chromium, path)
    paint = first_paint_ms(page)
    started = time.monotonic()
    show_items(page)
    shown_s = time.monotonic() - started
    for _ in range(3):  # a busy machine makes a page slower, never faster: the best of four counts
        if paint < 3000 and shown_s < 3:
            break
        page.reload()
        paint = min(paint, first_paint_ms(page))
        started = time.monotonic()
        show_items(page)
        shown_s = min(shown_s, time.monotonic() - started)
    assert paint < 3000
    assert shown_s < 3
    assert page.inner_text("#count") == "1,000 of 1,000 items"
    assert troubles == []
    page.close()
