"""A realistic sweep made from a seed: 30 runs x 1,000 items with SQL answers, witnesses, failures and pending runs.

Skill follows method, rank and learning rate; an item's difficulty is shared by all runs, so paired comparisons behave
as they do on real data. `text` may be replaced by hostile strings to prove that the page survives them.
"""

from __future__ import annotations

import math
import random
from typing import Any

import pandas as pd

from harness.report.data import ReportData, typed_runs
from harness.stats import wilson_interval

STYLES = ("instruct", "tags")
TABLES = ("singer", "concert", "stadium", "ship", "mission", "album", "track", "employee", "shop", "invoice")
COLUMNS = ("name", "age", "country", "year", "capacity", "tonnage", "budget", "rating", "salary", "city")
HARD = ("easy", "medium", "hard", "extra")
REASONS = ("wrong_value", "wrong_rows", "superset", "execution_error")


def make_report_data(
    *, num_items: int = 1000, grid: str = "large", seed: int = 0, certified: bool = True
) -> ReportData:
    """The sweep. `grid` is "large" (30 runs), "small" (6 runs) or "base" (one run, no training)."""
    dice = random.Random(seed)
    examples = _examples(num_items, dice)
    runs = _plan(grid)
    rows: list[dict[str, Any]] = []
    for run in runs:
        if run["status"] == "done":
            mine = _scores(run, examples, random.Random(f"{seed}{run['run']}"))
            rows += mine
            _fill_counts(run, mine)
    return ReportData(
        info=_info(num_items),
        runs=typed_runs(pd.DataFrame(runs)),
        scores=pd.DataFrame(rows),
        examples=examples,
        prompts={style: {id_: _prompt(style, row) for id_, row in examples.iterrows()} for style in STYLES},
        logs={run["run"]: _log(run) for run in runs if run["method"] != "base" and run["status"] != "pending"},
        certificate=certificate() if certified else None,
    )


def certificate(status: str = "pass") -> dict[str, Any]:
    """A certificate whose data part has `status`."""
    names = {
        "task": ("gold scores 1.0", "mutants score below 1", "nasty strings"),
        "data": ("no leaks", "no contradictions"),
        "format": ("training ids equal inference ids", "loss mask"),
        "engine": ("adapter is applied", "noise floor"),
    }
    parts = [
        {
            "part": part,
            "name": name,
            "status": status if part == "data" else "pass",
            "detail": f"{name}: 1,000 of 1,000",
        }
        for part, checks in names.items()
        for name in checks
    ]
    return {"parts": parts, "hashes": {part: f"{part[:4]}0123" for part in names}, "summary": "9 checks"}


def _info(num_items: int) -> dict[str, Any]:
    return {
        "name": "sql-standard",
        "task": "sql",
        "task_version": "1",
        "scorer": "execution",
        "scorers": ["execution", "exact_match"],
        "data": {
            "name": "builtin",
            "revision": "seed-0",
            "licence": "Apache-2.0",
            "split_rule": "whole schemas are held out",
            "sizes": {"train": 2000, "validation": num_items * 6 // 10, "test": num_items - num_items * 6 // 10},
            "broken": 2,
            "unusable": 5,
        },
        "model": {"name": "smollm2-135m", "revision": "0.1.2", "parameters": 134_515_008},
        "device": "cpu, 2 cores",
        "engine": "vllm 0.32.0",
        "command": "harness sweep --task sql --preset standard",
        "seed": 0,
        "started": "2026-11-24T09:00:00Z",
        "finished": "2026-11-24T11:12:00Z",
        "versions": {"torch": "2.13.0", "vllm": "0.32.0", "tunebench": "0.1.0"},
        "warnings": [],
    }


def _plan(grid: str) -> list[dict[str, Any]]:
    runs = [_run("base", style=style) for style in STYLES[: 1 if grid != "large" else 2]]
    if grid == "base":
        runs[0]["finalist"] = True
        return runs
    ranks, rates = ((8, 32), (3e-4, 1e-3)) if grid == "small" else ((4, 8, 16, 64), (1e-4, 3e-4, 1e-3, 3e-3))
    runs += [_run("lora", rank=rank, rate=rate) for rank in ranks for rate in rates]
    runs += [_run("full", rate=rate) for rate in ((1e-4,) if grid == "small" else (1e-5, 3e-5, 1e-4, 3e-4))]
    if grid == "large":
        runs += [_run("lora", rank=16, rate=1e-3, style="tags"), _run("lora", rank=16, rate=3e-4, style="tags")]
        runs += [_run("lora", rank=16, rate=1e-3, seed=seed) for seed in (1, 2)]
        runs += [_run("lora", rank=16, rate=1e-3, train_size=size) for size in (200, 600)]
        runs += [_run("lora", rank=128, rate=1e-3), _run("lora", rank=128, rate=1e-2)]
        runs[-1].update(status="failed", failed_stage="train", failed_reason="loss is not finite at step 41: nan")
        runs[-2].update(status="pending")
    finalists = [("base", None, None), ("lora", 16, 1e-3), ("lora", 32, 1e-3), ("full", None, 1e-4)]
    for run in runs:
        key = (run["method"], run["rank"], run["learning_rate"])
        plain = run["seed"] == 0 and run["train_size"] in (2000, None) and run["prompt_style"] == "instruct"
        run["finalist"] = run["status"] == "done" and plain and key in finalists
    return runs


def _run(method: str, *, rank: int | None = None, rate: float | None = None, **rest: Any) -> dict[str, Any]:
    style, seed, size = rest.get("style", "instruct"), rest.get("seed", 0), rest.get("train_size", 2000)
    parameters = {"base": 0, "full": 134_515_008}.get(method, 610_000 * (rank or 0) // 4)
    words = [method, f"r{rank}" if rank else "", f"lr {rate:g}" if rate else "", style if style != "instruct" else ""]
    words += [f"seed {seed}" if seed else "", f"n {size}" if size != 2000 else ""]
    label = " ".join(word for word in words if word)
    trained = method != "base"
    return {
        "run": label.replace(" ", "-") + "-0a1b2c3d",
        "label": label,
        "task": "sql",
        "data": "builtin",
        "model": "smollm2-135m",
        "method": method,
        "rank": rank,
        "alpha": 2.0 * rank if rank else None,
        "dropout": 0.0 if rank else None,
        "learning_rate": rate,
        "schedule": "cosine" if trained else None,
        "epochs": 1.0 if trained else None,
        "batch_size": 8 if trained else None,
        "prompt_style": style,
        "seed": seed,
        "train_size": size if trained else None,
        "curation": "raw",
        "few_shot": 0,
        "status": "done",
        "failed_stage": None,
        "failed_reason": None,
        "scorer": "execution",
        "trainable_parameters": parameters,
        "checkpoint_bytes": parameters * 4 if trained else 0,
        "train_seconds": (300.0 if method == "full" else 180.0 + (rank or 0) / 4) if trained else None,
        "train_tokens": 210_000 if trained else None,
        "train_tokens_per_second": 700.0 if method == "full" else 1100.0,
        "peak_memory_bytes": 3_400_000_000 if method == "full" else 1_500_000_000 + 2_000_000 * (rank or 0),
        "final_loss": 0.2 if trained else None,
        "sample_seconds": 41.0,
        "sample_tokens_per_second": {"base": 520.0, "lora": 310.0, "full": 505.0}[method],
        "sample_route": {"base": None, "lora": "merged" if rank == 64 else "adapter", "full": "fresh engine"}[method],
        "note": "",
    }


def _skill(run: dict[str, Any]) -> float:
    """Log-odds of the middle item. Too high a rate breaks full sooner than LoRA, as published."""
    if run["method"] == "base":
        return -3.4 if run["prompt_style"] == "instruct" else -4.0
    best = math.log10(1e-3) if run["method"] == "lora" else math.log10(1e-4)
    off = math.log10(run["learning_rate"]) - best
    skill = 1.3 - (1.6 if off > 0 else 0.9) * off * off * 2
    skill += 0.12 * math.log2(min(run["rank"], 16) / 16) if run["rank"] else 0.1
    skill -= 0.25 if run["prompt_style"] == "tags" else 0.0
    skill += 0.05 * (run["seed"] - 1) if run["seed"] else 0.0
    return skill - 0.6 * math.log10(2000 / run["train_size"])


def _examples(num_items: int, dice: random.Random) -> pd.DataFrame:
    rows = []
    for number in range(num_items):
        table, column, other = dice.choice(TABLES), dice.choice(COLUMNS), dice.choice(COLUMNS)
        value, level = dice.randint(1, 99), dice.randrange(4)
        gold = f"SELECT {column} FROM {table} WHERE {other} > {value}"
        gold += f" ORDER BY {column} DESC LIMIT {level + 1}" if level > 1 else ""
        rows.append(
            {
                "example_id": f"q{number:04d}",
                "split": "validation" if number < num_items * 6 // 10 else "test",
                "inputs": {
                    "question": f"What is the {column} of each {table} whose {other} is above {value}?",
                    "schema": f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, {', '.join(COLUMNS)});",
                },
                "gold": gold,
                "cluster": f"{table}-{number % 40}",
                "tags": [HARD[level], "where", *(["order by"] if level > 1 else [])],
                "level": level,
            }
        )
    return pd.DataFrame(rows).set_index("example_id")


def _prompt(style: str, row: Any) -> str:
    schema, question = row["inputs"]["schema"], row["inputs"]["question"]
    if style == "tags":
        return f"<schema>\n{schema}\n</schema>\n<question>{question}</question>\n"
    return f"<|im_start|>system\nWrite one SQLite query.\n{schema}<|im_end|>\n<|im_start|>user\n{question}<|im_end|>\n"


def _scores(run: dict[str, Any], examples: pd.DataFrame, dice: random.Random) -> list[dict[str, Any]]:
    rows, skill = [], _skill(run)
    for example_id, item in examples.iterrows():
        if item["split"] == "test" and not run["finalist"]:
            continue
        hardness = random.Random(f"hard{example_id}").gauss(0, 1.4) + 0.5 * item["level"]
        right = dice.random() < 1 / (1 + math.exp(hardness - skill))
        rows += _item(run, str(example_id), item, right, dice)
    return rows


def _item(run: dict[str, Any], example_id: str, item: Any, right: bool, dice: random.Random) -> list[dict[str, Any]]:
    gold, outcome, why, evidence = item["gold"], "right", "correct", {}
    text = gold
    if not right:
        bad_format = dice.random() < (0.8 if run["method"] == "base" else 0.03)
        outcome = dice.choice(["unparsed", "unparsed", "truncated"]) if bad_format else "wrong"
        why = "unparsed" if bad_format else dice.choice(REASONS)
        text = gold.replace(" > ", dice.choice([" >= ", " < ", " = "]))
        if bad_format:
            text = f"To find the answer we look at the table and then {dice.random()} ..."
        else:
            evidence = _witness(dice)
    if dice.random() < 0.0005:
        outcome, why, evidence = "unscored", "scorer_timeout", {}
    value = None if outcome == "unscored" else float(outcome == "right")
    row = {
        "run": run["run"],
        "split": item["split"],
        "example_id": example_id,
        "scorer": "execution",
        "value": value,
        "why": why,
        "outcome": outcome,
        "answer": "" if outcome == "unparsed" else text,
        "evidence": evidence,
        "finish": "length" if outcome == "truncated" else "stop",
        "text": f"```sql\n{text}\n```" if outcome == "right" else text,
        "num_tokens": 12 + len(text) // 4,
    }
    exact = {**row, "scorer": "exact_match", "why": "same parse" if right else "another parse", "evidence": {}}
    return [row, exact]


def _witness(dice: random.Random) -> dict[str, Any]:
    names = dice.sample(["Ada", "Bo", "Chen", "Dee", "Eve"], 3)
    return {
        "witness": {
            "tables": {
                "singer": {"columns": ["id", "name", "age"], "rows": [[i, n, i * 7] for i, n in enumerate(names)]}
            },
            "gold_result": {"columns": ["name"], "rows": [[name] for name in names[:2]]},
            "predicted_result": {"columns": ["name"], "rows": [[name] for name in names]},
        },
        "instances": 6,
        "kill_rate": 0.97,
    }


def _fill_counts(run: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    for split in ("validation", "test"):
        mine = [row for row in rows if row["split"] == split and row["scorer"] == "execution"]
        graded = [row["value"] for row in mine if row["value"] is not None]
        if mine:
            low, high = wilson_interval(int(sum(graded)), len(graded))
            run[f"{split}_score"] = sum(graded) / len(graded)
            run.update({f"{split}_low": low, f"{split}_high": high, f"{split}_n": len(graded)})
        if split == "validation":
            for word in ("right", "wrong", "unparsed", "truncated", "unscored"):
                run[word] = sum(row["outcome"] == word for row in mine)


def _log(run: dict[str, Any]) -> pd.DataFrame:
    dice, steps = random.Random(run["run"]), 40 if run["status"] == "failed" else 250
    high = run["learning_rate"] >= 3e-3
    loss = [
        (0.2 + 1.9 * math.exp(-step / 30) + (0.6 + 0.01 * step if high else 0.0)) * math.exp(dice.gauss(0, 0.08))
        for step in range(1, steps + 1)
    ]
    if run["status"] == "failed":
        loss[-1] = math.nan
    columns = {"step": range(1, steps + 1), "loss": loss, "learning_rate": run["learning_rate"]}
    return pd.DataFrame({**columns, "gradient_norm": 1.0, "tokens": 840, "tokens_per_second": 900.0})
