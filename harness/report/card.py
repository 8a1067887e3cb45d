"""model-card/README.md: a Hugging Face model card for the recommended checkpoint. Goes in: a Report. Comes out: text.

The metadata follows the Hub's model-index specification (huggingface.co/docs/hub/model-cards). Only measured numbers
enter it; an uncertified sweep's card says so first. The licence of the weights is the base model's and is not guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from harness.report.answer import display, interval, rate
from harness.report.data import METHOD_WORDS, TRAINED, is_missing
from harness.report.findings import Report
from harness.report.markdown import escaped
from harness.report.table import SCORES

PURPOSES = {"validation": "validation (the run was chosen on it)", "test": "test (held out)"}


def model_card(report: Report) -> str | None:
    """The card, or None when no trained run is recommended: a model that was not trained here has a card of its own."""
    run = report.recommended
    if run is None or run["method"] not in TRAINED:
        return None
    metadata = yaml.safe_dump(_metadata(report, run), sort_keys=False, allow_unicode=True)
    return f"---\n{metadata}---\n\n{_body(report, run)}"


def _metadata(report: Report, run: Mapping[str, Any]) -> dict[str, Any]:
    info = report.data.info
    data = info.get("data") or {}
    results = [
        {
            "task": {"type": "text-generation", "name": str(info.get("task"))},
            "dataset": {
                "type": str(data.get("name")),
                "name": str(data.get("name")),
                "split": split,
                "revision": str(data.get("revision")),
            },
            "metrics": [
                {
                    "type": str(report.data.scorer),
                    "name": f"{report.data.scorer}, {PURPOSES[split]}",
                    "value": float(run[column]),
                    "args": {name: float(run[f"{split}_{name}"]) for name in ("low", "high")}
                    | {"n": int(run[f"{split}_n"])},
                    "verified": False,
                }
            ],
        }
        for column, split in SCORES.items()
        if not is_missing(run[column])
    ]
    return {
        "base_model": str(run["model"]),
        "library_name": "peft" if run["method"] == "lora" else "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["tunebench", *(["lora"] if run["method"] == "lora" else [])],
        "model-index": [{"name": str(run["label"]), "results": results}],
    }


def _body(report: Report, run: Mapping[str, Any]) -> str:
    info = report.data.info
    data = info.get("data") or {}
    alert = "".join(f"> **Not certified.** {escaped(text)}\n" for text in report.alerts)
    scores = "".join(
        f"| {PURPOSES[split]} | {display(run[column], 'share')} "
        f"| {interval(run[f'{split}_low'], run[f'{split}_high'])} | {int(run[f'{split}_n']):,} |\n"
        for column, split in SCORES.items()
        if not is_missing(run[column])
    )
    settings = {
        "method": METHOD_WORDS.get(str(run["method"]), run["method"]),
        "rank": display(run["rank"], "count"),
        "alpha": display(run["alpha"], "count"),
        "learning rate": rate(float(run["learning_rate"])),
        "epochs": display(run["epochs"], "count"),
        "batch size": display(run["batch_size"], "count"),
        "prompt style": run["prompt_style"],
        "seed": display(run["seed"], "count"),
        "trained parameters": display(run["trainable_parameters"], "count"),
    }
    lines = "".join(f"| {name} | {escaped(value)} |\n" for name, value in settings.items())
    return (
        f"# {escaped(run['label'])}\n\n{alert}\n"
        f"{escaped(run['model'])}, fine-tuned on {escaped(data.get('name'))} "
        f"(revision {escaped(data.get('revision'))}, licence {escaped(data.get('licence'))}) for the task "
        f"{escaped(info.get('task'))}, version {escaped(info.get('task_version'))}.\n\n"
        f"## Evaluation\n\nScorer {escaped(report.data.scorer)}, greedy decoding, 95 % intervals.\n\n"
        f"| split | score | interval | n |\n|---|---:|---:|---:|\n{scores}\n"
        f"{escaped(report.headline.sentences[0])}\n\n"
        f"## Training\n\n| setting | value |\n|---|---|\n{lines}\n"
        "## Limits\n\nThe score holds for this task, data and prompt style. The prompt has to be rendered exactly "
        "as in training; the chat template saved with the checkpoint does that. The licence of the base model "
        "applies.\n"
    )
