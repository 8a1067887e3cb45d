"""transformers as the sampling engine, where vLLM cannot be installed (macOS): slower, same ids in, same rows out."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.models import remote_code_allowed
from harness.sample.merge import write_merged
from harness.sample.protocol import SampleJob

BATCH = 16


class TransformersEngine:
    """Greedy generation in left-padded batches."""

    name = "transformers"

    def __init__(self, model: Path, *, device: str, max_model_len: int, scratch: Path) -> None:
        self.max_model_len = max_model_len
        self.base_measured: dict[str, list[list[float]]] = {}
        self._base, self._device, self._scratch = model, device, scratch
        self._folder = ""
        self._model: Any = None

    def activate(self, job: SampleJob) -> str:
        """Load the job's checkpoint; a LoRA one is merged."""
        if job.method == "lora" and job.checkpoint is not None:
            merged = write_merged(self._base, Path(job.checkpoint), self._scratch / "merged")
            self._load(str(merged))
            shutil.rmtree(merged)
            self._folder = ""
            return "merged"
        self._load(str(self._base if job.checkpoint is None else job.checkpoint))
        return "base" if job.checkpoint is None else "full"

    def forget_prefixes(self) -> None:
        """Nothing is kept between batches here."""

    def log_probabilities(self, sequences: Sequence[Sequence[int]]) -> list[list[float]]:
        """For each sequence, log p(token) of its second to last token, in nats."""
        import torch

        result = []
        with torch.inference_mode():
            for sequence in sequences:
                ids_T = torch.tensor([list(sequence)], device=self._device)
                logits_TV = self._model(input_ids=ids_T).logits[0, :-1].float()
                picked_T = logits_TV.log_softmax(-1).gather(1, ids_T[0, 1:, None])[:, 0]
                result.append(picked_T.tolist())
        return result

    def generate(self, job: SampleJob, requests: list[dict[str, Any]]) -> Iterator[tuple[str, list[int], str, float]]:
        """Greedy answers, one batch of similar lengths after the other: an answer takes as long as its batch."""
        import torch

        ordered = sorted(requests, key=lambda request: len(request["prompt_ids"]))
        for start in range(0, len(ordered), BATCH):
            batch = ordered[start : start + BATCH]
            width = max(len(request["prompt_ids"]) for request in batch)
            ids_BT = torch.full((len(batch), width), job.end_id)
            mask_BT = torch.zeros_like(ids_BT)
            for row, request in enumerate(batch):
                prompt = torch.tensor(request["prompt_ids"])
                ids_BT[row, width - len(prompt) :] = prompt
                mask_BT[row, width - len(prompt) :] = 1
            started = time.monotonic()
            with torch.inference_mode():
                out_BT = self._model.generate(
                    input_ids=ids_BT.to(self._device),
                    attention_mask=mask_BT.to(self._device),
                    max_new_tokens=job.max_new_tokens,
                    do_sample=False,
                    eos_token_id=job.end_id,
                    pad_token_id=job.end_id,
                )
            rows = out_BT[:, width:].tolist()  # also waits for the device
            seconds = time.monotonic() - started
            for request, row in zip(batch, rows, strict=True):
                ended = job.end_id in row
                answer = row[: row.index(job.end_id) + 1] if ended else row
                yield request["id"], answer, "stop" if ended else "length", seconds

    def _load(self, folder: str) -> None:
        if folder == self._folder and self._model is not None:
            return
        import torch
        from transformers import AutoModelForCausalLM

        self._model = None
        self._model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.bfloat16, local_files_only=True, trust_remote_code=remote_code_allowed()
        )
        self._model.to(self._device).eval()
        self._folder = folder
