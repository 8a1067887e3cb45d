"""Questions over two or three tables that follow foreign keys.

Rows are grouped by the parent's key, never by its name: two parents of one name stay two. Parents without children
are left out unless the question says otherwise, and then the query is a LEFT JOIN."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.sql.builtin.draft import Draft, pattern, some_column
from tasks.sql.builtin.draw import Draw
from tasks.sql.builtin.filters import MAKERS, Database
from tasks.sql.builtin.patterns_rows import aggregate, words_of
from tasks.sql.builtin.schema import Column, Table, literal


@dataclass(frozen=True, kw_only=True)
class Link:
    """A child table, its parent, and the foreign key between them."""

    child: Table
    parent: Table
    key: Column

    @property
    def join(self) -> str:
        """FROM child JOIN parent ON ..."""
        return f"FROM {self.child.name} {self.onto}"

    @property
    def onto(self) -> str:
        """JOIN parent ON ..."""
        left, right = f"{self.child.name}.{self.key.name}", f"{self.parent.name}.{self.parent.key.name}"
        return f"JOIN {self.parent.name} ON {left} = {right}"

    @property
    def parent_label(self) -> str:
        """parent.name"""
        return f"{self.parent.name}.{self.parent.label.name}"

    @property
    def child_label(self) -> str:
        """child.title"""
        return f"{self.child.name}.{self.child.label.name}"

    @property
    def parent_key(self) -> str:
        """parent.parent_id"""
        return f"{self.parent.name}.{self.parent.key.name}"

    def words(self, **extra: str) -> dict[str, str]:
        """The words of both tables for a template."""
        return words_of(
            self.child,
            parent=self.parent.noun,
            parents=self.parent.plural,
            plabel=self.parent.label.phrase,
            plabels=self.parent.label.plural,
            by=self.key.by,
            has=self.key.has,
            pwho=self.parent.who,
            pits=self.parent.its,
            **extra,
        )


def links(db: Database) -> list[Link]:
    """Every foreign key whose parent has a label."""
    return [
        Link(child=table, parent=db.schema.table(column.target), key=column)
        for table in db.schema.tables
        for column in table.of_kind("ref")
    ]


def a_link(db: Database, draw: Draw) -> Link:
    """One of the foreign keys."""
    return draw.one(links(db))


@pattern("pairs", "medium", "join")
def pairs(db: Database, draw: Draw) -> Draft | None:
    """Every child beside its parent's name."""
    link = a_link(db, draw)
    question = draw.one(
        (
            "Show the {label} of every {noun} together with the {plabel} of its {parent}.",
            "List each {noun}'s {label} and the {plabel} of its {parent}.",
            "For every {noun}, give its {label} and the {plabel} of the {parent}.",
        )
    )
    return Draft(
        question=question.format(**link.words()), sql=f"SELECT {link.child_label}, {link.parent_label} {link.join}"
    )


@pattern("of_named_parent", "medium", "join", share=2)
def of_named_parent(db: Database, draw: Draw) -> Draft | None:
    """The children of one parent."""
    link = a_link(db, draw)
    name = str(draw.one(db.values(link.parent, link.parent.label)))
    question = draw.one(
        (
            "List the {labels} of the {nouns} {by} {parent} {name}.",
            "Which {nouns} are {by} {parent} {name}? Show their {labels}.",
            "Show the {labels} of all {nouns} {by} {parent} {name}.",
        )
    )
    if not link.key.by.endswith((" the", "by", "of", "to")):
        question = "List the {labels} of the {nouns} {by} {parent} {name}."
    sql = f"SELECT {link.child_label} {link.join}"
    return Draft(
        question=question.format(**link.words(name=name)),
        sql=f"{sql} WHERE {link.parent_label} = {literal(name)}",
        unlike=(sql,),
    )


@pattern("count_of_named_parent", "medium", "join", "aggregate", share=2)
def count_of_named_parent(db: Database, draw: Draw) -> Draft | None:
    """How many children one parent has."""
    link = a_link(db, draw)
    name = str(draw.one(db.values(link.parent, link.parent.label)))
    question = draw.one(
        (
            "How many {nouns} {by} {parent} {name} are there?",
            "Count the {nouns} {by} {parent} {name}.",
            "What is the number of {nouns} {by} {parent} {name}?",
        )
    )
    sql = f"SELECT COUNT(*) {link.join}"
    return Draft(
        question=question.format(**link.words(name=name)),
        sql=f"{sql} WHERE {link.parent_label} = {literal(name)}",
        unlike=(sql,),
    )


@pattern("children_of_some", "medium", "join", share=2)
def children_of_some(db: Database, draw: Draw) -> Draft | None:
    """Children of parents that fulfil a condition."""
    link = a_link(db, draw)
    condition = MAKERS[draw.one(("equal", "compare"))](db, link.parent, draw, f"{link.parent.name}.")
    if condition is None:
        return None
    question = draw.one(
        (
            "List the {labels} of {nouns} {by} {parents} {words}.",
            "Show the {labels} of all {nouns} {by} {parents} {words}.",
            "Find the {labels} of the {nouns} {by} {parents} {words}.",
        )
    )
    sql = f"SELECT {link.child_label} {link.join}"
    return Draft(
        question=_plural_by(question.format(**link.words(words=condition.words)), link),
        sql=f"{sql} WHERE {condition.sql}",
        tags=condition.tags,
        unlike=(sql,),
    )


@pattern("measure_of_some", "hard", "join", "aggregate", share=2)
def measure_of_some(db: Database, draw: Draw) -> Draft | None:
    """An aggregate over the children of some parents."""
    link = a_link(db, draw)
    column = some_column(link.child, draw, "number")
    condition = MAKERS[draw.one(("equal", "compare"))](db, link.parent, draw, f"{link.parent.name}.")
    if condition is None or column is None:
        return None
    function, measure = aggregate(column, draw)
    question = draw.one(
        (
            "What is the {measure} of {nouns} {by} {parents} {words}?",
            "Find the {measure} of all {nouns} {by} {parents} {words}.",
        )
    )
    sql = f"SELECT {function}({link.child.name}.{column.name}) {link.join}"
    return Draft(
        question=_plural_by(question.format(**link.words(measure=measure, words=condition.words)), link),
        sql=f"{sql} WHERE {condition.sql}",
        tags=condition.tags,
        unlike=(sql,),
    )


@pattern("parents_of_some", "medium", "join", "distinct", share=2)
def parents_of_some(db: Database, draw: Draw) -> Draft | None:
    """Parents that have a child of a kind."""
    link = a_link(db, draw)
    condition = MAKERS[draw.one(("equal", "compare", "year", "missing"))](db, link.child, draw, f"{link.child.name}.")
    if condition is None:
        return None
    question = draw.one(
        (
            "List the {plabels} of the {parents} {pwho} {has} {nouns} {words}, without repeats.",
            "Show the different {plabels} of {parents} {pwho} {has} at least one of the {nouns} {words}.",
            "Which {parents} {has} any {nouns} {words}? Show each {plabel} once.",
        )
    )
    sql = f"SELECT DISTINCT {link.parent_label} {link.join}"
    return Draft(
        question=question.format(**link.words(words=condition.words)),
        sql=f"{sql} WHERE {condition.sql}",
        tags=condition.tags,
        unlike=(sql,),
    )


@pattern("count_for_each", "medium", "join", "group_by", "aggregate", share=2)
def count_for_each(db: Database, draw: Draw) -> Draft | None:
    """How many children each parent has, childless parents left out."""
    link = a_link(db, draw)
    question = draw.one(
        (
            "For each {parent} with at least one {noun}, show the {plabel} and the number of {nouns}.",
            "Show the {plabel} of each {parent} {pwho} has any {nouns}, and how many there are.",
        )
    )
    sql = f"SELECT {link.parent_label}, COUNT(*) {link.join} GROUP BY {link.parent_key}"
    return Draft(question=question.format(**link.words()), sql=sql)


@pattern("count_for_each_and_none", "hard", "join", "group_by", "aggregate")
def count_for_each_and_none(db: Database, draw: Draw) -> Draft | None:
    """How many children each parent has, childless parents with 0."""
    link = a_link(db, draw)
    question = draw.one(
        (
            "For each {parent}, including those without any {nouns}, show the {plabel} and the number of {nouns}.",
            "Show the {plabel} of every {parent} and {pits} number of {nouns}, 0 where there are none.",
        )
    )
    on = f"ON {link.child.name}.{link.key.name} = {link.parent_key}"
    sql = (
        f"SELECT {link.parent_label}, COUNT({link.child.name}.{link.child.key.name}) FROM {link.parent.name} "
        f"LEFT JOIN {link.child.name} {on} GROUP BY {link.parent_key}"
    )
    return Draft(question=question.format(**link.words()), sql=sql)


@pattern("measure_for_each", "hard", "join", "group_by", "aggregate", share=2)
def measure_for_each(db: Database, draw: Draw) -> Draft | None:
    """An aggregate over each parent's children."""
    link = a_link(db, draw)
    column = some_column(link.child, draw, "number")
    if column is None:
        return None
    function, measure = aggregate(column, draw)
    question = draw.one(
        (
            "For each {parent} with at least one {noun}, show the {plabel} and the {measure} of {pits} {nouns}.",
            "Show the {plabel} of each {parent} {pwho} has any {nouns}, and the {measure} of those {nouns}.",
        )
    )
    sql = (
        f"SELECT {link.parent_label}, {function}({link.child.name}.{column.name}) {link.join} GROUP BY "
        f"{link.parent_key}"
    )
    return Draft(question=question.format(**link.words(measure=measure)), sql=sql)


@pattern("measure_by_parent_word", "hard", "join", "group_by", "aggregate", share=2)
def measure_by_parent_word(db: Database, draw: Draw) -> Draft | None:
    """An aggregate over children for each word of a parent's column."""
    link = a_link(db, draw)
    group = some_column(link.parent, draw, "category")
    column = some_column(link.child, draw, "number")
    if group is None or column is None:
        return None
    function, measure = draw.one([("COUNT(*)", f"number of {link.child.plural}"), _call(link, column, draw)])
    of = "" if function == "COUNT(*)" else f" of {link.child.plural}"
    question = draw.one(
        (
            "For each {one} of the {parents}, show the {one} and the {measure}{of}.",
            "Group the {nouns} by the {one} of their {parent}: show each {one} and its {measure}.",
        )
    )
    by = f"{link.parent.name}.{group.name}"
    return Draft(
        question=question.format(**link.words(one=group.phrase, measure=measure, of=of)),
        sql=f"SELECT {by}, {function} {link.join} GROUP BY {by}",
    )


@pattern("parent_with_most", "hard", "join", "group_by", "order_limit", share=2)
def parent_with_most(db: Database, draw: Draw) -> Draft | None:
    """The parent with the most children, or the highest sum over them."""
    link = a_link(db, draw)
    sums = [column for column in link.child.of_kind("number") if column.adds and not column.null_share]
    if sums and draw.chance(0.4):
        column = draw.one(sums)
        function = f"SUM({link.child.name}.{column.name})"
        question = draw.one(
            (
                "Which {parent} has the highest total {phrase} over {pits} {nouns}? Give the {plabel}.",
                "Find the {plabel} of the {parent} whose {nouns} have the highest total {phrase}.",
            )
        )
        words = link.words(phrase=column.phrase)
    else:
        function = "COUNT(*)"
        question = draw.one(
            (
                "Which {parent} has the most {nouns}? Give the {plabel}.",
                "What is the {plabel} of the {parent} with the most {nouns}?",
                "Find the {plabel} of the {parent} {pwho} has the largest number of {nouns}.",
            )
        )
        words = link.words()
    order = f"{link.join} GROUP BY {link.parent_key} ORDER BY {function} DESC"
    return Draft(
        question=question.format(**words),
        sql=f"SELECT {link.parent_label} {order} LIMIT 1",
        sort_keys=f"SELECT {function} {order}",
        limit=1,
    )


@pattern("parents_having", "hard", "join", "group_by", "having", share=2)
def parents_having(db: Database, draw: Draw) -> Draft | None:
    """Parents by their number of children."""
    link = a_link(db, draw)
    owners = db.values(link.child, link.key)
    limit = draw.one(sorted(owners.count(owner) for owner in set(owners)))
    sign, word = draw.one(((">", "more than"), (">=", "at least")))
    if int(limit) < 2:
        return None
    question = draw.one(
        (
            "List the {plabels} of {parents} {pwho} {has} {word} {limit} {nouns}.",
            "Which {parents} {has} {word} {limit} {nouns}? Show their {plabels}.",
            "Find the {parents} with {word} {limit} {nouns} and give their {plabels}.",
        )
    )
    sql = f"SELECT {link.parent_label} {link.join} GROUP BY {link.parent_key}"
    return Draft(
        question=question.format(**link.words(word=word, limit=str(limit))),
        sql=f"{sql} HAVING COUNT(*) {sign} {limit}",
        unlike=(sql,),
    )


@pattern("parent_of_extreme", "hard", "join", "order_limit", share=2)
def parent_of_extreme(db: Database, draw: Draw) -> Draft | None:
    """The parent of the child at one end of a measure."""
    link = a_link(db, draw)
    column = some_column(link.child, draw, "number", "date")
    if column is None:
        return None
    down = draw.chance(0.6)
    ends = ("latest", "earliest") if column.kind == "date" else ("highest", "lowest")
    question = draw.one(
        (
            "What is the {plabel} of the {parent} of the {noun} with the {end} {phrase}?",
            "Which {parent} does the {noun} with the {end} {phrase} belong to? Give the {plabel}.",
        )
    )
    order = f"{link.join} ORDER BY {link.child.name}.{column.name} {'DESC' if down else 'ASC'}"
    return Draft(
        question=question.format(**link.words(end=ends[0] if down else ends[1], phrase=column.phrase)),
        sql=f"SELECT {link.parent_label} {order} LIMIT 1",
        sort_keys=f"SELECT {link.child.name}.{column.name} {order}",
        limit=1,
    )


@pattern("two_sided", "hard", "join", share=2)
def two_sided(db: Database, draw: Draw) -> Draft | None:
    """Children under a condition on them and one on their parents."""
    link = a_link(db, draw)
    mine = MAKERS[draw.one(("equal", "compare", "year"))](db, link.child, draw, f"{link.child.name}.")
    theirs = MAKERS["equal"](db, link.parent, draw, f"{link.parent.name}.")
    if mine is None or theirs is None:
        return None
    counted = draw.chance(0.5)
    head = "COUNT(*)" if counted else link.child_label
    question = draw.one(
        (
            "How many {nouns} {mine} have {a_parent} {theirs}?",
            "Count the {nouns} {mine} that have {a_parent} {theirs}.",
        )
        if counted
        else (
            "List the {labels} of {nouns} {mine} that have {a_parent} {theirs}.",
            "Show the {labels} of all {nouns} {mine} that have {a_parent} {theirs}.",
        )
    )
    a_parent = f"{'an' if link.parent.noun[0] in 'aeio' else 'a'} {link.parent.noun}"
    sql = f"SELECT {head} {link.join} WHERE"
    return Draft(
        question=question.format(**link.words(mine=mine.words, theirs=theirs.words, a_parent=a_parent)),
        sql=f"{sql} {mine.sql} AND {theirs.sql}",
        tags=mine.tags,
        unlike=(f"{sql} {mine.sql}", f"{sql} {theirs.sql}"),
    )


@pattern("through_bridge", "hard", "join", "distinct")
def through_bridge(db: Database, draw: Draw) -> Draft | None:
    """Parents that share a child with one named row of another parent: three tables."""
    bridges = [
        (one, two) for one in links(db) for two in links(db) if one.child is two.child and one.key is not two.key
    ]
    if not bridges:
        return None
    one, two = draw.one(bridges)
    name = str(draw.one(db.values(two.parent, two.parent.label)))
    question = draw.one(
        (
            "List the {plabels} of the {parents} {pwho} {has} {nouns} {other_by} {other} {name}, without repeats.",
            "Which {parents} {has} any {nouns} {other_by} {other} {name}? Show each {plabel} once.",
        )
    )
    sql = f"SELECT DISTINCT {one.parent_label} {one.join} {two.onto}"
    words = one.words(other_by=two.key.by, other=two.parent.noun, name=name)
    return Draft(
        question=question.format(**words), sql=f"{sql} WHERE {two.parent_label} = {literal(name)}", unlike=(sql,)
    )


@pattern("grandchildren", "hard", "join")
def grandchildren(db: Database, draw: Draw) -> Draft | None:
    """Rows two foreign keys below a parent: three tables."""
    chains = [(low, high) for low in links(db) for high in links(db) if low.parent is high.child]
    if not chains:
        return None
    low, high = draw.one(chains)
    condition = MAKERS[draw.one(("equal", "compare"))](db, high.parent, draw, f"{high.parent.name}.")
    if condition is None:
        return None
    counted = draw.chance(0.5)
    question = draw.one(
        (
            "How many {nouns} belong to {parents} {high_by} {others} {words}?",
            "Count the {nouns} whose {parent} is {high_by} {others} {words}.",
        )
        if counted
        else (
            "List the {labels} of {nouns} that belong to {parents} {high_by} {others} {words}.",
            "Show the {labels} of all {nouns} whose {parent} is {high_by} {others} {words}.",
        )
    )
    words = low.words(high_by=high.key.by, others=high.parent.plural, words=condition.words)
    sql = f"SELECT {'COUNT(*)' if counted else low.child_label} {low.join} {high.onto}"
    return Draft(question=question.format(**words), sql=f"{sql} WHERE {condition.sql}", unlike=(sql,))


def _plural_by(question: str, link: Link) -> str:
    """ "working in the departments" -> "working in departments": the article belongs to one named parent."""
    if link.key.by.endswith(" the"):
        return question.replace(f"{link.key.by} {link.parent.plural}", f"{link.key.by[:-4]} {link.parent.plural}")
    return question


def _call(link: Link, column: Column, draw: Draw) -> tuple[str, str]:
    function, measure = aggregate(column, draw)
    return f"{function}({link.child.name}.{column.name})", measure
