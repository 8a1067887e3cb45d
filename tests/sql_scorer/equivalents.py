"""Pairs that mean the same under the constraints of their schema: rejecting one is a false reject."""

from __future__ import annotations

from dataclasses import dataclass

DDL = (
    "CREATE TABLE singer (singer_id INTEGER PRIMARY KEY, name TEXT NOT NULL, country TEXT NOT NULL,"
    " age INTEGER NOT NULL);"
    " CREATE TABLE concert (concert_id INTEGER PRIMARY KEY, singer_id INTEGER NOT NULL REFERENCES singer(singer_id),"
    " year INTEGER NOT NULL, fee REAL);"
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One named pair."""

    name: str
    gold: str
    prediction: str
    schema: str = DDL

    def row(self) -> dict[str, str]:
        """The line of `harness score sql`."""
        return {"id": self.name, "gold": self.gold, "schema": self.schema}


def _case(name: str, gold: str, prediction: str) -> Case:
    return Case(name=name, gold=gold, prediction=prediction)


EQUIVALENTS = (
    _case(
        "whole numbers above 20", "SELECT name FROM singer WHERE age > 20", "SELECT name FROM singer WHERE age >= 21"
    ),
    _case(
        "between and its bounds",
        "SELECT name FROM singer WHERE age BETWEEN 20 AND 30",
        "SELECT name FROM singer WHERE age >= 20 AND age <= 30",
    ),
    _case("count of a key", "SELECT count(*) FROM singer", "SELECT COUNT(singer_id) FROM singer"),
    _case("distinct on a key", "SELECT singer_id FROM singer", "SELECT DISTINCT singer_id FROM singer"),
    _case(
        "double quotes",
        "SELECT name FROM singer WHERE country = 'France'",
        'SELECT name FROM singer WHERE country = "France"',
    ),
    _case("column order", "SELECT name, age FROM singer", "SELECT age, name FROM singer"),
    _case("qualified names", "SELECT name FROM singer", "SELECT s.name FROM singer AS s"),
    _case(
        "join order",
        "SELECT s.name, c.year FROM singer s JOIN concert c ON s.singer_id = c.singer_id",
        "SELECT s.name, c.year FROM concert c JOIN singer s ON c.singer_id = s.singer_id",
    ),
    _case(
        "comma join",
        "SELECT s.name, c.year FROM singer s JOIN concert c ON s.singer_id = c.singer_id",
        "SELECT s.name, c.year FROM singer s, concert c WHERE s.singer_id = c.singer_id",
    ),
    _case(
        "in and exists",
        "SELECT name FROM singer WHERE singer_id IN (SELECT singer_id FROM concert WHERE year = 2014)",
        "SELECT name FROM singer s WHERE EXISTS (SELECT 1 FROM concert c WHERE c.singer_id=s.singer_id AND year=2014)",
    ),
    _case(
        "in and a join over keys",
        "SELECT singer_id FROM singer WHERE singer_id IN (SELECT singer_id FROM concert WHERE year = 2014)",
        "SELECT DISTINCT s.singer_id FROM singer s JOIN concert c ON s.singer_id = c.singer_id WHERE c.year = 2014",
    ),
    _case(
        "not in and except",
        "SELECT singer_id FROM singer WHERE singer_id NOT IN (SELECT singer_id FROM concert)",
        "SELECT singer_id FROM singer EXCEPT SELECT singer_id FROM concert",
    ),
    _case(
        "not in and an outer join",
        "SELECT name FROM singer WHERE singer_id NOT IN (SELECT singer_id FROM concert)",
        "SELECT s.name FROM singer s LEFT JOIN concert c ON c.singer_id = s.singer_id WHERE c.concert_id IS NULL",
    ),
    _case(
        "a join that a foreign key makes redundant",
        "SELECT count(*) FROM concert",
        "SELECT count(*) FROM concert c JOIN singer s ON c.singer_id = s.singer_id",
    ),
    _case(
        "group by the key or the key and what it decides",
        "SELECT s.name, count(*) FROM singer s JOIN concert c ON s.singer_id = c.singer_id GROUP BY s.singer_id",
        "SELECT s.name, count(*) FROM singer s JOIN concert c ON s.singer_id = c.singer_id GROUP BY s.singer_id, 1",
    ),
    _case(
        "case and iif",
        "SELECT name, CASE WHEN age > 30 THEN 'old' ELSE 'young' END FROM singer",
        "SELECT name, iif(age <= 30, 'young', 'old') FROM singer",
    ),
    _case(
        "sum of cases and a filtered count",
        "SELECT count(*) FROM singer WHERE age > 30",
        "SELECT sum(CASE WHEN age > 30 THEN 1 ELSE 0 END) FROM singer",
    ),
    _case(
        "or and in",
        "SELECT name FROM singer WHERE age = 20 OR age = 30",
        "SELECT name FROM singer WHERE age IN (30, 20)",
    ),
    _case(
        "order by position and alias",
        "SELECT country, count(*) FROM singer GROUP BY country ORDER BY count(*) DESC",
        "SELECT country, count(*) AS n FROM singer GROUP BY 1 ORDER BY n DESC",
    ),
    _case(
        "distinct and group by",
        "SELECT DISTINCT country FROM singer",
        "SELECT country FROM singer GROUP BY country",
    ),
    _case("average by hand", "SELECT avg(age) FROM singer", "SELECT sum(age) * 1.0 / count(*) FROM singer"),
    _case(
        "a common table expression",
        "SELECT name FROM singer WHERE age > (SELECT avg(age) FROM singer)",
        "WITH m AS (SELECT avg(age) AS a FROM singer) SELECT name FROM singer, m WHERE age > a",
    ),
    _case(
        "de Morgan",
        "SELECT name FROM singer WHERE NOT (age > 30 OR country = 'France')",
        "SELECT name FROM singer WHERE age <= 30 AND country <> 'France'",
    ),
    _case(
        "like without wildcard ends",
        "SELECT name FROM singer WHERE name LIKE '%an%'",
        "SELECT name FROM singer WHERE instr(lower(name), 'an') > 0",
    ),
    _case(
        "having and an outer where",
        "SELECT country FROM singer GROUP BY country HAVING count(*) > 2",
        "SELECT country FROM (SELECT country, count(*) AS n FROM singer GROUP BY country) WHERE n >= 3",
    ),
)
