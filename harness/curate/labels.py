"""Golds that may be wrong. In: items, the data set, the task. Out: findings and removals.

Contradictions: one input, several golds. The task's own scorer is asked whether the second gold is right by the first;
if it is, the two are spellings of one answer. Among the rest the majority's items stay in a cleaned copy, and without a
majority none: nobody knows which is right. Suspects: what the task doubts about a gold (`Anatomy.doubts`); only certain
doubts are removed. Unusable golds and broken rows are the loader's finds.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

from harness.core import Dataset, Example, Score, Task
from harness.curate.finding import DataFinding, Found, Item, Severity, Specimen, excerpt, listed, share, specimen

MOST_SCORED = 150  # pairs of golds that the scorer is asked about
Tell = Callable[[float], None]
Judge = Callable[[Sequence[tuple[Example, str]]], Sequence[Mapping[str, Score]]]


def loader_findings(items: Sequence[Item], dataset: Dataset) -> Found:
    """Rows that are no items, and golds that cannot judge, by reason."""
    bad = [item for item in items if not item.usable]
    reasons = Counter(_reason(dataset.unusable[item.example.id]) for item in bad)
    told = "; ".join(f"{excerpt(reason, 90)}: {count:,}" for reason, count in reasons.most_common(6))
    splits = Counter(item.split for item in bad)
    unusable = DataFinding(
        key="unusable-gold",
        group="gold",
        title="Golds that cannot judge",
        severity="warning" if bad else "good",
        count=len(bad),
        total=len(items),
        detail=f"{share(len(bad), len(items))} items ({', '.join(f'{n:,} {s}' for s, n in splits.items())}). {told}."
        if bad
        else "Every gold can judge.",
        remedy="They are in no denominator and in no training run already; cleaning leaves them out." if bad else "",
        removed=splits["train"],
        specimens=listed(
            specimen([item], ("why", dataset.unusable[item.example.id])) for item in _spread(bad, dataset)
        ),
    )
    broken = DataFinding(
        key="broken-rows",
        group="gold",
        title="Rows that could not become items",
        severity="warning" if dataset.broken else "good",
        count=len(dataset.broken),
        total=len(items) + len(dataset.broken),
        detail=f"{share(len(dataset.broken), len(items) + len(dataset.broken))} rows." if dataset.broken else "None.",
        remedy="Mend the rows in the source file, or accept that they are left out." if dataset.broken else "",
        specimens=listed(
            Specimen(place=excerpt(f"{row.file}:{row.line}", 80), lines=(("why", excerpt(row.why)),))
            for row in dataset.broken
        ),
    )
    why = {
        item.example.id: f"gold cannot judge: {dataset.unusable[item.example.id]}"
        for item in bad
        if item.split == "train"
    }
    return Found(findings=[broken, unusable], removals=why)


def _reason(why: str) -> str:
    """A reason without its particulars, so that equal ones are counted together."""
    return re.sub(r"\b\w*\d\w*\b", "#", why.split(": ")[0])


def _spread(items: Sequence[Item], dataset: Dataset) -> list[Item]:
    """One item of each reason first."""
    firsts = {_reason(dataset.unusable[item.example.id]): item for item in reversed(items)}
    return [*firsts.values(), *(item for item in items if item not in firsts.values())]


def suspects(items: Sequence[Item]) -> Found:
    """What the task doubts about golds, a finding for each kind of doubt."""
    seen: dict[str, list[tuple[Item, str, bool]]] = defaultdict(list)
    for item in items:
        for doubt in item.anatomy.doubts:
            seen[doubt.kind].append((item, doubt.seen, doubt.certain))
    found = Found()
    for kind, pairs in sorted(seen.items(), key=lambda entry: -len(entry[1])):
        removals = {
            item.example.id: f"{kind}: {excerpt(what, 120)}"
            for item, what, certain in pairs
            if certain and item.split == "train"
        }
        certain = any(sure for _, _, sure in pairs)
        finding = DataFinding(
            key="suspect-" + re.sub(r"\W+", "-", kind.casefold()),
            group="labels",
            title=f"Suspects: {kind}",
            severity="warning" if certain or len(pairs) * 50 > len(items) else "note",
            count=len(pairs),
            total=len(items),
            detail=f"{share(len(pairs), len(items))} items.",
            remedy="Cleaning leaves these training items out."
            if certain
            else "Look at them; the gold or the question may be wrong.",
            removed=len(removals),
            specimens=listed(specimen([item], ("doubt", what)) for item, what, _ in pairs),
        )
        found.add(Found(findings=[finding], removals=removals))
    return found


def contradictions(items: Sequence[Item], task: Task, judge: Judge, tell: Tell = lambda done: None) -> Found:
    """Inputs with several golds, told apart by the scorer into spellings of one answer and contradictions."""
    groups: dict[tuple[str, str], list[Item]] = defaultdict(list)
    for item in items:
        if item.usable:
            groups[item.input_key].append(item)
    several = [group for group in groups.values() if len({item.anatomy.answer for item in group}) > 1]
    classes = _classes(several, task, judge)
    tell(1.0)
    apart = [parts for parts in classes if len(parts) > 1]
    alike = [parts[0] for parts in classes if len(parts) == 1]
    removals: dict[str, str] = {}
    for parts in apart:
        kept = _majority(parts)
        for part in parts:
            other = next(item for rest in parts if rest is not part for item in rest)
            removals |= {
                item.example.id: f"contradicts {other.place}"
                for item in part
                if part is not kept and item.split == "train"
            }
    unsure = max(0, sum(len({i.anatomy.answer for i in group}) - 1 for group in several) - MOST_SCORED)
    return Found(
        findings=[
            _finding(
                "contradictions",
                "Contradictions: one input, several golds",
                "error",
                apart,
                items,
                len(removals),
                unsure,
            ),
            _spellings(alike, items),
        ],
        removals=removals,
    )


def _classes(groups: Sequence[Sequence[Item]], task: Task, judge: Judge) -> list[list[list[Item]]]:
    """For each group its items by answer; answers that the scorer calls the same as the first one are put together."""
    by_answer: list[list[list[Item]]] = []
    for group in groups:
        answers: dict[str, list[Item]] = defaultdict(list)
        for item in group:
            answers[item.anatomy.answer].append(item)
        by_answer.append(list(answers.values()))
    asked = [(parts, part) for parts in by_answer for part in parts[1:]][:MOST_SCORED]
    scores = judge([(parts[0][0].example, part[0].example.gold) for parts, part in asked])
    same = {id(part) for (_, part), score in zip(asked, scores, strict=True) if score[task.primary].value == 1.0}
    merged = []
    for parts in by_answer:
        first = [item for part in parts if part is parts[0] or id(part) in same for item in part]
        merged.append([first, *(part for part in parts[1:] if id(part) not in same)])
    return merged


def _majority(parts: Sequence[Sequence[Item]]) -> Sequence[Item] | None:
    sizes = sorted(map(len, parts), reverse=True)
    return max(parts, key=len) if sizes[0] > sizes[1] else None


def _finding(
    key: str,
    title: str,
    severity: Severity,
    groups: Sequence[Sequence[Sequence[Item]]],
    items: Sequence[Item],
    removed: int,
    unsure: int,
) -> DataFinding:
    count = sum(len(part) for parts in groups for part in parts)
    mixed = sum(len({item.split for part in parts for item in part}) > 1 for parts in groups)
    unasked = f" {unsure:,} pairs were not put to the scorer and count as different." if unsure else ""
    return DataFinding(
        key=key,
        group="labels",
        title=title,
        severity=severity if groups else "good",
        count=count,
        total=len(items),
        detail=f"{len(groups):,} inputs with {count:,} items have golds that the task's scorer tells apart; {mixed:,} of these "
        f"inputs stand in several splits.{unasked}"
        if groups
        else "None found.",
        remedy="Cleaning keeps the majority's items; without a majority it keeps none." if groups else "",
        removed=removed,
        specimens=listed(specimen([part[0] for part in parts[:3]]) for parts in groups),
    )


def _spellings(groups: Sequence[Sequence[Item]], items: Sequence[Item]) -> DataFinding:
    count = sum(map(len, groups))
    return DataFinding(
        key="spellings",
        group="labels",
        title="One input, one answer in several spellings",
        severity="note" if groups else "good",
        count=count,
        total=len(items),
        detail=f"{len(groups):,} inputs with {count:,} items: the scorer accepts each gold for the other."
        if groups
        else "None found.",
        remedy="Harmless for scores; one spelling is easier to learn." if groups else "",
        specimens=listed(specimen(_distinct(group)) for group in groups),
    )


def _distinct(group: Sequence[Item]) -> list[Item]:
    return list({item.anatomy.answer: item for item in reversed(group)}.values())[:3]
