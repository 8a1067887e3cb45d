"""The extraction policy as a table: what a model wrote, and the statement that is judged."""

from __future__ import annotations

import time

import pytest

from tasks.sql.extract import extract_sql

Q = "SELECT name FROM t WHERE a = 1"
CASES = [
    ("bare", Q, Q),
    ("semicolon", Q + " ;\n", Q),
    ("fence", f"Here it is:\n```sql\n{Q};\n```\nIt lists names.", Q),
    ("fence without a language", f"```\n{Q}\n```", Q),
    ("unclosed fence", f"```sql\n{Q}", Q),
    ("last of two fences", f"Draft:\n```sql\nSELECT 1\n```\nFinal:\n```sql\n{Q}\n```", Q),
    ("prose before", f"The query is: {Q}", Q),
    ("prose after a blank line", f"{Q}\n\nThis returns all names.", Q),
    ("several statements", f"{Q}; SELECT 2;", Q),
    ("end token", f"{Q}<|im_end|>\n<|im_start|>user", Q),
    ("thinking", f"<think>SELECT wrong FROM t</think>{Q}", Q),
    ("backticks in prose", f"Use `{Q}` for this.", Q),
    ("semicolon in a string", "SELECT ';' FROM t; done", "SELECT ';' FROM t"),
    ("lower case after prose", "sure!\nselect name from t", "select name from t"),
    ("common table expression", "WITH a AS (SELECT 1) SELECT * FROM a", "WITH a AS (SELECT 1) SELECT * FROM a"),
    ("a line that goes on", "SELECT name\nFROM t\n\nWHERE a = 1", "SELECT name\nFROM t\n\nWHERE a = 1"),
    ("comment first", f"-- names\n{Q}", f"-- names\n{Q}"),
]


@pytest.mark.parametrize(("text", "sql"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_the_policy_finds_the_statement(text: str, sql: str) -> None:
    assert extract_sql(text).sql == sql


NONE = [
    ("nothing", "", "unparsed"),
    ("prose", "I will select the best rows with care.", "unparsed"),
    ("unfinished thought", "<think>SELECT 1 FROM t", "unparsed"),
    ("a write", "DROP TABLE t", "rejected"),
    ("a write behind", f"{Q}; DELETE FROM t", "rejected"),
    ("too long", "SELECT '" + "x" * 500_000 + "'", "rejected"),
]


@pytest.mark.parametrize(("text", "outcome"), [case[1:] for case in NONE], ids=[case[0] for case in NONE])
def test_text_without_an_answer_says_why(text: str, outcome: str) -> None:
    assert extract_sql(text).outcome == outcome


@pytest.mark.parametrize(
    "piece", ["<think>", "```", "select\n", "SELECT [", "((", "--", "/*", "'", "with a as ", ";", "\n\n"]
)
def test_extraction_is_fast_on_repeated_pieces(piece: str) -> None:
    start = time.process_time()
    extract_sql("SELECT " + piece * (400_000 // len(piece)))
    extract_sql(piece * (400_000 // len(piece)))
    assert time.process_time() - start < 4
