"""Questions over one table that sort it or divide it into groups."""

from __future__ import annotations

from tasks.sql.builtin.draft import Draft, pattern, some_column, some_table
from tasks.sql.builtin.draw import Draw
from tasks.sql.builtin.filters import MAKERS, Database, plain
from tasks.sql.builtin.patterns_rows import aggregate, words_of
from tasks.sql.builtin.schema import Column, Table


def top_words(column: Column, descending: bool) -> str:
    """The superlative of a column's end, "" when it has none."""
    return column.top if descending else column.bottom


def _label_and_number(db: Database, draw: Draw) -> tuple[Table, Column] | None:
    table = some_table(db, draw, "number", "label") or some_table(db, draw, "number")
    column = some_column(table, draw, "number") if table else None
    return (table, column) if table and column else None


@pattern("sorted_all", "easy", "order")
def sorted_all(db: Database, draw: Draw) -> Draft | None:
    """Every row in order."""
    table = some_table(db, draw, "label")
    column = some_column(table, draw, "number", "date") if table else None
    if table is None or column is None:
        return None
    down = draw.chance(0.5)
    if column.kind == "date":
        order = draw.one(
            ("latest first", "from the latest to the earliest")
            if down
            else ("earliest first", "from the earliest to the latest")
        )
    else:
        order = draw.one(
            ("highest first", "in descending order", "from highest to lowest")
            if down
            else ("lowest first", "in ascending order", "from lowest to highest")
        )
    question = draw.one(
        (
            "List the {labels} of all {nouns} sorted by {phrase}, {order}.",
            "Show the {label} of every {noun}, ordered by {phrase}, {order}.",
            "Sort the {nouns} by {phrase}, {order}, and list their {labels}.",
        )
    )
    sql = f"SELECT {table.label.name} FROM {table.name} ORDER BY {column.name} {'DESC' if down else 'ASC'}"
    return Draft(question=question.format(**words_of(table, phrase=column.phrase, order=order)), sql=sql, unlike=())


@pattern("sorted_where", "medium", "order")
def sorted_where(db: Database, draw: Draw) -> Draft | None:
    """Some rows in order."""
    found = _label_and_number(db, draw)
    condition = MAKERS[draw.one(("equal", "year", "day"))](db, found[0], draw, "") if found else None
    if found is None or condition is None:
        return None
    table, column = found
    down = draw.chance(0.5)
    order = draw.one(
        ("highest first", "in descending order", "from highest to lowest")
        if down
        else ("lowest first", "in ascending order", "from lowest to highest")
    )
    question = draw.one(
        (
            "List the {labels} of {nouns} {words}, sorted by {phrase}, {order}.",
            "Show the {labels} of all {nouns} {words}, ordered by {phrase}, {order}.",
        )
    )
    sql = f"SELECT {table.label.name} FROM {table.name}"
    return Draft(
        question=question.format(**words_of(table, phrase=column.phrase, order=order, words=condition.words)),
        sql=f"{sql} WHERE {condition.sql} ORDER BY {column.name} {'DESC' if down else 'ASC'}",
        tags=condition.tags,
        unlike=(sql,),
    )


@pattern("extreme", "easy", "order_limit", share=2)
def extreme(db: Database, draw: Draw) -> Draft | None:
    """The row at one end of a measure."""
    found = _label_and_number(db, draw)
    if found is None:
        return None
    table, column = found
    down = draw.chance(0.6)
    questions = [
        "What is the {label} of the {noun} with the {end} {phrase}?",
        "Which {noun} has the {end} {phrase}? Give the {label}.",
        "Find the {label} of the {noun} {who} has the {end} {phrase}.",
    ]
    special = top_words(column, down)
    if special:
        questions += ["What is the {label} of the {special} {noun}?", "Give the {label} of the {special} {noun}."]
    words = words_of(table, end="highest" if down else "lowest", phrase=column.phrase, special=special)
    order = f"{column.name} {'DESC' if down else 'ASC'}"
    return Draft(
        question=draw.one(questions).format(**words),
        sql=f"SELECT {table.label.name} FROM {table.name} ORDER BY {order} LIMIT 1",
        sort_keys=f"SELECT {column.name} FROM {table.name} ORDER BY {order}",
        limit=1,
    )


@pattern("extreme_where", "medium", "order_limit", share=2)
def extreme_where(db: Database, draw: Draw) -> Draft | None:
    """The row at one end of a measure, among some."""
    found = _label_and_number(db, draw)
    condition = MAKERS[draw.one(("equal", "equal", "year"))](db, found[0], draw, "") if found else None
    if found is None or condition is None:
        return None
    table, column = found
    down = draw.chance(0.6)
    question = draw.one(
        (
            "Among the {nouns} {words}, what is the {label} of the one with the {end} {phrase}?",
            "Of all {nouns} {words}, which one has the {end} {phrase}? Give the {label}.",
        )
    )
    order = f"{column.name} {'DESC' if down else 'ASC'}"
    tail = f"FROM {table.name} WHERE {condition.sql} ORDER BY {order}"
    return Draft(
        question=question.format(
            **words_of(table, end="highest" if down else "lowest", phrase=column.phrase, words=condition.words)
        ),
        sql=f"SELECT {table.label.name} {tail} LIMIT 1",
        tags=condition.tags,
        unlike=(f"SELECT {table.label.name} FROM {table.name} ORDER BY {order} LIMIT 1",),
        sort_keys=f"SELECT {column.name} {tail}",
        limit=1,
    )


@pattern("first_or_last", "easy", "order_limit", "date")
def first_or_last(db: Database, draw: Draw) -> Draft | None:
    """The row with the first or last day."""
    table = some_table(db, draw, "date")
    column = some_column(table, draw, "date") if table else None
    if table is None or column is None:
        return None
    down = draw.chance(0.5)
    question = draw.one(
        (
            "What is the {label} of the {noun} {who} was {verb} {last}?",
            "Which {noun} was {verb} {last}? Give the {label}.",
            "Find the {label} of the {noun} with the {latest} {phrase}.",
        )
    )
    words = words_of(
        table,
        verb=column.verb,
        phrase=column.phrase,
        last="last" if down else "first",
        latest="latest" if down else "earliest",
    )
    order = f"{column.name} {'DESC' if down else 'ASC'}"
    return Draft(
        question=question.format(**words),
        sql=f"SELECT {table.label.name} FROM {table.name} ORDER BY {order} LIMIT 1",
        sort_keys=f"SELECT {column.name} FROM {table.name} ORDER BY {order}",
        limit=1,
    )


@pattern("top_few", "medium", "order_limit", share=2)
def top_few(db: Database, draw: Draw) -> Draft | None:
    """The first few rows by a measure."""
    found = _label_and_number(db, draw)
    if found is None:
        return None
    table, column = found
    count, down = draw.between(2, 5), draw.chance(0.7)
    questions = [
        "List the {labels} of the {count} {nouns} with the {end} {phrase}, {order}.",
        "Show the {labels} of the {count} {nouns} {who} have the {end} {phrase}, {order}.",
    ]
    special = top_words(column, down)
    if special:
        questions.append("Give the {labels} of the {count} {special} {nouns}, {order}.")
    end = "highest" if down else "lowest"
    words = words_of(
        table, count=str(count), end=end, phrase=column.phrase, special=special, order=f"{end} {column.phrase} first"
    )
    order = f"{column.name} {'DESC' if down else 'ASC'}"
    return Draft(
        question=draw.one(questions).format(**words),
        sql=f"SELECT {table.label.name} FROM {table.name} ORDER BY {order} LIMIT {count}",
        sort_keys=f"SELECT {column.name} FROM {table.name} ORDER BY {order}",
        limit=count,
    )


@pattern("group_count", "easy", "group_by", "aggregate", share=2)
def group_count(db: Database, draw: Draw) -> Draft | None:
    """Rows for each word of a column."""
    table = some_table(db, draw, "category")
    column = some_column(table, draw, "category") if table else None
    if table is None or column is None:
        return None
    question = draw.one(
        (
            "For each {one}, show the {one} and the number of {nouns}.",
            "How many {nouns} are there for each {one}? Show the {one} and the count.",
            "Count the {nouns} by {one}, giving the {one} and the count.",
            "List every {one} with its number of {nouns}.",
        )
    )
    sql = f"SELECT {column.name}, COUNT(*) FROM {table.name} GROUP BY {column.name}"
    return Draft(question=question.format(**words_of(table, one=column.phrase)), sql=sql)


@pattern("group_measure", "medium", "group_by", "aggregate", share=2)
def group_measure(db: Database, draw: Draw) -> Draft | None:
    """An aggregate for each word of a column."""
    table = some_table(db, draw, "category", "number")
    group = some_column(table, draw, "category") if table else None
    if table is None or group is None:
        return None
    column = draw.one(table.of_kind("number"))
    function, measure = aggregate(column, draw)
    question = draw.one(
        (
            "For each {one}, show the {one} and the {measure} of its {nouns}.",
            "What is the {measure} of {nouns} for each {one}? Show the {one} and the {measure}.",
            "Show the {one} and the {measure} of {nouns}, grouped by {one}.",
        )
    )
    sql = f"SELECT {group.name}, {function}({column.name}) FROM {table.name} GROUP BY {group.name}"
    return Draft(question=question.format(**words_of(table, one=group.phrase, measure=measure)), sql=sql)


@pattern("group_where", "medium", "group_by", "aggregate")
def group_where(db: Database, draw: Draw) -> Draft | None:
    """Rows for each word of a column, among some."""
    table = some_table(db, draw, "category")
    group = some_column(table, draw, "category") if table else None
    condition = MAKERS[draw.one(("compare", "day", "year"))](db, table, draw, "") if table else None
    if table is None or group is None or condition is None:
        return None
    question = draw.one(
        (
            "For each {one}, show the {one} and the number of {nouns} {words}.",
            "Count the {nouns} {words} for each {one}, giving the {one} and the count.",
        )
    )
    sql = f"SELECT {group.name}, COUNT(*) FROM {table.name}"
    return Draft(
        question=question.format(**words_of(table, one=group.phrase, words=condition.words)),
        sql=f"{sql} WHERE {condition.sql} GROUP BY {group.name}",
        tags=condition.tags,
        unlike=(f"{sql} GROUP BY {group.name}",),
    )


@pattern("group_year", "medium", "group_by", "aggregate", "date")
def group_year(db: Database, draw: Draw) -> Draft | None:
    """Rows for each year of a day."""
    table = some_table(db, draw, "date")
    column = some_column(table, draw, "date") if table else None
    if table is None or column is None:
        return None
    question = draw.one(
        (
            "How many {nouns} were {verb} in each year? Show the year and the count.",
            "For each year, show the year and the number of {nouns} {verb} in it.",
            "Count the {nouns} by the year of the {phrase}, giving the year and the count.",
        )
    )
    by = f"strftime('%Y', {column.name})"
    words = words_of(table, verb=column.verb, phrase=column.phrase)
    return Draft(question=question.format(**words), sql=f"SELECT {by}, COUNT(*) FROM {table.name} GROUP BY {by}")


@pattern("group_sorted", "medium", "group_by", "aggregate", "order")
def group_sorted(db: Database, draw: Draw) -> Draft | None:
    """Groups in the order of their aggregate."""
    table = some_table(db, draw, "category", "number")
    group = some_column(table, draw, "category") if table else None
    if table is None or group is None:
        return None
    column = draw.one(table.of_kind("number"))
    function, measure = draw.one((("COUNT(*)", f"number of {table.plural}"), _call(column, draw)))
    down = draw.chance(0.6)
    question = draw.one(
        (
            "Show each {one} and its {measure}, {end} {measure} first.",
            "List every {one} of {nouns} with its {measure}, sorted from the {end} {measure}.",
        )
    )
    if function != "COUNT(*)":
        question = draw.one(
            (
                "Show each {one} and the {measure} of its {nouns}, {end} value first.",
                "For every {one} of {nouns}, list the {one} and the {measure}, {end} value first.",
            )
        )
    else:
        question = draw.one(
            (
                "Show each {one} and its {measure}, {end} count first.",
                "For every {one}, list the {one} and the {measure}, {end} count first.",
            )
        )
    words = words_of(table, one=group.phrase, measure=measure, end="highest" if down else "lowest")
    sql = (
        f"SELECT {group.name}, {function} FROM {table.name} GROUP BY {group.name} ORDER BY {function} "
        f"{'DESC' if down else 'ASC'}"
    )
    return Draft(question=question.format(**words), sql=sql)


@pattern("most_common", "medium", "group_by", "order_limit", share=2)
def most_common(db: Database, draw: Draw) -> Draft | None:
    """The word that most rows have."""
    table = some_table(db, draw, "category")
    group = some_column(table, draw, "category") if table else None
    if table is None or group is None:
        return None
    down = draw.chance(0.65)
    question = draw.one(
        (
            "Which {one} has the {most} {nouns}?",
            "What is the {one} with the {most} {nouns}?",
            "Find the {one} that is {common} common among the {nouns}.",
        )
    )
    order = f"FROM {table.name} GROUP BY {group.name} ORDER BY COUNT(*) {'DESC' if down else 'ASC'}"
    return Draft(
        question=question.format(
            **words_of(table, one=group.phrase, most="most" if down else "fewest", common="most" if down else "least")
        ),
        sql=f"SELECT {group.name} {order} LIMIT 1",
        sort_keys=f"SELECT COUNT(*) {order}",
        limit=1,
    )


@pattern("best_group", "hard", "group_by", "order_limit", "aggregate")
def best_group(db: Database, draw: Draw) -> Draft | None:
    """The group with the highest or lowest aggregate."""
    table = some_table(db, draw, "category", "number")
    group = some_column(table, draw, "category") if table else None
    if table is None or group is None:
        return None
    column = draw.one(table.of_kind("number"))
    function, word = draw.one([("AVG", "average"), ("SUM", "total")] if column.adds else [("AVG", "average")])
    down = draw.chance(0.6)
    question = draw.one(
        (
            "Which {one} has the {end} {word} {phrase} of {nouns}?",
            "Find the {one} whose {nouns} have the {end} {word} {phrase}.",
        )
    )
    order = f"FROM {table.name} GROUP BY {group.name} ORDER BY {function}({column.name}) {'DESC' if down else 'ASC'}"
    words = words_of(table, one=group.phrase, word=word, phrase=column.phrase, end="highest" if down else "lowest")
    return Draft(
        question=question.format(**words),
        sql=f"SELECT {group.name} {order} LIMIT 1",
        sort_keys=f"SELECT {function}({column.name}) {order}",
        limit=1,
    )


@pattern("having_count", "medium", "group_by", "having", share=2)
def having_count(db: Database, draw: Draw) -> Draft | None:
    """Groups by their size."""
    table = some_table(db, draw, "category")
    group = some_column(table, draw, "category") if table else None
    if table is None or group is None:
        return None
    counts = [db.values(table, group).count(word) for word in set(db.values(table, group))]
    limit = draw.one(sorted(counts))
    sign, word = draw.one(((">", "more than"), (">=", "at least"), ("<", "fewer than")))
    question = draw.one(
        (
            "Which {many} have {word} {limit} {nouns}?",
            "List the {many} with {word} {limit} {nouns}.",
            "Find every {one} that has {word} {limit} {nouns}.",
        )
    )
    sql = f"SELECT {group.name} FROM {table.name} GROUP BY {group.name}"
    words = words_of(table, one=group.phrase, many=group.plural, word=word, limit=str(limit))
    return Draft(question=question.format(**words), sql=f"{sql} HAVING COUNT(*) {sign} {limit}", unlike=(sql,))


@pattern("having_measure", "hard", "group_by", "having", "aggregate")
def having_measure(db: Database, draw: Draw) -> Draft | None:
    """Groups by an aggregate of theirs."""
    table = some_table(db, draw, "category", "number")
    group = some_column(table, draw, "category") if table else None
    if table is None or group is None:
        return None
    column = draw.one(table.of_kind("number"))
    limit = plain(draw.one(db.values(table, column)))
    sign, word = draw.one(((">", "above"), ("<", "below")))
    question = draw.one(
        (
            "Which {many} have an average {phrase} {word} {limit}, looking at their {nouns}?",
            "List the {many} whose {nouns} have an average {phrase} {word} {limit}.",
        )
    )
    sql = f"SELECT {group.name} FROM {table.name} GROUP BY {group.name}"
    words = words_of(table, many=group.plural, phrase=column.phrase, word=word, limit=limit)
    return Draft(
        question=question.format(**words), sql=f"{sql} HAVING AVG({column.name}) {sign} {limit}", unlike=(sql,)
    )


def _call(column: Column, draw: Draw) -> tuple[str, str]:
    function, measure = aggregate(column, draw)
    return f"{function}({column.name})", measure
