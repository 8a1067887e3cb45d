"""How often each class, slot, clause or other part of gold occurs, by split. In: items. Out: findings.

Warnings: one class is most of train (always answering it looks good), test has a part that train lacks, or the shares of
train and test are far apart (total variation distance).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.core import SPLITS
from harness.curate.finding import Bar, DataFinding, Found, Item, Severity, excerpt

MOST_BARS = 16
DOMINANT = 0.5  # of train, and half as much again as with equal shares
FEW = 5  # training items of a part
FAR = 0.15  # of a share, between train and test
EXCLUSIVE = 1.001  # parts of one kind that sum to one part an item are classes; several an item are features


def balance(items: Sequence[Item]) -> Found:
    """A finding for each kind of part that the task names, and one for repeated golds."""
    found = Found()
    kinds = dict.fromkeys(kind for item in items for kind, _ in item.anatomy.parts)
    for kind in kinds:
        found.findings.append(_of_kind(items, kind))
    found.findings.append(_golds(items))
    return found


def _of_kind(items: Sequence[Item], kind: str) -> DataFinding:
    counts = {s: Counter(n for i in items if i.split == s for k, n in i.anatomy.parts if k == kind) for s in SPLITS}
    sizes = {split: max(1, sum(item.split == split for item in items)) for split in SPLITS}
    train, test = counts["train"], counts["test"]
    is_class = train.total() / sizes["train"] <= EXCLUSIVE
    names = [name for name, _ in (train + test).most_common()]
    unseen = [name for name in names if test[name] and not train[name]]
    rare = [name for name in names if 0 < train[name] < FEW]
    leader, most = train.most_common(1)[0] if train else ("", 0)
    dominant = (
        is_class and len(names) > 1 and not leader.isdigit() and most > max(DOMINANT, 1.5 / len(names)) * sizes["train"]
    )
    gaps = {name: test[name] / sizes["test"] - train[name] / sizes["train"] for name in names}
    far = sorted((name for name, gap in gaps.items() if test and abs(gap) > FAR), key=lambda name: -abs(gaps[name]))
    told = [
        f"{len(names):,} distinct.",
        f"Most frequent in train: {leader} ({100 * most / sizes['train']:.1f} % of items)." if leader else "",
        f"In test but not in train: {_named(unseen)}." if unseen else "",
        f"Fewer than {FEW} training items: {_named(rare)}." if rare else "",
        f"Train and test differ most in {far[0]} ({100 * gaps[far[0]]:+.1f} points)." if far else "",
    ]
    severity: Severity = "warning" if unseen or dominant else "note"
    return DataFinding(
        key=f"balance-{excerpt(kind, 30)}",
        group="balance",
        title=f"Balance of {'the class' if is_class else 'the parts'}: {excerpt(kind, 30)}",
        severity=severity,
        count=len(unseen),
        total=len(names),
        detail=" ".join(excerpt(line, 400) for line in told if line),
        remedy=_remedy(unseen, dominant, leader),
        bars=tuple(
            Bar(
                name=excerpt(name, 60),
                shares={split: counts[split][name] / sizes[split] for split in SPLITS if counts[split]},
                counts={split: counts[split][name] for split in SPLITS if counts[split]},
            )
            for name in names[:MOST_BARS]
        ),
    )


def _remedy(unseen: Sequence[str], dominant: bool, leader: str) -> str:
    if unseen:
        return "Add training items of what only test has, or read that slice of the score apart."
    return f"Compare with always answering {excerpt(leader, 40)!r}, and read the score by class." if dominant else ""


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return ", ".join(excerpt(name, 40) for name in names[:6]) + more


def _golds(items: Sequence[Item]) -> DataFinding:
    """The share of test that the most frequent gold of train answers: a floor that costs no training."""
    train = Counter(item.anatomy.answer for item in items if item.split == "train")
    test = [item.anatomy.answer for item in items if item.split == "test"]
    answer, most = train.most_common(1)[0] if train else ("", 0)
    hits = sum(gold == answer for gold in test)
    floor = hits / len(test) if test else 0.0
    return DataFinding(
        key="frequent-gold",
        group="balance",
        title="The most frequent gold",
        severity="warning" if floor > 0.2 else "note",
        count=hits,
        total=len(test),
        detail=f"{len(train):,} distinct golds in train. The most frequent one stands {most:,} times and answers "
        f"{100 * floor:.1f} % of test: {excerpt(answer, 120)}",
        remedy="A model that always says it scores this much; compare with it." if floor > 0.2 else "",
    )
