"""TRL's SFTTrainer on our token ids, for a comparison of speed. In: a model, LoRA settings, items. Out: seconds a step.

Completion-only loss, bfloat16, no packing, no gradient checkpointing: its defaults beside what must be equal.
Source: TRL 1.16, docs/sft_trainer: a dataset with `input_ids` and `completion_mask` is taken as tokenised.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Sequence
from typing import Any

from harness.core import Lora, Training
from harness.train.job import Item


def tokenizer() -> Any:
    """The default model's tokenizer: the trainer wants one, though the rows are token ids already."""
    from harness.models import load_tokenizer, resolve

    return load_tokenizer(resolve("smollm2-135m", offline=True).folder)


def seconds_of_steps(model: Any, method: Any, items: Sequence[Item], training: Training, device: str) -> list[float]:
    """Wall-clock seconds of each optimizer step."""
    import datasets
    from peft import LoraConfig
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    assert isinstance(method, Lora)
    model.set_attn_implementation("sdpa")
    rows = [
        {"input_ids": list(item.ids), "completion_mask": [0] * len(item.prompt_ids) + [1] * len(item.answer_ids)}
        for item in items
    ]
    begun: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *arguments: Any, **rest: Any) -> None:
            begun.append(time.perf_counter())

        def on_train_end(self, *arguments: Any, **rest: Any) -> None:
            begun.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        settings = SFTConfig(
            output_dir=folder,
            per_device_train_batch_size=training.batch_size,
            learning_rate=training.learning_rate,
            num_train_epochs=1,
            bf16=True,
            use_cpu=device == "cpu",
            gradient_checkpointing=False,
            max_length=training.max_length,
            report_to=[],
            save_strategy="no",
            disable_tqdm=True,
        )
        adapters = LoraConfig(
            r=method.rank, lora_alpha=method.alpha, target_modules=list(method.targets), task_type="CAUSAL_LM"
        )
        trainer = SFTTrainer(
            model=model,
            args=settings,
            train_dataset=datasets.Dataset.from_list(rows),
            peft_config=adapters,
            processing_class=tokenizer(),
            callbacks=[Clock()],
        )
        trainer.train()
    return [later - earlier for earlier, later in itertools.pairwise(begun)]
