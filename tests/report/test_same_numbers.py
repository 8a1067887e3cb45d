"""Every file of a report says the same: page, Markdown, CSV, Parquet, JSON and model card."""

import csv
import json
import re
from collections import defaultdict
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
import yaml
from huggingface_hub import ModelCard

from harness.report.answer import display, interval
from harness.report.files import write_files
from harness.report.findings import Report, report
from harness.report.table import COLUMNS
from tests.report.synthetic import make_report_data


class Cells(HTMLParser):
    """run -> column -> (raw sort value, printed text) of the page's table."""

    def __init__(self) -> None:
        super().__init__()
        self.runs: dict[str, dict[str, tuple[str, str]]] = defaultdict(dict)
        self.run, self.column, self.raw, self.text = "", "", "", ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "tr":
            self.run = values.get("data-run", "")
        if tag == "td":
            self.column, self.raw, self.text = values.get("data-column", ""), values.get("data-sort", ""), ""

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "td" and self.run and self.column:
            self.runs[self.run][self.column] = (self.raw, " ".join(self.text.split()))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Path]:
    made = report(make_report_data(grid="small", num_items=200))
    folder = tmp_path_factory.mktemp("sweep")
    write_files(made, folder)
    return made, folder


def markdown_table(folder: Path) -> dict[str, list[str]]:
    text = (folder / "report.md").read_text(encoding="utf-8")
    rows = text[text.index("## Runs") :].splitlines()
    cells = [re.sub(r"\\(.)", r"\1", row).strip("| ").split(" | ") for row in rows if row.startswith("| ")]
    return {row[0]: row for row in cells}


def test_scores_agree_in_all_files(written: tuple[Report, Path]) -> None:
    _, folder = written
    items = pd.read_parquet(folder / "items.parquet")
    page = Cells()
    page.feed((folder / "report.html").read_text(encoding="utf-8"))
    with (folder / "runs.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    table = markdown_table(folder)
    assert len(rows) == 6
    for row in rows:
        for split in ("validation", "test"):
            mine = items[(items["run"] == row["run"]) & (items["split"] == split) & (items["scorer"] == row["scorer"])]
            raw, printed = page.runs[row["run"]][f"{split}_score"]
            if mine.empty:
                assert (row[f"{split}_score"], raw) == ("", "")
                continue
            score = mine["value"].dropna().mean()
            assert float(row[f"{split}_score"]) == pytest.approx(score, abs=1e-12)
            assert float(raw) == float(row[f"{split}_score"])
            assert int(float(row[f"{split}_n"])) == mine["value"].notna().sum()
            low, high = float(row[f"{split}_low"]), float(row[f"{split}_high"])
            assert printed == f"{display(score, 'share')} {interval(low, high)} n={mine['value'].notna().sum():,}"
            assert printed in table[row["label"]]


def test_every_other_column_agrees_in_csv_page_and_markdown(written: tuple[Report, Path]) -> None:
    _, folder = written
    page = Cells()
    page.feed((folder / "report.html").read_text(encoding="utf-8"))
    table = markdown_table(folder)
    places = {title: place for place, title in enumerate(table["Run"])}
    filled = set()
    for row in pd.read_csv(folder / "runs.csv").to_dict("records"):
        for column in COLUMNS[3:]:
            raw, printed = page.runs[row["run"]][column.name]
            assert printed == display(row[column.name], column.unit) == table[row["label"]][places[column.title]]
            if raw and column.unit != "text":
                assert float(raw) == row[column.name]
                filled.add(column.name)
    assert filled == {column.name for column in COLUMNS[3:] if column.unit != "text"}


def test_outcome_counts_in_the_csv_are_those_of_the_items(written: tuple[Report, Path]) -> None:
    _, folder = written
    items = pd.read_parquet(folder / "items.parquet")
    for row in pd.read_csv(folder / "runs.csv").to_dict("records"):
        mine = items[
            (items["run"] == row["run"]) & (items["split"] == "validation") & (items["scorer"] == row["scorer"])
        ]
        for word in ("right", "wrong", "unparsed", "truncated", "unscored"):
            assert row[word] == (mine["outcome"] == word).sum(), (row["run"], word)


def test_every_verdict_and_number_of_a_finding_is_in_page_markdown_and_json(written: tuple[Report, Path]) -> None:
    made, folder = written
    text = re.sub(r"\\(.)", r"\1", (folder / "report.md").read_text(encoding="utf-8"))
    html = (folder / "report.html").read_text(encoding="utf-8")
    stored = json.loads((folder / "findings.json").read_text())["findings"]
    assert [finding.number for finding in made.findings] == list(range(1, 10))
    for finding, told in zip(made.findings, stored, strict=True):
        assert finding.verdict in text
        assert finding.verdict in html
        assert finding.verdict == told["verdict"]
        for number, kept in zip(finding.numbers, told["numbers"], strict=True):
            assert f"| {number.name} | {number} |" in text
            assert f"<dt>{number.name}</dt><dd>{number}" in html
            assert kept["value"] == pytest.approx(number.value)


def test_the_model_card_holds_the_recommended_runs_scores(written: tuple[Report, Path]) -> None:
    made, folder = written
    card = (folder / "model-card" / "README.md").read_text(encoding="utf-8")
    metadata = yaml.safe_load(card.split("---\n")[1])
    run = made.recommended
    assert run is not None
    results = metadata["model-index"][0]["results"]
    values = {result["dataset"]["split"]: result["metrics"][0]["value"] for result in results}
    assert values["validation"] == run["validation_score"]
    assert ("test" in values) == bool(run["test_score"] == run["test_score"])


def test_the_hub_reads_the_model_cards_results(written: tuple[Report, Path]) -> None:
    made, folder = written
    card = ModelCard((folder / "model-card" / "README.md").read_text(encoding="utf-8"))
    assert made.recommended is not None
    found = {result.dataset_split: result.metric_value for result in card.data.eval_results or []}
    assert found["validation"] == made.recommended["validation_score"]
