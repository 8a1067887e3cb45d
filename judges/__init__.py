"""LLM judges behind the OpenAI API: grader, baseline and author, cached, budgeted, and audited themselves.

    judge("gpt-4o", rubric="sql").grade(items)       one more scorer: id -> Score
    audit(items, config)                             who judges the judge
    baseline(prompts, config, max_new_tokens=128)    GPT-4 as a row of a sweep

Nothing here imports openai before a call is made.
"""

from judges.audit import audit, audit_estimate
from judges.audit_record import Audit, AuditRules
from judges.author import (
    add_synthetic,
    case_templates,
    paraphrase_templates,
    paraphrases,
    task_check,
    written_cases,
)
from judges.author_call import author_estimate
from judges.author_tables import MockInstance, SchemaRequest, kill_rates, mock_tables, table_templates
from judges.baseline import BaselinePrompt, BaselineResult, Shot, baseline, baseline_estimate
from judges.batch import BatchError
from judges.calls import Estimate, Spend
from judges.config import WHENS, Connection, JudgeConfig, JudgeItem, When, default_cache_dir
from judges.demo import judge_demo
from judges.endpoint import endpoint_name, key_problem
from judges.grader import KEPT_EXACT, Judge, grade, is_asked, judge
from judges.labels import load_labels, with_labels
from judges.local_server import local_server
from judges.pairwise import Pair, PairResult, compare
from judges.prices import Price

__all__ = [
    "KEPT_EXACT", "WHENS", "Audit", "AuditRules", "BaselinePrompt", "BaselineResult", "BatchError", "Connection",
    "Estimate", "Judge", "JudgeConfig", "JudgeItem", "MockInstance", "Pair", "PairResult", "Price", "SchemaRequest",
    "Shot", "Spend", "When", "add_synthetic", "audit", "audit_estimate", "author_estimate", "baseline",
    "baseline_estimate", "case_templates", "compare", "default_cache_dir", "endpoint_name", "grade", "is_asked",
    "judge", "judge_demo", "key_problem", "kill_rates", "load_labels", "local_server", "mock_tables",
    "paraphrase_templates", "paraphrases",
    "table_templates", "task_check", "with_labels", "written_cases",
]  # fmt: skip
