"""A gold query taken apart: an item's JSON in; its normal form, template, clauses and doubts out. Runs in a child process.

A doubt is a reason to look, not a verdict. Certain are only a WHERE that no row can satisfy and a query that reads no
table: whatever was asked, they do not answer it. Values are looked for in the question without case and punctuation, by
their first letters (Italian, Italy), and numbers also as words; codes of two letters and flags such as "yes" are
not looked for.
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

from sqlglot import exp

from tasks.sql import parse
from tasks.sql.dialect import DialectError, gold_in_sqlite
from tasks.sql.execute import Database, QueryError, Row
from tasks.sql.fixed_result import always_says
from tasks.sql.material import DATA_BUDGET_STEPS, GoldError, own_database, schema_of
from tasks.sql.parse_scores import normalised
from tasks.sql.schema import Schema

DoubtRow = tuple[str, str, bool]
_KEPT_DATABASES = 64
_VALUE = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|\b\d+(?:\.\d+)?\b")
_NAME = re.compile(r"\b[a-z_]\w*(?:\.[a-z_]\w*)?")
_FLAGS = frozenset({"yes", "no", "true", "false", "null", "none"})
_SHORT = 2  # letters: M, F, USA's US; a code need not stand in a question
_STEM = 4
_MANY_ROWS = 3
_NUMBER_WORDS: tuple[tuple[str, ...], ...] = (
    ("zero",), ("one", "once", "first"), ("two", "twice", "second", "more than one"), ("three", "third"),
    ("four", "fourth"), ("five", "fifth"), ("six", "sixth"), ("seven", "seventh"), ("eight", "eighth"),
    ("nine", "ninth"), ("ten", "tenth"), ("eleven",), ("twelve",),
)  # fmt: skip
_TENS = dict(
    zip(("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"), range(20, 100, 10), strict=True)
)
_FEATURES: tuple[tuple[str, tuple[type[exp.Expr], ...]], ...] = (
    ("join", (exp.Join,)),
    ("group by", (exp.Group,)),
    ("having", (exp.Having,)),
    ("order by", (exp.Order,)),
    ("limit", (exp.Limit,)),
    ("distinct", (exp.Distinct,)),
    ("set operation", (exp.SetOperation,)),
    ("count", (exp.Count,)),
    ("sum or avg", (exp.Sum, exp.Avg)),
    ("min or max", (exp.Min, exp.Max)),
    ("like", (exp.Like,)),
    ("between", (exp.Between,)),
    ("or", (exp.Or,)),
    ("not", (exp.Not,)),
)
_COMPARISONS = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.Like, exp.In, exp.Between)
_opened: OrderedDict[str, tuple[Database, bool, Schema]] = OrderedDict()


def serve(item: Mapping[str, Any]) -> dict[str, Any]:
    """{"context", "answer", "template", "parts", "doubts"} of {"gold", "schema", "data", "database", "dialect", "question"}."""
    words = " ".join(str(item["gold"]).split())
    try:
        database, has_data, schema = _open(item)
        sql = gold_in_sqlite(str(item["gold"]), item["dialect"] or "sqlite").strip().rstrip(";")
    except (GoldError, DialectError):
        return {"context": " ".join(str(item["schema"]).casefold().split()), "answer": words}
    context = "; ".join(sorted(f"{t.name}({', '.join(c.name for c in t.columns)})".lower() for t in schema.tables))
    tree = normalised(parse.parsed(sql, schema), schema)
    if tree is None:
        return {"context": context, "answer": words}
    rows = _own_rows(database, sql) if has_data else []
    doubts = [*_value_doubts(tree, str(item["question"])), *_table_doubts(tree), *_result_doubts(rows)]
    constant = list(_constant_doubts(tree))
    if not constant and (always := always_says(schema, sql, tree, rows)):
        constant = [("gold says the same whatever the data is", always[:80], False)]
    answer = parse.text(tree)
    return {
        "context": context,
        "answer": answer,
        "template": _template(answer),
        "parts": _parts(tree),
        "doubts": [*doubts, *constant],
    }


def _open(item: Mapping[str, Any]) -> tuple[Database, bool, Schema]:
    source = str(item["database"] or (item["schema"], item["data"], item["dialect"]))
    key = hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()
    if key not in _opened:
        database, has_data = own_database({**item, "dialect": item["dialect"] or "sqlite"})
        _opened[key] = (database, has_data, schema_of(database))
        while len(_opened) > _KEPT_DATABASES:
            _opened.popitem(last=False)[1][0].close()
    _opened.move_to_end(key)
    return _opened[key]


def _template(normal: str) -> str:
    """The structure of a normal form: every name is `_` and every value `?`; what SQL says is in capitals there."""
    return _NAME.sub("_", _VALUE.sub("?", normal))


def _parts(tree: exp.Expr) -> list[tuple[str, str]]:
    kinds = {type(node) for node in tree.walk()}
    found = [("clause", name) for name, wanted in _FEATURES if any(issubclass(kind, wanted) for kind in kinds)]
    tables = len({table.name for table in tree.find_all(exp.Table)})
    nested = any(select.parent_select is not None for select in tree.find_all(exp.Select))
    return [*found, *([("clause", "subquery")] if nested else []), ("tables", str(tables))]


# ---- doubts -----------------------------------------------------------------------------------------------


def _value_doubts(tree: exp.Expr, question: str) -> Iterator[DoubtRow]:
    asked = " ".join(re.findall(r"\w+", question.casefold().replace(",", "")))
    for condition in tree.find_all(exp.Where, exp.Having):
        for literal in condition.find_all(exp.Literal):
            value = str(literal.this)
            if not (_number_asked(value, asked) if not literal.is_string else _text_asked(value, asked)):
                yield ("a value of gold is not in the question", value[:80], False)
                return


def _number_asked(value: str, asked: str) -> bool:
    """Whether the question says the number; a whole one may be off by one: "more than 2" is also ">= 3"."""
    digits = value.removesuffix(".0")
    if digits in ("0", "1") or digits.replace(".", " ") in asked:
        return True
    if not digits.isdigit() or len(digits) > 15:
        return False
    near = range(int(digits) - 1, int(digits) + 2)
    words = [word for number in near if number < len(_NUMBER_WORDS) for word in _NUMBER_WORDS[number]]
    words += [word for word, number in _TENS.items() if number in near]
    return any(re.search(rf"\b{text}\b", asked) for text in (*map(str, near), *words, "more than once"))


def _text_asked(value: str, asked: str) -> bool:
    words = re.findall(r"\w+", value.casefold().replace(",", ""))
    if sum(map(len, words)) <= _SHORT or words[0] in _FLAGS or " ".join(words) in asked:
        return True
    return any(re.search(rf"\b{re.escape(word[:_STEM])}", asked) for word in words)


def _table_doubts(tree: exp.Expr) -> Iterator[DoubtRow]:
    for select in tree.find_all(exp.Select):
        sources = [str(s.this.alias_or_name) for s in _sources(select) if s.this is not None]
        columns = [c for c in select.find_all(exp.Column) if c.find_ancestor(exp.Select) is select]
        unclear = any(not column.table for column in columns) or any(j.args.get("using") for j in _joins(select))
        if len(sources) < 2 or len(set(sources)) < len(sources) or unclear:
            continue
        links, linking = _links(select, set(sources))
        apart = _reached(sources[0], links)
        if alone := [name for name in sources if name not in apart]:
            yield ("tables that no condition joins", f"{sources[0]} and {alone[0]}", False)
            continue
        used = {column.table for column in columns if id(column) not in linking}
        counted = any(select.find_all(exp.Star))
        for name in sources:
            if name not in used and not counted and len({a for a, b in links if b == name}) == 1:
                yield ("a joined table gives no column", name, False)
                break


def _links(select: exp.Select, names: set[str]) -> tuple[set[tuple[str, str]], set[int]]:
    """(pairs of sources that a condition ties, both ways round; the ids of the columns in such conditions)."""
    links: set[tuple[str, str]] = set()
    linking: set[int] = set()
    for node in select.find_all(*_COMPARISONS):
        columns = [column for column in node.find_all(exp.Column) if column.table in names]
        tied = {column.table for column in columns}
        if len(tied) > 1:
            links |= {(a, b) for a in tied for b in tied if a != b}
            linking |= {id(column) for column in columns}
    return links, linking


def _reached(start: str, links: set[tuple[str, str]]) -> set[str]:
    seen, waiting = {start}, [start]
    while waiting:
        here = waiting.pop()
        more = {b for a, b in links if a == here} - seen
        seen |= more
        waiting += more
    return seen


def _joins(select: exp.Select) -> list[exp.Expr]:
    return list(select.args.get("joins") or [])


def _sources(select: exp.Select) -> list[exp.Expr]:
    first = select.args.get("from_")
    return ([first] if first else []) + _joins(select)


def _constant_doubts(tree: exp.Expr) -> Iterator[DoubtRow]:
    if tree.find(exp.Table) is None:
        yield ("gold reads no table", parse.text(tree)[:80], True)
        return
    for where in tree.find_all(exp.Where):
        wanted: dict[str, str] = {}
        for column, value in _fixed(where):
            if wanted.setdefault(column, value) != value:
                yield ("a condition of gold can never hold", f"{column} = {wanted[column]} AND {value}"[:120], True)
                return
    shown = [column.unalias() for column in tree.selects] if isinstance(tree, exp.Select) else []
    known = {column for column, _ in _fixed(tree.args["where"])} if tree.args.get("where") else set()
    if shown and all(
        isinstance(e, exp.Literal) or (isinstance(e, exp.Column) and parse.text(e) in known) for e in shown
    ):
        yield ("gold shows only values that it names itself", ", ".join(map(parse.text, shown))[:80], False)


def _fixed(where: exp.Expr) -> Iterator[tuple[str, str]]:
    """(column, value) of the equalities that every row must meet."""
    parts = where.this.flatten() if isinstance(where.this, exp.And) else [where.this]
    for part in parts:
        sides = (part.this, part.expression) if isinstance(part, exp.EQ) else ()
        column = next((parse.text(side) for side in sides if isinstance(side, exp.Column)), None)
        value = next((parse.text(side) for side in sides if isinstance(side, exp.Literal)), None)
        if column is not None and value is not None:
            yield column, value


def _own_rows(database: Database, sql: str) -> list[Row]:
    try:
        return database.run(sql, budget_steps=DATA_BUDGET_STEPS).rows
    except QueryError:
        return []  # an unusable gold, which the data set lists with its reason


def _result_doubts(rows: list[Row]) -> Iterator[DoubtRow]:
    cells = {cell for row in rows for cell in row}
    if cells and cells <= {0, None}:
        yield ("gold gives only zeros and NULLs on its own data", str(rows[0])[:80], False)
    elif len(rows) >= _MANY_ROWS and len(set(rows)) == 1:
        yield ("gold gives one row many times on its own data", f"{rows[0]} x {len(rows)}"[:80], False)
