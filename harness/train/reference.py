"""`python -m harness.train.reference JOB.json`: what transformers + peft say a checkpoint's log-probabilities are.

In: {"model", "device", "probes": [[token ids]], "runs": [{"run_dir", "method", "checkpoint"}]}. Out: reference.json in
each run's directory: {"log_probabilities": [[nats]]}, fp32, of each probe's second to last token. Checkpoints are loaded
from disk by the stock loaders, so this proves the saved files and not the trainer's memory. A failing run gets
{"error"}. The last adapter's reference also has "merged": the same with the adapter merged by peft itself.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.models import remote_code_allowed
from harness.store import write_json


def main() -> None:
    """Write the reference of every run of the job that has none yet."""
    job = json.loads(Path(sys.argv[1]).read_text())
    job["runs"] = [run for run in job["runs"] if not (Path(run["run_dir"]) / "reference.json").exists()]
    for run_dir, reference in references(job):
        write_json(Path(run_dir) / "reference.json", reference)
        print(json.dumps({"event": "reference", "run": Path(run_dir).name}), flush=True)


def references(job: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(run_dir, what goes into reference.json) of each run of the job; the base is loaded once."""
    import torch

    base = _load(job["model"], job["device"])
    runs = sorted(job["runs"], key=lambda run: run["method"] == "lora")  # adapters last: merging changes the base
    for place, run in enumerate(runs, start=1):
        try:
            with torch.inference_mode():
                model = _with_checkpoint(base, run, job["device"])
                found: dict[str, Any] = {"log_probabilities": log_probabilities(model, job["probes"])}
                if place == len(runs) and run["method"] == "lora":
                    found["merged"] = log_probabilities(model.merge_and_unload().eval(), job["probes"])
        except Exception as error:  # becomes the run's recorded failure
            found = {"error": f"{type(error).__name__}: {error}"[:1000]}
        yield run["run_dir"], found
        if run["method"] == "lora":
            base = _without_adapter(base)


def log_probabilities(model: Any, sequences: Sequence[Sequence[int]]) -> list[list[float]]:
    """For each sequence, log p(token) of its second to last token, in nats."""
    import torch

    result = []
    for sequence in sequences:
        ids_T = torch.tensor([list(sequence)], device=next(model.parameters()).device)
        logits_TV = model(input_ids=ids_T).logits[0, :-1].float()
        result.append(logits_TV.log_softmax(-1).gather(1, ids_T[0, 1:, None])[:, 0].tolist())
    return result


def _with_checkpoint(base: Any, run: dict[str, Any], device: str) -> Any:
    if run["method"] == "lora":
        from peft import PeftModel

        return PeftModel.from_pretrained(base, run["checkpoint"]).eval()
    return _load(run["checkpoint"], device) if run["method"] == "full" else base


def _without_adapter(base: Any) -> Any:
    """The model that an adapter was put into, also half of one, without it."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, module in list(base.named_modules()):
        if isinstance(module, BaseTunerLayer):
            parent, _, child = name.rpartition(".")
            setattr(base.get_submodule(parent), child, module.get_base_layer())
    if hasattr(base, "peft_config"):
        del base.peft_config  # else peft takes the next adapter for a second one of the same model, and warns
    return base


def _load(folder: str, device: str) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    trust = remote_code_allowed()
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, local_files_only=True, trust_remote_code=trust)
    return model.to(device).eval()


if __name__ == "__main__":
    main()
