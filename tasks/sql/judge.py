"""The child's side of the scorer: an item and a model's text in, one verdict per scorer out, all as JSON values.

Runs inside a `harness.sandbox.Worker`, because the text is hostile. Two calls per pair, so that a kill can be blamed:
in `prepare` only the data set's own text runs, in `judge` the prediction does.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from sqlglot import exp

from harness.core import digest
from tasks.sql import compare, parse, parse_scores
from tasks.sql.corners import comes_back_empty, inner_queries, says_something
from tasks.sql.dialect import DialectError, in_sqlite
from tasks.sql.distil import (
    LOW_KILL_RATE,
    any_oracle_on,
    aware_of,
)
from tasks.sql.duck import DuckDatabase
from tasks.sql.execute import Database, QueryError, Result
from tasks.sql.extract import extract_sql
from tasks.sql.foreign import disagreement, in_duckdb
from tasks.sql.material import (
    GoldError,
    Prepared,
    without_distinct,
)
from tasks.sql.mock import child_report, child_tables
from tasks.sql.mutate import mutants_of
from tasks.sql.oracle import Opinion, Oracle
from tasks.sql.prepare import check_gold, on_duckdb, on_own_data, prepared_item
from tasks.sql.witness import Shrinker, small_enough

EXECUTION_SCORERS = ("execution", "execution_strict", "bird_ex", "test_suite", "spider2")
PARSE_SCORERS = ("exact_match", "component_match")
SCORERS = (*EXECUTION_SCORERS, *PARSE_SCORERS, "efficiency")
NUM_AWARE = 16  # instances that judge an answer nothing else refuted
MOST_AWARE = 48  # tried for them: on some gold comes back empty
MIN_AGREEING = 2  # instances without a corner that have to agree before a disagreement in one is set aside
TELLING_KINDS = frozenset(
    {
        "where_dropped",
        "having_dropped",
        "projection_dropped",
        "projection_added",
        "aggregate",
        "string_constant",
        "number_constant",
        "set_operation",
        "negation",
        "order_direction",
        "limit",
    }
)
_KEPT_ITEMS = 48

Verdict = dict[str, Any]
_prepared: OrderedDict[str, Prepared | GoldError] = OrderedDict()


def serve(request: Mapping[str, Any]) -> Any:
    """Answer one request of `score.py`: {"do": "prepare" | "check" | "judge" | "mutants", "key", "item", "text"}, or one
    of `mock.py`: {"do": "tables" | "mock", "item", "tables"}.

    "prepare" replies with the problem of gold, if any, and with a cover that was distilled now, for the caller to keep:
    this process may not write files.
    """
    if request["do"] == "check":
        return _check(request["item"])
    if request["do"] == "mutants":
        return telling_mutants(request["item"])
    if request["do"] == "tables":
        return child_tables(request["item"])
    if request["do"] == "mock":
        return child_report(request["item"], request["tables"])
    prepared = _ready(str(request["key"]), request["item"])
    if request["do"] == "prepare":
        if isinstance(prepared, GoldError):
            return {"problem": str(prepared)}
        fresh, prepared.fresh_cover = prepared.fresh_cover, None
        return {"problem": None, "fresh": fresh}
    if isinstance(prepared, GoldError):
        return {name: _verdict(None, "gold_unusable", kind=str(prepared)) for name in SCORERS}
    return judged(prepared, str(request["text"]))


def judged(prepared: Prepared, text: str) -> dict[str, Verdict]:
    """The verdict of every scorer on one answer."""
    extraction = extract_sql(text)
    if extraction.outcome != "sql":
        verdict = _verdict(0.0, extraction.outcome, answer=extraction.sql, kind=extraction.reason)
        return dict.fromkeys(SCORERS, verdict)
    if prepared.dialect == "sqlite":
        return _judged_sql(prepared, extraction.sql)
    return _judged_foreign(prepared, extraction.sql)


def _judged_foreign(prepared: Prepared, answer: str) -> dict[str, Verdict]:
    """The verdicts on an answer in another dialect: by SQLite where its translation is shown to hold, else by DuckDB."""
    duck = in_duckdb(answer, prepared.dialect)
    if prepared.gold.dialect == "sqlite":
        try:
            sql = in_sqlite(answer, prepared.dialect)
            if duck is None or disagreement(prepared.mirrors, sql, duck) is None:
                return _judged_sql(prepared, sql)
        except DialectError as error:
            if duck is None:
                failed = _verdict(0.0, "execution_error", answer=answer, kind="dialect", message=str(error))
                return dict.fromkeys(SCORERS, failed)
        if prepared.second is None:
            prepared.second = on_duckdb(prepared.item)
        prepared = prepared.second
    if duck is None:
        message = f"sqlglot cannot say it in DuckDB's dialect: {answer[:200]}"
        return dict.fromkeys(SCORERS, _verdict(0.0, "execution_error", answer=answer, kind="dialect", message=message))
    return _judged_sql(prepared, duck)


def _judged_sql(prepared: Prepared, sql: str) -> dict[str, Verdict]:
    tree = parse.parsed(sql, prepared.schema, prepared.gold.dialect)
    try:
        opinions = [(oracle, oracle.opinion(sql)) for oracle in prepared.oracles]
    except QueryError as failure:
        verdicts = dict.fromkeys(SCORERS, _failed(failure, sql))
        return verdicts | _parse_verdicts(prepared, sql, tree)
    except compare.UndecidableError as error:
        return dict.fromkeys(SCORERS, _verdict(None, "undecided", answer=sql, kind=str(error)))
    execution = _execution(prepared, sql, tree, opinions)
    return {
        "execution": execution,
        "execution_strict": _strict(execution, opinions),
        **_published(prepared, sql, opinions),
        **_parse_verdicts(prepared, sql, tree),
        "efficiency": _efficiency(execution, opinions),
    }


def _ready(key: str, item: Mapping[str, Any]) -> Prepared | GoldError:
    if key in _prepared:
        _prepared.move_to_end(key)
        return _prepared[key]
    try:
        entry: Prepared | GoldError = prepared_item(item)
    except GoldError as problem:
        entry = problem
    _prepared[key] = entry
    while len(_prepared) > _KEPT_ITEMS:
        _, old = _prepared.popitem(last=False)
        if isinstance(old, Prepared):
            old.close()
    return entry


def _check(item: Mapping[str, Any]) -> dict[str, str | None]:
    try:
        check_gold(item)
    except GoldError as problem:
        return {"problem": str(problem)}
    return {"problem": None}


def telling_mutants(item: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(kind, SQL) of wrong answers to the item, at most three of a kind, of the kinds that rarely mean the same."""
    try:
        prepared, _ = on_own_data(item)
    except GoldError:
        return []
    chosen: list[tuple[str, str]] = []
    for kind, sql in mutants_of(prepared.tree, prepared.schema) if prepared.tree is not None else []:
        if kind in TELLING_KINDS and sum(kind == other for other, _ in chosen) < 3:
            chosen.append((kind, sql))
    return chosen


# ---- the scorers ------------------------------------------------------------------------------------------


def _execution(prepared: Prepared, sql: str, tree: exp.Expr | None, opinions: list[tuple[Oracle, Opinion]]) -> Verdict:
    against = [pair for pair in opinions if pair[1].disagreement is not None]
    inner = inner_queries(prepared.tree, tree)
    edge = _edge(against, opinions, inner)
    if against and edge is None:
        decisive = [opinion for _, opinion in opinions if opinion.decisive]
        wide = bool(decisive) and all(opinion.disagreement == "superset" for opinion in decisive)
        return _refuted(prepared, sql, against, "superset" if wide else "refuted")
    unordered = _leaves_order_open(prepared, tree)
    if unordered is not None:
        return _verdict(
            0.0, "refuted", answer=sql, kind="order_left_open", witness=_results(unordered, unordered.result)
        )
    judging = len([oracle for oracle, _ in opinions if oracle.decisive])
    found, tried = _aware_refutation(prepared, sql, tree, inner)
    if found is not None:
        return _refuted(prepared, sql, [found], "refuted")
    evidence: Verdict = {
        "instances": judging + tried,
        "kill_rate": prepared.kill_rate,
        "low_kill_rate": (prepared.kill_rate is not None and prepared.kill_rate < LOW_KILL_RATE) or None,
    }
    corner = _corner_case(prepared, sql) if edge is None else _witness(prepared, sql, *edge)
    if corner is not None:
        return _verdict(1.0, "refuted_corner", answer=sql, corner_case=True, **evidence, witness=corner)
    return _verdict(1.0, "correct", answer=sql, **evidence)


def _edge(
    against: list[tuple[Oracle, Opinion]], opinions: list[tuple[Oracle, Opinion]], inner: tuple[str, ...]
) -> tuple[Oracle, Opinion] | None:
    """A disagreement that is a corner case, when all are: only where an inner query is empty, and two others agree."""
    if not against or not inner:
        return None
    if any(oracle.tier == "data" or not comes_back_empty(oracle, inner) for oracle, _ in against):
        return None
    agreeing = [oracle for oracle, opinion in opinions if opinion.disagreement is None and oracle.decisive]
    full = [oracle for oracle in agreeing if not comes_back_empty(oracle, inner)]
    return against[0] if len(full) >= MIN_AGREEING else None


def _leaves_order_open(prepared: Prepared, tree: exp.Expr | None) -> Oracle | None:
    """An oracle whose rows gold puts in an order, when the prediction has no ORDER BY at all: scan order is luck."""
    if prepared.gold.ordering is None or tree is None or parse.orders_anywhere(tree):
        return None
    return next((oracle for oracle in prepared.oracles if oracle.decisive and oracle.num_runs > 1), None)


def _aware_refutation(
    prepared: Prepared, sql: str, tree: exp.Expr | None, inner: tuple[str, ...]
) -> tuple[tuple[Oracle, Opinion] | None, int]:
    """(a disagreement on an instance built from both queries, how many such instances judged)."""
    if tree is not None and prepared.tree is not None and parse.text(tree) == parse.text(prepared.tree):
        return None, 0
    judged_by = 0
    seed = digest([prepared.gold.sql, sql], 16)
    for instance in aware_of(prepared.schema, (prepared.tree, tree), seed, MOST_AWARE):
        oracle = any_oracle_on(prepared.schema, prepared.gold, instance)
        if oracle is None or not (oracle.informative or oracle.holds_nothing):
            continue
        judged_by += oracle.informative
        try:
            opinion = oracle.opinion(sql)
        except (QueryError, compare.UndecidableError):
            continue  # it ran on every other database: a budget met here says nothing about its meaning
        tells = oracle.informative or says_something(opinion.result.rows)
        if opinion.disagreement is not None and tells and not comes_back_empty(oracle, inner):
            return (oracle, opinion), judged_by
        oracle.database.close()
        if judged_by >= NUM_AWARE:
            break
    return None, judged_by


def _corner_case(prepared: Prepared, sql: str) -> Verdict | None:
    """The witness of a disagreement that needs a NULL or an empty table, None without one."""
    for instance in prepared.corners:
        oracle = any_oracle_on(prepared.schema, prepared.gold, instance)
        if oracle is None or not oracle.decisive:
            continue
        try:
            opinion = oracle.opinion(sql)
            if opinion.disagreement is not None:
                return _witness(prepared, sql, oracle, opinion)
        except (QueryError, compare.UndecidableError):
            continue
        finally:
            oracle.database.close()
    return None


def _refuted(prepared: Prepared, sql: str, against: list[tuple[Oracle, Opinion]], why: str) -> Verdict:
    """The verdict with the most readable witness: a generated instance when one refutes, else the item's own data."""
    generated = [pair for pair in against if pair[0].tier != "data" and pair[0].decisive]
    oracle, opinion = (generated or against)[0]
    tiers = sorted({o.tier for o, _ in against})
    witness = _witness(prepared, sql, oracle, opinion)
    return _verdict(0.0, why, answer=sql, kind=str(opinion.disagreement), refuted_on=tiers, witness=witness)


def _witness(prepared: Prepared, sql: str, oracle: Oracle, opinion: Opinion) -> Verdict:
    """Shrunk rows and both results on them. The oracle's own database is copied first: other predictions need it."""
    if isinstance(oracle.database, DuckDatabase):
        return {"tables": oracle.database.shown(), **_results(oracle, opinion.result)}
    own = oracle.tier == "data"
    if not isinstance(oracle.database, Database) or (own and not small_enough(oracle.database, prepared.schema)):
        return _results(oracle, opinion.result)
    copy = oracle.database.copy()
    shrinker = Shrinker(copy, prepared.schema, prepared.gold, sql, oracle.tier)
    left = shrinker.shrink()
    tables = shrinker.rows()
    shown = _results(oracle, opinion.result) if left is None else _results(left[0], left[1].result)
    copy.close()
    return shown if tables is None else {"tables": tables, **shown}


def _strict(execution: Verdict, opinions: list[tuple[Oracle, Opinion]]) -> Verdict:
    if execution["why"] != "correct":
        return {**execution, "value": None if execution["value"] is None else 0.0}
    if all(opinion.strict for _, opinion in opinions):
        return execution
    return _verdict(0.0, "refuted", answer=execution["answer"], kind="not_strict")


def _published(prepared: Prepared, sql: str, opinions: list[tuple[Oracle, Opinion]]) -> dict[str, Verdict]:
    """The named reproductions: on the item's own data when it has any, else on the instances of the main tier."""
    own = [pair for pair in opinions if pair[0].tier == "data"]
    main = [pair for pair in opinions if pair[0].tier == "data" or (pair[0].tier == "main" and pair[0].decisive)]
    shown = own or main
    ordered = prepared.tree is not None and parse.is_ordered(prepared.tree)
    bird = all(compare.same_bird_ex(oracle.result.rows, opinion.result.rows) for oracle, opinion in shown)
    spider2 = all(
        compare.same_spider2(oracle.result.rows, opinion.result.rows, ordered=ordered) for oracle, opinion in shown
    )
    suite = all(_suite_agrees(oracle, sql, opinion) for oracle, opinion in main)
    return {
        name: _verdict(float(agrees), "correct" if agrees else "refuted", answer=sql, instances=len(pairs))
        for name, agrees, pairs in (("bird_ex", bird, shown), ("test_suite", suite, main), ("spider2", spider2, shown))
    }


def _suite_agrees(oracle: Oracle, sql: str, opinion: Opinion) -> bool:
    """The test suite compares both queries without DISTINCT, and orders when gold's text has `order by`."""
    gold, plain = oracle.gold, without_distinct(sql)
    budget = oracle.budget_steps
    gold_rows, pred_rows = oracle.result.rows, opinion.result.rows
    try:
        if gold.without_distinct != gold.sql:
            gold_rows = oracle.database.run(gold.without_distinct, budget_steps=budget).rows
        if plain != sql:
            pred_rows = oracle.database.run(plain, budget_steps=budget).rows
        return compare.same_test_suite(gold_rows, pred_rows, ordered="order by" in gold.sql.lower())
    except (QueryError, compare.UndecidableError):
        return False


def _parse_verdicts(prepared: Prepared, sql: str, tree: exp.Expr | None) -> dict[str, Verdict]:
    gold = parse_scores.normalised(prepared.tree, prepared.schema)
    pred = parse_scores.normalised(tree, prepared.schema)
    exact = parse_scores.exact_match(gold, pred, prepared.gold.sql, sql)
    share = parse_scores.component_match(gold, pred, prepared.gold.sql, sql)
    return {
        "exact_match": _verdict(float(exact), "correct" if exact else "different_parse", answer=sql),
        "component_match": _verdict(share, "correct" if share == 1.0 else "different_parse", answer=sql),
    }


def _efficiency(execution: Verdict, opinions: list[tuple[Oracle, Opinion]]) -> Verdict:
    if execution["value"] != 1.0:
        return {**execution, "evidence": {}}
    if any(opinion.result.steps == 0 for _, opinion in opinions):
        return _verdict(None, "undecided", answer=execution["answer"], kind="DuckDB counts no steps")
    own = [pair for pair in opinions if pair[0].tier == "data"] or opinions
    gold_steps = sum(oracle.result.steps for oracle, _ in own)
    pred_steps = sum(opinion.result.steps for _, opinion in own)
    value = min(1.0, gold_steps / pred_steps)
    why = "correct" if value == 1.0 else "slower"
    return _verdict(value, why, answer=execution["answer"], gold_steps=gold_steps, prediction_steps=pred_steps)


def _failed(failure: QueryError, sql: str) -> Verdict:
    return _verdict(0.0, failure.why, answer=sql, kind=failure.kind, message=failure.detail)


def _results(oracle: Oracle, result: Result) -> dict[str, Any]:
    return {"gold_result": shown_rows(oracle.result), "prediction_result": shown_rows(result)}


def shown_rows(result: Result, limit: int = 20) -> dict[str, Any]:
    """A result as JSON for a report: its columns, its first rows, how many there are."""
    rows = [[_shown(cell) for cell in row] for row in result.rows[:limit]]
    return {"columns": [name[:100] for name in result.columns], "rows": rows, "num_rows": len(result.rows)}


def _shown(cell: object) -> object:
    if isinstance(cell, bytes):
        return "0x" + cell[:50].hex()
    if isinstance(cell, float) and cell in (float("inf"), float("-inf")):
        return str(cell)
    return cell[:200] if isinstance(cell, str) else cell


def _verdict(value: float | None, why: str, *, answer: str = "", **evidence: Any) -> Verdict:
    kept = {name: item for name, item in evidence.items() if item not in ("", None)}
    return {"value": value, "why": why, "answer": answer[:20_000], "evidence": kept}
