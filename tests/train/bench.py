"""Training speed, side by side in one process: `python -m tests.train.bench MODEL_FOLDER ITEMS.jsonl [STEPS]`.

Out: a table of loops (a plain peft + torch one, ours packed, sharing prefixes, grouping them; LoRA and full) with
tokens of the examples a second of wall clock and of CPU time. The ratios travel; the absolute numbers do not, and on a
shared machine only CPU time means anything. The plain loop is the fast textbook one: bf16 autocast entered anew every
step, padded rows, logits at the answer tokens alone.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from harness.core import Full, Lora, Training
from harness.train.batches import families_of, pack, steps_of
from harness.train.job import Item, Options, read_items
from harness.train.loop import Hooks, Setup, train_steps
from harness.train.optimizer import Updater
from harness.train.trainee import attach, load_base

BATCH = 8
TRAINING = Training(learning_rate=1e-4, batch_size=BATCH, max_length=1024)
METHOD = Lora(rank=8, alpha=16.0)


def plain_loop(folder: Path, batches: Sequence[Sequence[Item]]) -> list[float]:
    """Losses of the textbook loop."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    config = LoraConfig(r=METHOD.rank, lora_alpha=METHOD.alpha, target_modules=list(METHOD.targets))
    model = get_peft_model(base, config)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)

    def step(batch: Sequence[Item]) -> float:
        longest = max(item.num_tokens for item in batch)
        ids = torch.tensor([[*item.ids, *([0] * (longest - item.num_tokens))] for item in batch])
        mask = torch.tensor([[1] * item.num_tokens + [0] * (longest - item.num_tokens) for item in batch])
        rows = [(i, t) for i, item in enumerate(batch) for t in range(len(item.prompt_ids) - 1, item.num_tokens - 1)]
        where = torch.tensor(rows).t()
        targets = torch.tensor([token for item in batch for token in item.answer_ids])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            hidden = base.model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
            logits = base.lm_head(hidden[where[0], where[1]])
        loss = torch.nn.functional.cross_entropy(logits.float(), targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return float(loss.detach())

    return [step(batch) for batch in batches]


def our_loop(folder: Path, items: Sequence[Item], steps: int, method: Lora | Full, options: Options) -> list[float]:
    """Losses of the first `steps` steps of ours."""
    trainee = attach(load_base(folder, "cpu", "bfloat16", "none"), method, 0, options)
    updater = Updater(trainee.parameters, TRAINING, options)
    setup = Setup(
        trainee=trainee,
        updater=updater,
        items=items[: steps * BATCH],
        training=TRAINING,
        seed=0,
        options=options,
        device="cpu",
    )
    return train_steps(setup, Hooks(record=lambda row: None, save=lambda state: None)).losses


def main() -> None:
    """Print one line a loop."""
    folder, path, steps = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 6
    items = read_items(path)[: steps * BATCH]
    tokens = sum(item.num_tokens for item in items)
    order = steps_of(len(items), 1, BATCH, 0)
    batches = [[items[index] for index in step] for step in order]
    alone, shared = Options(share_prefixes=False), Options()
    grouped = Options(group_prefixes=4)
    loops: list[tuple[str, Callable[[], list[float]]]] = [
        ("plain peft + torch, padded, bf16 autocast", lambda: plain_loop(folder, batches)),
        ("ours, LoRA, packed", lambda: our_loop(folder, items, steps, METHOD, alone)),
        ("ours, LoRA, shared prefixes", lambda: our_loop(folder, items, steps, METHOD, shared)),
        ("ours, LoRA, shared, 4 together", lambda: our_loop(folder, items, steps, METHOD, grouped)),
        ("ours, full, shared, 4 together", lambda: our_loop(folder, items, steps, Full(), grouped)),
    ]
    together = steps_of(len(items), 1, BATCH, 0, families_of(items), 4)
    computed = [
        sum(len(pack([items[i] for i in step], share_prefixes=True).input_ids) for step in steps) / tokens
        for steps in (order, together)
    ]
    print(f"{len(items)} items, {tokens} tokens, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"share of tokens computed: {computed[0]:.2f} shared, {computed[1]:.2f} with 4 together")
    for name, run in loops:
        wall, cpu = time.perf_counter(), time.process_time()
        losses = run()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        print(
            f"{name:44} {tokens / wall:7.0f} tokens/s {tokens / cpu:7.0f} tokens/CPU-s  "
            f"loss {losses[0]:.3f} -> {losses[-1]:.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
