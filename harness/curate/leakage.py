"""What test shares with train beside whole items: contexts (schemas), meanings, templates. In: items. Out: findings.

Nothing is removed for it: a shared schema is a property of the split, and whether it is wanted is the reader's to say.
Shared by some test items only, a context is a warning (a split that leaks); shared by all, it is a note (by design).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from harness.core import masked_values
from harness.curate.finding import Bar, DataFinding, Found, Item, Severity, excerpt, listed, share, specimen

BARS = 8
Key = Callable[[Item], str]


def leakage(items: Sequence[Item]) -> Found:
    """Contexts, meanings and templates of test that stand in train too."""
    found = Found()
    contexts = {item.anatomy.context for item in items if item.anatomy.context}
    if len(contexts) > 1:
        found.findings.append(_contexts(items, len(contexts)))
    looked: tuple[tuple[str, str, Key, str], ...] = (
        ("known-meanings", "Test golds that train has for other words", lambda item: item.anatomy.meaning,
         "The model may know the answer from another wording; report the slice without them."),
        ("known-templates", "Test golds whose template train has", lambda item: item.anatomy.template,
         "Names and values masked. High is normal for one language; low means that test asks for new structures."),
        ("known-question-templates", "Test questions whose template train has", _question_template,
         "Numbers and quoted values masked. High means that the questions are generated or formulaic."),
    )  # fmt: skip
    for key, title, of, remedy in looked:
        finding = _shared(items, key, title, of, remedy)
        found.findings += [finding] if finding is not None else []
    return found


def _question_template(item: Item) -> str:
    return masked_values(item.anatomy.text)


def _contexts(items: Sequence[Item], number: int) -> DataFinding:
    train = {item.anatomy.context for item in items if item.split == "train"}
    test = [item for item in items if item.split == "test"]
    shared = [item for item in test if item.anatomy.context in train]
    everywhere = len(shared) == len(test)
    severity: Severity = "good" if not shared else "note" if everywhere else "warning"
    detail = (
        "No test item has a context (schema) that train has."
        if not shared
        else f"{share(len(shared), len(test))} test items have a context (schema) that train has"
        + (
            ": test does not measure new ones."
            if everywhere
            else "; the others' are new: the split leaks some of them."
        )
    )
    return DataFinding(
        key="known-contexts",
        group="leakage",
        title="Contexts of test that train has",
        severity=severity,
        count=len(shared),
        total=len(test),
        detail=f"{detail} {number:,} contexts in all.",
        remedy="" if not shared else "Split by whole contexts, if test is to measure new ones.",
        specimens=listed(specimen([item], ("context", item.anatomy.context)) for item in shared if not everywhere),
    )


def _shared(items: Sequence[Item], key: str, title: str, of: Key, remedy: str) -> DataFinding | None:
    test = [item for item in items if item.split == "test" and of(item)]
    first: dict[str, Item] = {}
    for item in items:
        if item.split == "train" and of(item):
            first.setdefault(of(item), item)
    if not test or not first:
        return None
    shared = [item for item in test if of(item) in first]
    templates = Counter(of(item) for item in test)
    known = sum(template in first for template in templates)
    severity: Severity = "good" if not shared else "warning" if key == "known-meanings" else "note"
    return DataFinding(
        key=key,
        group="leakage",
        title=title,
        severity=severity,
        count=len(shared),
        total=len(test),
        detail=f"{share(len(shared), len(test))} test items; {known:,} of {len(templates):,} distinct ones.",
        remedy=remedy if shared else "",
        specimens=listed(specimen([item, first[of(item)]]) for item in shared) if key == "known-meanings" else (),
        bars=_bars(items, of) if key == "known-templates" else (),
    )


def _bars(items: Sequence[Item], of: Key) -> tuple[Bar, ...]:
    """The most frequent templates of test, as shares of test and of train."""
    counts = {split: Counter(of(item) for item in items if item.split == split) for split in ("train", "test")}
    totals = {split: max(1, count.total()) for split, count in counts.items()}
    return tuple(
        Bar(
            name=excerpt(name, 90),
            shares={split: counts[split][name] / totals[split] for split in counts},
            counts={split: counts[split][name] for split in counts},
        )
        for name, _ in counts["test"].most_common(BARS)
    )
