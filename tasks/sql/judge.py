"""The child's side of the scorer: an item and a model's text in, one verdict per scorer out, all as JSON values.

Runs inside a `harness.sandbox.Worker`, because the text is hostile. Two calls per pair, so that a kill can be blamed:
in `prepare` only the data set's own text runs, in `judge` the prediction does.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from tasks.sql import compare, parse, parse_scores
from tasks.sql.execute import QueryError, Result
from tasks.sql.extract import extract_sql
from tasks.sql.material import (
    GoldError,
    Prepared,
    all_tables_empty,
    data_oracle,
    gold_of,
    own_database,
    schema_of,
    without_distinct,
)
from tasks.sql.oracle import Opinion, Oracle

EXECUTION_SCORERS = ("execution", "execution_strict", "bird_ex", "test_suite", "spider2")
PARSE_SCORERS = ("exact_match", "component_match")
SCORERS = (*EXECUTION_SCORERS, *PARSE_SCORERS, "efficiency")
_KEPT_ITEMS = 48

Verdict = dict[str, Any]
_prepared: OrderedDict[str, Prepared | GoldError] = OrderedDict()


def serve(request: Mapping[str, Any]) -> Any:
    """Answer one request of `score.py`: {"do": "prepare" | "check" | "judge", "key", "item", "text"}."""
    if request["do"] == "check":
        return _check(request["item"])
    prepared = _ready(str(request["key"]), request["item"])
    if request["do"] == "prepare":
        return {"problem": str(prepared) if isinstance(prepared, GoldError) else None}
    if isinstance(prepared, GoldError):
        return {name: _verdict(None, "gold_unusable", kind=str(prepared)) for name in SCORERS}
    return judged(prepared, str(request["text"]))


def judged(prepared: Prepared, text: str) -> dict[str, Verdict]:
    """The verdict of every scorer on one answer."""
    extraction = extract_sql(text)
    if extraction.outcome != "sql":
        verdict = _verdict(0.0, extraction.outcome, answer=extraction.sql, kind=extraction.reason)
        return dict.fromkeys(SCORERS, verdict)
    sql = extraction.sql
    try:
        opinions = [(oracle, oracle.opinion(sql)) for oracle in prepared.oracles]
    except QueryError as failure:
        verdicts = dict.fromkeys(SCORERS, _failed(failure, sql))
        return verdicts | _parse_verdicts(prepared, sql)
    except compare.UndecidableError as error:
        return dict.fromkeys(SCORERS, _verdict(None, "undecided", answer=sql, kind=str(error)))
    execution = _execution(prepared, sql, opinions)
    return {
        "execution": execution,
        "execution_strict": _strict(execution, opinions),
        **_published(prepared, sql, opinions),
        **_parse_verdicts(prepared, sql),
        "efficiency": _efficiency(execution, opinions),
    }


def _ready(key: str, item: Mapping[str, Any]) -> Prepared | GoldError:
    if key in _prepared:
        _prepared.move_to_end(key)
        return _prepared[key]
    try:
        entry: Prepared | GoldError = _prepare(item)
    except GoldError as problem:
        entry = problem
    _prepared[key] = entry
    while len(_prepared) > _KEPT_ITEMS:
        _, old = _prepared.popitem(last=False)
        if isinstance(old, Prepared):
            for oracle in (*old.oracles, *old.adversarial):
                oracle.database.close()
    return entry


def _prepare(item: Mapping[str, Any]) -> Prepared:
    database, has_data = own_database(item)
    schema = schema_of(database)
    tree = parse.parsed(str(item["gold"]), schema)
    gold = gold_of(str(item["gold"]), tree)
    prepared = Prepared(gold=gold, tree=tree, schema=schema, oracles=[])
    if has_data:
        if all_tables_empty(database, schema, tree):
            raise GoldError("the item's own database has no rows in the tables that gold reads")
        prepared.oracles.append(data_oracle(database, gold))
    return prepared


def _check(item: Mapping[str, Any]) -> dict[str, str | None]:
    try:
        _prepare(item)
    except GoldError as problem:
        return {"problem": str(problem)}
    return {"problem": None}


# ---- the scorers ------------------------------------------------------------------------------------------


def _execution(prepared: Prepared, sql: str, opinions: list[tuple[Oracle, Opinion]]) -> Verdict:
    against = [(oracle, opinion) for oracle, opinion in opinions if opinion.disagreement is not None]
    if against:
        oracle, opinion = against[0]
        decisive = [o for _, o in opinions if o.decisive]
        wide = all(o.disagreement == "superset" for o in decisive) and bool(decisive)
        why = "superset" if wide else "refuted"
        return _verdict(0.0, why, answer=sql, kind=str(opinion.disagreement), witness=_results(oracle, opinion.result))
    return _verdict(1.0, "correct", answer=sql, instances=len(opinions), kill_rate=prepared.kill_rate)


def _strict(execution: Verdict, opinions: list[tuple[Oracle, Opinion]]) -> Verdict:
    if execution["why"] != "correct":
        return {**execution, "value": None if execution["value"] is None else 0.0}
    if all(opinion.strict for _, opinion in opinions):
        return execution
    return _verdict(0.0, "refuted", answer=execution["answer"], kind="not_strict")


def _published(prepared: Prepared, sql: str, opinions: list[tuple[Oracle, Opinion]]) -> dict[str, Verdict]:
    """The named reproductions: on the item's own data when it has any, else on the instances of the main tier."""
    own = [pair for pair in opinions if pair[0].tier == "data"]
    main = [pair for pair in opinions if pair[0].tier in ("data", "main")]
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


def _parse_verdicts(prepared: Prepared, sql: str) -> dict[str, Verdict]:
    gold = parse_scores.normalised(prepared.tree, prepared.schema)
    pred = parse_scores.normalised(parse.parsed(sql, prepared.schema), prepared.schema)
    exact = parse_scores.exact_match(gold, pred, prepared.gold.sql, sql)
    share = parse_scores.component_match(gold, pred, prepared.gold.sql, sql)
    return {
        "exact_match": _verdict(float(exact), "correct" if exact else "different_parse", answer=sql),
        "component_match": _verdict(share, "correct" if share == 1.0 else "different_parse", answer=sql),
    }


def _efficiency(execution: Verdict, opinions: list[tuple[Oracle, Opinion]]) -> Verdict:
    if execution["value"] != 1.0:
        return {**execution, "evidence": {}}
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
