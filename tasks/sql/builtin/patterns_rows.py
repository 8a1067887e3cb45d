"""Questions over one table that list, count or measure rows."""

from __future__ import annotations

from tasks.sql.builtin.draft import Draft, PatternFunction, pattern, some_column, some_table
from tasks.sql.builtin.draw import Draw
from tasks.sql.builtin.filters import MAKERS, Database, Filter
from tasks.sql.builtin.schema import Column, Table

LIST = (
    "List the {labels} of {nouns} {words}.",
    "What are the {labels} of the {nouns} {words}?",
    "Give me the {labels} of all {nouns} {words}.",
    "Find the {nouns} {words} and return their {labels}.",
    "Show the {labels} of all {nouns} {words}.",
)
LIST_TWO = (
    "List the {labels} and {others} of {nouns} {words}.",
    "Show the {label} and the {other} of all {nouns} {words}.",
    "For all {nouns} {words}, give the {label} and the {other}.",
    "What are the {labels} and {others} of the {nouns} {words}?",
)
COUNT = (
    "How many {nouns} {words} are there?",
    "Count the {nouns} {words}.",
    "What is the number of {nouns} {words}?",
    "Give the number of {nouns} {words}.",
    "Find out how many {nouns} {words} there are.",
)
MEASURE = (
    "What is the {measure} of {nouns} {words}?",
    "Find the {measure} of all {nouns} {words}.",
    "For the {nouns} {words}, what is the {measure}?",
    "Give the {measure} of the {nouns} {words}.",
)
AGGREGATES = (
    ("AVG", "average"),
    ("AVG", "mean"),
    ("MAX", "highest"),
    ("MIN", "lowest"),
    ("SUM", "total"),
    ("MAX", "maximum"),
    ("MIN", "minimum"),
)


def words_of(table: Table, **extra: str) -> dict[str, str]:
    """The table's words for a template."""
    return {
        "label": table.label.phrase,
        "labels": table.label.plural,
        "noun": table.noun,
        "nouns": table.plural,
        "who": table.who,
        **extra,
    }


def aggregate(column: Column, draw: Draw) -> tuple[str, str]:
    """(SQL function, its words with the column's phrase)."""
    function, word = draw.one([pair for pair in AGGREGATES if column.adds or pair[0] != "SUM"])
    return function, f"{word} {column.phrase}"


def _filtered(db: Database, draw: Draw, kind: str, *kinds: str) -> tuple[Table, Filter] | None:
    table = some_table(db, draw, *kinds)
    condition = MAKERS[kind](db, table, draw, "") if table else None
    return (table, condition) if table and condition else None


def _list(kind: str) -> PatternFunction:
    def make(db: Database, draw: Draw) -> Draft | None:
        found = _filtered(db, draw, kind)
        if found is None or (kind == "initial" and found[0].label.kind != "label"):
            return None
        table, condition = found
        sql = f"SELECT {table.label.name} FROM {table.name}"
        return Draft(
            question=draw.one(LIST).format(**words_of(table, words=condition.words)),
            sql=f"{sql} WHERE {condition.sql}",
            tags=condition.tags,
            unlike=(sql,),
        )

    return make


def _list_two(kind: str) -> PatternFunction:
    def make(db: Database, draw: Draw) -> Draft | None:
        found = _filtered(db, draw, kind, "label")
        if found is None:
            return None
        table, condition = found
        others = [
            c
            for c in table.of_kind("number", "date", "category")
            if c.name not in condition.columns and not c.null_share
        ]
        if not others:
            return None
        other = draw.one(others)
        sql = f"SELECT {table.label.name}, {other.name} FROM {table.name}"
        words = words_of(table, words=condition.words, other=other.phrase, others=other.plural)
        return Draft(
            question=draw.one(LIST_TWO).format(**words),
            sql=f"{sql} WHERE {condition.sql}",
            tags=condition.tags,
            unlike=(sql,),
        )

    return make


def _count(kind: str) -> PatternFunction:
    def make(db: Database, draw: Draw) -> Draft | None:
        found = _filtered(db, draw, kind)
        if found is None:
            return None
        table, condition = found
        sql = f"SELECT COUNT(*) FROM {table.name}"
        return Draft(
            question=draw.one(COUNT).format(**words_of(table, words=condition.words)),
            sql=f"{sql} WHERE {condition.sql}",
            tags=condition.tags,
            unlike=(sql,),
        )

    return make


def _measure(kind: str) -> PatternFunction:
    def make(db: Database, draw: Draw) -> Draft | None:
        found = _filtered(db, draw, kind, "number")
        if found is None:
            return None
        table, condition = found
        columns = [column for column in table.of_kind("number") if column.name not in condition.columns]
        if not columns:
            return None
        column = draw.one(columns)
        function, measure = aggregate(column, draw)
        sql = f"SELECT {function}({column.name}) FROM {table.name}"
        return Draft(
            question=draw.one(MEASURE).format(**words_of(table, words=condition.words, measure=measure)),
            sql=f"{sql} WHERE {condition.sql}",
            tags=condition.tags,
            unlike=(sql,),
        )

    return make


_HARDER = {
    "both": "medium",
    "one_of_two": "medium",
    "between": "medium",
    "missing": "medium",
    "initial": "medium",
    "either": "medium",
}
for _kind in MAKERS:
    _level = _HARDER.get(_kind, "easy")
    pattern(f"list_{_kind}", _level)(_list(_kind))  # type: ignore[arg-type]
    pattern(f"count_{_kind}", _level, "aggregate")(_count(_kind))  # type: ignore[arg-type]
for _kind in ("equal", "compare", "year", "both", "either"):
    pattern(f"list_two_{_kind}", "medium")(_list_two(_kind))
for _kind in ("equal", "day", "year", "compare", "either", "both"):
    pattern(f"measure_{_kind}", "medium", "aggregate")(_measure(_kind))


@pattern("count_all", "easy", "aggregate")
def count_all(db: Database, draw: Draw) -> Draft | None:
    """How many rows a table has."""
    table = draw.one(db.schema.tables)
    question = draw.one(
        (
            "How many {nouns} are there?",
            "Count all {nouns}.",
            "What is the total number of {nouns}?",
            "How many {nouns} are in the database?",
        )
    )
    return Draft(question=question.format(**words_of(table)), sql=f"SELECT COUNT(*) FROM {table.name}")


@pattern("list_column", "easy")
def list_column(db: Database, draw: Draw) -> Draft | None:
    """One or two columns of every row."""
    table = some_table(db, draw, "label")
    other = some_column(table, draw, "category", "number", "date") if table else None
    if table is None or other is None:
        return None
    question = draw.one(
        (
            "Show the {label} and the {other} of every {noun}.",
            "List all {nouns} with their {label} and {other}.",
            "Give the {labels} and {others} of all {nouns}.",
        )
    )
    words = words_of(table, other=other.phrase, others=other.plural)
    return Draft(question=question.format(**words), sql=f"SELECT {table.label.name}, {other.name} FROM {table.name}")


@pattern("measure_all", "easy", "aggregate", share=2)
def measure_all(db: Database, draw: Draw) -> Draft | None:
    """One aggregate over a table."""
    table = some_table(db, draw, "number")
    column = draw.one(table.of_kind("number")) if table else None
    if table is None or column is None:
        return None
    function, measure = aggregate(column, draw)
    question = draw.one(
        (
            "What is the {measure} of all {nouns}?",
            "Find the {measure} across all {nouns}.",
            "What is the {measure} of the {nouns}?",
            "Calculate the {measure} of all {nouns}.",
        )
    )
    return Draft(
        question=question.format(**words_of(table, measure=measure)),
        sql=f"SELECT {function}({column.name}) FROM {table.name}",
    )


@pattern("measure_two", "medium", "aggregate")
def measure_two(db: Database, draw: Draw) -> Draft | None:
    """Two aggregates of one column."""
    table = some_table(db, draw, "number")
    column = draw.one(table.of_kind("number")) if table else None
    if table is None or column is None:
        return None
    pairs = (
        (("MIN", "lowest"), ("MAX", "highest")),
        (("AVG", "average"), ("MAX", "highest")),
        (("MIN", "minimum"), ("AVG", "average")),
        (("MAX", "maximum"), ("MIN", "minimum")),
    )
    (one, word_one), (two, word_two) = draw.one(pairs)
    question = draw.one(
        (
            "What are the {one} and the {two} {phrase} of all {nouns}?",
            "Show the {one} and {two} {phrase} of {nouns}.",
            "Find the {one} and the {two} {phrase} over all {nouns}.",
        )
    )
    words = words_of(table, one=word_one, two=word_two, phrase=column.phrase)
    return Draft(
        question=question.format(**words), sql=f"SELECT {one}({column.name}), {two}({column.name}) FROM {table.name}"
    )


@pattern("spread", "medium", "aggregate")
def spread(db: Database, draw: Draw) -> Draft | None:
    """The difference of an extreme pair."""
    table = some_table(db, draw, "number")
    column = draw.one(table.of_kind("number")) if table else None
    if table is None or column is None:
        return None
    question = draw.one(
        (
            "What is the difference between the highest and the lowest {phrase} of {nouns}?",
            "By how much does the highest {phrase} of all {nouns} exceed the lowest one?",
        )
    )
    sql = f"SELECT MAX({column.name}) - MIN({column.name}) FROM {table.name}"
    return Draft(question=question.format(**words_of(table, phrase=column.phrase)), sql=sql)


@pattern("extreme_date", "easy", "aggregate", "date")
def extreme_date(db: Database, draw: Draw) -> Draft | None:
    """The first or last day in a column."""
    table = some_table(db, draw, "date")
    column = draw.one(table.of_kind("date")) if table else None
    if table is None or column is None:
        return None
    function, word = draw.one((("MIN", "earliest"), ("MAX", "latest"), ("MAX", "most recent")))
    question = draw.one(("What is the {word} {phrase} of all {nouns}?", "Find the {word} {phrase} among the {nouns}."))
    words = words_of(table, word=word, phrase=column.phrase)
    return Draft(question=question.format(**words), sql=f"SELECT {function}({column.name}) FROM {table.name}")


@pattern("product_sum", "hard", "aggregate", share=1)
def product_sum(db: Database, draw: Draw) -> Draft | None:
    """A sum of a product of two columns."""
    tables = [table for table in db.schema.tables if table.product]
    if not tables:
        return None
    table = draw.one(tables)
    assert table.product is not None
    one, two, word = table.product
    condition = MAKERS[draw.one(("equal", "year", "compare"))](db, table, draw, "")
    if condition is None or {one, two} & set(condition.columns):
        return None
    phrases = table.column(one).phrase, table.column(two).phrase
    sql = f"SELECT SUM({one} * {two}) FROM {table.name}"
    question = draw.one(
        (
            "The {word} is the {a} times the {b}. What is the total {word} of {nouns} {words}?",
            "What is the total {word}, that is {a} times {b}, of all {nouns} {words}?",
        )
    )
    words = words_of(table, word=word, a=phrases[0], b=phrases[1], words=condition.words)
    return Draft(
        question=question.format(**words), sql=f"{sql} WHERE {condition.sql}", tags=condition.tags, unlike=(sql,)
    )


@pattern("distinct", "easy", "distinct")
def distinct(db: Database, draw: Draw) -> Draft | None:
    """The different words of a column."""
    table = some_table(db, draw, "category")
    column = some_column(table, draw, "category") if table else None
    if table is None or column is None:
        return None
    question = draw.one(
        (
            "List the different {many} of {nouns}.",
            "What are the distinct {many} of the {nouns}?",
            "Show every {one} of the {nouns}, without repeats.",
            "Which different {many} do the {nouns} have?",
        )
    )
    sql = f"SELECT {column.name} FROM {table.name}"
    words = words_of(table, one=column.phrase, many=column.plural)
    return Draft(question=question.format(**words), sql=sql.replace("SELECT", "SELECT DISTINCT"), unlike=(sql,))


@pattern("distinct_where", "medium", "distinct")
def distinct_where(db: Database, draw: Draw) -> Draft | None:
    """The different words of a column among some rows."""
    table = some_table(db, draw, "category")
    column = some_column(table, draw, "category") if table else None
    condition = MAKERS[draw.one(("compare", "day", "year"))](db, table, draw, "") if table else None
    if table is None or column is None or condition is None:
        return None
    question = draw.one(
        (
            "List the different {many} of {nouns} {words}.",
            "What are the distinct {many} of the {nouns} {words}?",
            "Which different {many} do the {nouns} {words} have?",
        )
    )
    sql = f"SELECT DISTINCT {column.name} FROM {table.name}"
    words = words_of(table, many=column.plural, words=condition.words)
    return Draft(
        question=question.format(**words),
        sql=f"{sql} WHERE {condition.sql}",
        tags=condition.tags,
        unlike=(sql, f"SELECT {column.name} FROM {table.name} WHERE {condition.sql}"),
    )


@pattern("count_distinct", "easy", "distinct", "aggregate")
def count_distinct(db: Database, draw: Draw) -> Draft | None:
    """How many different words a column has."""
    table = some_table(db, draw, "category")
    column = some_column(table, draw, "category", "ref") if table else None
    if table is None or column is None:
        return None
    if column.target:
        parent = db.schema.table(column.target)
        question = draw.one(
            ("How many different {parents} {has} {nouns}?", "Count the {parents} {pwho} {has} at least one {noun}.")
        )
        words = words_of(table, parents=parent.plural, has=column.has, pwho=parent.who)
    else:
        question = draw.one(
            (
                "How many different {many} of {nouns} are there?",
                "Count the distinct {many} of the {nouns}.",
                "How many different {many} do the {nouns} have?",
            )
        )
        words = words_of(table, many=column.plural)
    sql = f"SELECT COUNT(DISTINCT {column.name}) FROM {table.name}"
    return Draft(question=question.format(**words), sql=sql, unlike=(f"SELECT COUNT(*) FROM {table.name}",))
