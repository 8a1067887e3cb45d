"""Questions that need a query inside a query, or two queries put together."""

from __future__ import annotations

from tasks.sql.builtin.draft import Draft, pattern, some_column, some_table
from tasks.sql.builtin.draw import Draw
from tasks.sql.builtin.filters import MAKERS, Database, Filter
from tasks.sql.builtin.patterns_join import a_link
from tasks.sql.builtin.patterns_rows import words_of
from tasks.sql.builtin.schema import Column, Table, literal


@pattern("above_average", "medium", "subquery", "aggregate", share=2)
def above_average(db: Database, draw: Draw) -> Draft | None:
    """Rows on one side of the mean."""
    table = some_table(db, draw, "number")
    column = some_column(table, draw, "number") if table else None
    if table is None or column is None:
        return None
    sign, word = draw.one(((">", "above"), ("<", "below")))
    counted = draw.chance(0.35)
    question = draw.one(
        (
            "How many {nouns} have a {phrase} {word} the average?",
            "Count the {nouns} whose {phrase} is {word} the average {phrase} of all {nouns}.",
        )
        if counted
        else (
            "List the {labels} of {nouns} whose {phrase} is {word} the average.",
            "Which {nouns} have a {phrase} {word} the average {phrase} of all {nouns}? Show their {labels}.",
        )
    )
    question = question.replace("have a {phrase}", "have an {phrase}") if column.phrase[0] in "aeiou" else question
    sql = f"SELECT {'COUNT(*)' if counted else table.label.name} FROM {table.name}"
    mean = f"(SELECT AVG({column.name}) FROM {table.name})"
    return Draft(
        question=question.format(**words_of(table, phrase=column.phrase, word=word)),
        sql=f"{sql} WHERE {column.name} {sign} {mean}",
        unlike=(sql,),
    )


@pattern("above_named", "hard", "subquery")
def above_named(db: Database, draw: Draw) -> Draft | None:
    """Rows beyond one named row."""
    table = some_table(db, draw, "number", "label")
    column = some_column(table, draw, "number", "date") if table else None
    if table is None or column is None:
        return None
    name = str(draw.one(db.values(table, table.label)))
    sign, word = draw.one(
        ((">", "later"), ("<", "earlier")) if column.kind == "date" else ((">", "higher"), ("<", "lower"))
    )
    question = draw.one(
        (
            "List the {labels} of {nouns} with a {word} {phrase} than {name}.",
            "Which {nouns} have a {word} {phrase} than {name}? Show their {labels}.",
        )
    )
    question = question.replace("a {word}", "an {word}") if word == "earlier" else question
    sql = f"SELECT {table.label.name} FROM {table.name}"
    inner = f"(SELECT {column.name} FROM {table.name} WHERE {table.label.name} = {literal(name)})"
    words = words_of(table, phrase=column.phrase, word=word, name=name)
    return Draft(question=question.format(**words), sql=f"{sql} WHERE {column.name} {sign} {inner}", unlike=(sql,))


@pattern("at_extreme", "medium", "subquery", "aggregate")
def at_extreme(db: Database, draw: Draw) -> Draft | None:
    """All rows that share an extreme."""
    table = some_table(db, draw, "number", "label")
    column = some_column(table, draw, "number") if table else None
    if table is None or column is None:
        return None
    function, word = draw.one((("MAX", "highest"), ("MIN", "lowest")))
    question = draw.one(
        (
            "List the {labels} of all {nouns} whose {phrase} equals the {word} {phrase}.",
            "Show the {labels} of every one of the {nouns} that shares the {word} {phrase}.",
        )
    )
    inner = f"(SELECT {function}({column.name}) FROM {table.name})"
    sql = f"SELECT {table.label.name} FROM {table.name} WHERE {column.name} = {inner}"
    return Draft(question=question.format(**words_of(table, phrase=column.phrase, word=word)), sql=sql)


@pattern("childless", "medium", "subquery", share=2)
def childless(db: Database, draw: Draw) -> Draft | None:
    """Parents without children."""
    link = a_link(db, draw)
    counted = draw.chance(0.3)
    question = draw.one(
        ("How many {parents} {has} no {nouns}?", "Count the {parents} without any {nouns}.")
        if counted
        else (
            "List the {plabels} of {parents} {pwho} {has} no {nouns}.",
            "Which {parents} {has} no {nouns}? Show their {plabels}.",
            "Show the {plabels} of all {parents} without any {nouns}.",
        )
    )
    sql = f"SELECT {'COUNT(*)' if counted else link.parent.label.name} FROM {link.parent.name}"
    condition = f"{link.parent.key.name} NOT IN (SELECT {link.key.name} FROM {link.child.name})"
    return Draft(question=question.format(**link.words()), sql=f"{sql} WHERE {condition}", unlike=(sql,))


@pattern("childless_of_kind", "hard", "subquery", share=2)
def childless_of_kind(db: Database, draw: Draw) -> Draft | None:
    """Parents without children of a kind."""
    link = a_link(db, draw)
    condition = MAKERS[draw.one(("equal", "compare", "year"))](db, link.child, draw, "")
    if condition is None:
        return None
    question = draw.one(
        (
            "List the {plabels} of {parents} {pwho} {has} no {nouns} {words}.",
            "Which {parents} {has} no {nouns} {words}? Show their {plabels}.",
        )
    )
    sql = f"SELECT {link.parent.label.name} FROM {link.parent.name}"
    head = f"{sql} WHERE {link.parent.key.name} NOT IN (SELECT {link.key.name} FROM {link.child.name}"
    return Draft(
        question=question.format(**link.words(words=condition.words)),
        sql=f"{head} WHERE {condition.sql})",
        tags=condition.tags,
        unlike=(sql, f"{head})"),
    )


@pattern("parents_in", "medium", "subquery")
def parents_in(db: Database, draw: Draw) -> Draft | None:
    """How many parents have a child of a kind."""
    link = a_link(db, draw)
    condition = MAKERS[draw.one(("equal", "compare"))](db, link.child, draw, "")
    if condition is None:
        return None
    question = draw.one(
        (
            "How many {parents} {has} at least one of the {nouns} {words}?",
            "Count the {parents} {pwho} {has} any {nouns} {words}.",
        )
    )
    sql = f"SELECT COUNT(*) FROM {link.parent.name}"
    inner = f"(SELECT {link.key.name} FROM {link.child.name} WHERE {condition.sql})"
    return Draft(
        question=question.format(**link.words(words=condition.words)),
        sql=f"{sql} WHERE {link.parent.key.name} IN {inner}",
        tags=condition.tags,
        unlike=(sql,),
    )


def _two_sets(db: Database, draw: Draw, overlap: bool) -> tuple[Table, Column, Filter, Filter] | None:
    """A category column and two conditions on other columns; on the same one only where `overlap` says so."""
    table = some_table(db, draw, "category", "number")
    column = some_column(table, draw, "category") if table else None
    if table is None or column is None:
        return None
    one, two = (MAKERS[draw.one(("equal", "compare", "compare", "year", "day"))](db, table, draw, "") for _ in range(2))
    if one is None or two is None or one == two or column.name in one.columns + two.columns:
        return None
    if set(one.columns) & set(two.columns) and not overlap:
        return None
    return table, column, one, two


def _sets(db: Database, draw: Draw, operator: str, questions: tuple[str, ...]) -> Draft | None:
    found = _two_sets(db, draw, overlap=operator == "INTERSECT")
    if found is None:
        return None
    table, column, one, two = found
    parts = [f"SELECT {column.name} FROM {table.name} WHERE {condition.sql}" for condition in (one, two)]
    words = words_of(table, one=column.phrase, many=column.plural, a=one.words, b=two.words)
    return Draft(
        question=draw.one(questions).format(**words),
        sql=f"{parts[0]} {operator} {parts[1]}",
        unlike=(parts[0].replace("SELECT", "SELECT DISTINCT"), parts[1].replace("SELECT", "SELECT DISTINCT")),
    )


@pattern("intersect", "hard", "set_operation", share=2)
def intersect(db: Database, draw: Draw) -> Draft | None:
    """Words that two groups of rows share."""
    return _sets(
        db,
        draw,
        "INTERSECT",
        (
            "Which {many} are shared by {nouns} {a} and {nouns} {b}?",
            "Find the {many} found both among {nouns} {a} and among {nouns} {b}.",
        ),
    )


@pattern("except", "hard", "set_operation", share=2)
def except_(db: Database, draw: Draw) -> Draft | None:
    """Words of one group of rows that another lacks."""
    return _sets(
        db,
        draw,
        "EXCEPT",
        (
            "Which {many} occur among {nouns} {a} but not among {nouns} {b}?",
            "List the {many} of {nouns} {a}, leaving out every {one} of {nouns} {b}.",
        ),
    )


@pattern("union", "hard", "set_operation")
def union(db: Database, draw: Draw) -> Draft | None:
    """Words of two tables together."""
    tables = [table for table in db.schema.tables if table.label.kind == "label"]
    if len(tables) < 2:
        return None
    one, two = draw.some(tables, 2)
    conditions = [MAKERS["equal"](db, table, draw, "") for table in (one, two)]
    if conditions[0] is None or conditions[1] is None:
        return None
    first, second = conditions[0], conditions[1]
    question = draw.one(
        (
            "List the {one_labels} of {ones} {a} together with the {two_labels} of {twos} {b}, in one column "
            "without repeats.",
            "In one list without repeats, show the {one_labels} of {ones} {a} and the {two_labels} of {twos} {b}.",
        )
    )
    words = {
        "one_labels": one.label.plural,
        "ones": one.plural,
        "a": first.words,
        "two_labels": two.label.plural,
        "twos": two.plural,
        "b": second.words,
    }
    sql = (
        f"SELECT {one.label.name} FROM {one.name} WHERE {first.sql} UNION SELECT {two.label.name} FROM "
        f"{two.name} WHERE {second.sql}"
    )
    return Draft(question=question.format(**words), sql=sql)
