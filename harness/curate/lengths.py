"""How long items are in tokens, and what would not fit. In: items, a task, a model's chat format. Out: findings.

Training leaves out what is over `max_length` (nothing is ever cut), so such an item is lost; a gold over the task's
`max_new_tokens` can never be answered in full.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.chat import ChatFormat
from harness.core import SPLITS, Task
from harness.curate.finding import Bar, DataFinding, Found, Item, Specimen, excerpt, listed, share

QUANTILES = ((0.5, "median"), (0.95, "95 %"), (0.99, "99 %"), (1.0, "longest"))
EDGES = (32, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048, 4096, 8192)
Tell = Callable[[float], None]


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """One item's tokens."""

    item: Item
    prompt: int
    answer: int

    @property
    def total(self) -> int:
        """Tokens of prompt and answer together."""
        return self.prompt + self.answer


def token_lengths(
    items: Sequence[Item], task: Task, chat: ChatFormat, style: str, tell: Tell = lambda done: None
) -> list[Lengths]:
    """The tokens of every item in one prompt style."""
    prompt = task.prompts[style]
    found = []
    for number, item in enumerate(items, start=1):
        rendered = chat.prompt_ids(tuple(prompt(item.example.inputs)))
        found.append(Lengths(item=item, prompt=len(rendered), answer=len(chat.answer_ids(item.example.gold))))
        if number % 500 == 0:
            tell(number / len(items))
    return found


def length_findings(lengths: Sequence[Lengths], max_length: int, max_new_tokens: int, model: str) -> Found:
    """The distribution, the training items over `max_length`, and the golds over `max_new_tokens`."""
    train = [length for length in lengths if length.item.split == "train"]
    over = [length for length in train if length.total > max_length]
    long = [length for length in lengths if length.answer > max_new_tokens]
    return Found(
        findings=[
            DataFinding(
                key="length",
                group="length",
                title="Length in tokens",
                severity="note",
                count=len(lengths),
                total=len(lengths),
                detail=f"Prompt and answer by the tokenizer of {model}. {' '.join(map(_quantiles, _by_split(lengths)))}",
                remedy="",
                bars=_bars(lengths),
            ),
            _over("too-long", f"Training items over {max_length:,} tokens", over, len(train),
                  f"Training leaves them out whole; give --max-length {_needed(over)} or shorten the prompt."),
            _over("long-gold", f"Golds over the answer's limit of {max_new_tokens:,} tokens", long, len(lengths),
                  f"No model can answer them in full: the task's max_new_tokens would have to be {_longest(long)}."),
        ]
    )  # fmt: skip


def unmeasured(why: str) -> Found:
    """The finding when there is no tokenizer to measure with."""
    finding = DataFinding(
        key="length", group="length", title="Length in tokens", severity="warning", count=0, total=0,
        detail=f"Not measured: {excerpt(why)}.", remedy="Give --model, a name or a folder with a tokenizer.",
    )  # fmt: skip
    return Found(findings=[finding])


def _over(key: str, title: str, over: Sequence[Lengths], total: int, remedy: str) -> DataFinding:
    longest = sorted(over, key=lambda length: -length.total)
    return DataFinding(
        key=key,
        group="length",
        title=title,
        severity="warning" if over else "good",
        count=len(over),
        total=total,
        detail=f"{share(len(over), total)} items." if over else "None.",
        remedy=remedy if over else "",
        specimens=listed(
            Specimen(
                place=length.item.place,
                lines=(
                    ("tokens", f"{length.prompt:,} of prompt, {length.answer:,} of answer"),
                    ("input", excerpt(length.item.anatomy.text)),
                    ("gold", excerpt(length.item.example.gold)),
                ),
            )
            for length in longest
        ),
    )


def _needed(over: Sequence[Lengths]) -> int:
    return max((length.total for length in over), default=0)


def _longest(over: Sequence[Lengths]) -> int:
    return max((length.answer for length in over), default=0)


def _by_split(lengths: Sequence[Lengths]) -> list[tuple[str, list[int]]]:
    groups = [(split, sorted(length.total for length in lengths if length.item.split == split)) for split in SPLITS]
    return [(split, totals) for split, totals in groups if totals]


def _quantiles(group: tuple[str, list[int]]) -> str:
    split, totals = group
    told = ", ".join(f"{name} {totals[min(len(totals) - 1, int(q * len(totals)))]:,}" for q, name in QUANTILES)
    return f"{split.capitalize()}: {told}."


def _bars(lengths: Sequence[Lengths]) -> tuple[Bar, ...]:
    groups = dict(_by_split(lengths))
    edges = (*EDGES, 10**9)
    bars = []
    for low, high in zip((0, *edges), edges, strict=False):
        counts = {split: sum(low < total <= high for total in totals) for split, totals in groups.items()}
        if any(counts.values()):
            name = f"{low + 1:,} to {high:,}" if high < 10**9 else f"over {low:,}"
            bars.append(Bar(name=name, shares={s: n / len(groups[s]) for s, n in counts.items()}, counts=counts))
    return tuple(bars)
