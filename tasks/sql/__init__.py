"""The task `sql`: a question and a schema in, one SQLite query out, judged by executing it. Its one export is `task`.

Data: `load.py` and `sources_*.py` (real data sets), `builtin/` (the generated one). Prompts: `prompts.py`. Scorers:
`score.py` and what it imports. This file imports nothing heavy: sqlglot and the generator are loaded when they are
first needed."""

from __future__ import annotations

from harness.core import DataRequest, Dataset, Example, TableChecks, Task
from tasks.sql import mock
from tasks.sql import score as scoring  # a module: `from ... import score` would hide it behind the function
from tasks.sql.anatomy import anatomy, row
from tasks.sql.compare import PROFILE_VERSION
from tasks.sql.extract import EXTRACTION_VERSION
from tasks.sql.prompts import PROMPTS


def load_data(request: DataRequest) -> Dataset:
    """The data set called `request.name`. Raises UserError when it is unknown or not found."""
    from tasks.sql.load import load

    return load(request)


def judge_context(example: Example) -> str:
    """What an LLM judge must see beside question and answers: the schema."""
    return str(example.meta.get("schema") or example.inputs.get("schema") or "")


task = Task(
    name="sql",
    version=f"{scoring.SCORER_VERSION}.{EXTRACTION_VERSION}.{PROFILE_VERSION}",  # scorer, extraction, comparison profiles
    summary="text to SQL, judged by execution on databases built to tell queries apart",
    sources=("builtin", "builtin-hard", "spider", "create-context", "wikisql", "bird", "jsonl"),
    load=load_data,
    prompts=PROMPTS,
    score=scoring.score,
    scorers=scoring.SCORERS,
    pair=scoring.pair,
    mutants=scoring.mutants,
    nasty=scoring.NASTY,
    unparsed_reasons=scoring.UNPARSED_REASONS,
    max_new_tokens=112,
    judge_context=judge_context,
    tables=TableChecks(schema=mock.tables_of, report=mock.mock_report),
    anatomy=anatomy,
    row=row,
)
