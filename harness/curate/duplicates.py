"""Items that stand in the data more than once. In: items. Out: findings and removals.

Exact: the same words of the question (Unicode NFKC, no case, no punctuation) in the same context. Near: MinHash over
five-letter shingles proposes pairs (datasketch, 128 permutations), their true Jaccard similarity decides, so a pair that
is shown is a pair. Near twins with the same gold are the same item; with another gold they are a contrast, or one of them
is wrong. Reworded: another question with the same gold in its normal form (SQL, a representation) and the same context.
A training item that stands in validation or test leaves the training split, never the other way round.

Sources: Broder 1997; Lee et al. 2022, "Deduplicating Training Data Makes Language Models Better" (arXiv 2107.06499).
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.core import SPLITS
from harness.curate.finding import DataFinding, Found, Group, Item, Severity, listed, share, specimen

SIMILAR = 0.8  # Jaccard similarity of letter shingles: about one short word changed in a question of ten
SHINGLE_LETTERS = 5
NUM_PERMUTATIONS = 128
MOST_TRIED = 64  # candidates with another gold whose true similarity is computed
LONGEST_COMPARED = 4000
Tell = Callable[[float], None]
Pair = tuple[Item, Item]


def normal_words(text: str) -> str:
    """`text` as it is compared: NFKC, no case, words only, one blank between them. Signs that mean something stay."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.findall(r"\w+|[<>=+*/%$€£^-]", folded))


@dataclass(frozen=True, kw_only=True)
class Twins:
    """A later item beside an earlier one that it resembles."""

    later: Item
    earlier: Item
    similarity: float


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of duplicate: what is said about it, and whether cleaning leaves the training items out."""

    key: str
    title: str
    severity: Severity
    group: Group
    of: str
    remedy: str
    reason: str = ""


_KEPT = "Cleaning leaves these training items out; test stays as it is."
LEAKED = Kind(
    key="leaked-input",
    title="Training items that are test or validation items",
    severity="error",
    group="leakage",
    of="training items",
    remedy=_KEPT,
    reason="stands in",
)
NEAR_LEAKED = Kind(
    key="near-leaks",
    title="Training items nearly equal to a test or validation item",
    severity="error",
    group="leakage",
    of="training items",
    remedy=_KEPT,
    reason="nearly stands in",
)
REPEATED = Kind(
    key="exact-duplicates",
    title="Exact duplicates in train",
    severity="warning",
    group="duplicates",
    of="training items",
    remedy="Cleaning keeps the first of each; a repeated item is trained on more often.",
    reason="repeats",
)
NEAR_REPEATED = Kind(
    key="near-duplicates",
    title="Near duplicates in train",
    severity="note",
    group="duplicates",
    of="training items",
    remedy="Cleaning keeps the first of each.",
    reason="nearly repeats",
)
HELD = Kind(
    key="held-duplicates",
    title="The same input twice in validation or test",
    severity="warning",
    group="duplicates",
    of="held-out items",
    remedy="Mend the source: it counts twice in every score. Nothing is removed here.",
)
NEAR_HELD = Kind(
    key="near-held-duplicates",
    title="Nearly the same item twice in validation or test",
    severity="note",
    group="duplicates",
    of="held-out items",
    remedy="They say less than as many different items would. Nothing is removed here.",
)
REWORDED = Kind(
    key="reworded",
    title="Other wordings of an item of the same split",
    severity="note",
    group="duplicates",
    of="items",
    remedy="Paraphrases teach; in test they are not independent of each other, so they belong in one cluster.",
)
CONTRAST = Kind(
    key="near-contrasts",
    title="Nearly the same input, another gold",
    severity="note",
    group="duplicates",
    of="items",
    remedy="Look at a few: a wanted contrast teaches, a slip of the annotator confuses.",
)
KNOWN = Kind(
    key="known-questions",
    title="Test questions that train asks over another context",
    severity="note",
    group="leakage",
    of="test items",
    remedy="Expected where questions are formulaic; report the slice without them.",
)


def exact_duplicates(items: Sequence[Item]) -> Found:
    """The same input twice: inside train, inside the other splits, and across splits."""
    groups: dict[tuple[str, str], list[Item]] = defaultdict(list)
    for item in items:
        groups[item.input_key].append(item)
    repeated: list[Pair] = []
    held: list[Pair] = []
    leaked: list[Pair] = []
    for group in groups.values():
        train = [item for item in group if item.split == "train"]
        outside = [item for item in group if item.split != "train"]
        firsts: dict[str, Item] = {}
        for item in train:
            first = firsts.setdefault(item.anatomy.answer, item)
            repeated += [(item, first)] if first is not item else []
        leaked += [(item, outside[-1]) for item in train] if outside else []
        held += [(item, outside[0]) for item in outside[1:]]
    of_train = _count(items, "train")
    return _merged(
        _pairs(LEAKED, leaked, of_train),
        _pairs(REPEATED, repeated, of_train),
        _pairs(HELD, held, len(items) - of_train),
        _pairs(REWORDED, _reworded(items), len(items)),
        _same_question(items),
    )


def near_duplicates(items: Sequence[Item], tell: Tell = lambda done: None) -> Found:
    """Inputs that differ in a few letters: the same gold (repeats in train or held-out, leaks), another gold (contrasts)."""
    found = twins(items, tell)
    same = [pair for pair in found if pair.later.anatomy.answer == pair.earlier.anatomy.answer]
    other = [pair for pair in found if pair.later.anatomy.answer != pair.earlier.anatomy.answer]
    inside = [(p.later, p.earlier) for p in same if p.later.split == p.earlier.split == "train"]
    # held-out items come first in the order of comparison, so the later one of a leak is the training item
    leaked = [(p.later, p.earlier) for p in same if p.later.split == "train" != p.earlier.split]
    held = [(p.later, p.earlier) for p in same if p.later.split != "train"]
    contrast = [(p.later, p.earlier) for p in other]
    of_train = _count(items, "train")
    return _merged(
        _pairs(NEAR_LEAKED, leaked, of_train),
        _pairs(NEAR_REPEATED, inside, of_train),
        _pairs(NEAR_HELD, held, len(items) - of_train),
        _pairs(CONTRAST, contrast, len(items)),
    )


def twins(items: Sequence[Item], tell: Tell = lambda done: None) -> list[Twins]:
    """For each distinct input the first earlier one that it resembles, one with the same gold before any other.

    Compared are inputs of one context; test comes first, then validation, then train.
    """
    from datasketch import MinHash, MinHashLSH

    order = sorted(items, key=lambda item: -SPLITS.index(item.split))
    firsts: dict[tuple[str, str], Item] = {}
    for item in order:
        firsts.setdefault(item.input_key, item)
    distinct = list(firsts.values())
    alone = _sizes(distinct)
    compared = [item for item in distinct if item.words and alone[item.anatomy.context] > 1]
    shingles = [_shingles(item.words) for item in compared]
    lsh = MinHashLSH(threshold=SIMILAR, num_perm=NUM_PERMUTATIONS)
    found: list[Twins] = []
    # numbers of items are the keys, so the answer does not depend on the order of a set
    for start in range(0, len(compared), 512):
        part = range(start, min(start + 512, len(compared)))
        hashes = MinHash.bulk(
            [[s.encode("utf-8", "replace") for s in shingles[n]] for n in part], num_perm=NUM_PERMUTATIONS
        )
        for number, sketch in zip(part, hashes, strict=True):
            near = sorted(lsh.query(sketch))
            best = _best(number, near, compared, shingles)
            found += [best] if best is not None else []
            lsh.insert(number, sketch, check_duplication=False)
        tell(part.stop / len(compared))
    return found


def _best(number: int, near: Iterable[int], items: Sequence[Item], shingles: Sequence[frozenset[str]]) -> Twins | None:
    item = items[number]
    beside = [other for other in near if items[other].anatomy.context == item.anatomy.context]
    same = [other for other in beside if items[other].anatomy.answer == item.anatomy.answer]
    others = [other for other in beside if items[other].anatomy.answer != item.anatomy.answer][:MOST_TRIED]
    for other in (*same, *others):
        similarity = len(shingles[number] & shingles[other]) / len(shingles[number] | shingles[other])
        if similarity >= SIMILAR:
            return Twins(later=item, earlier=items[other], similarity=similarity)
    return None


def _sizes(items: Iterable[Item]) -> Mapping[str, int]:
    sizes: dict[str, int] = defaultdict(int)
    for item in items:
        sizes[item.anatomy.context] += 1
    return sizes


def _shingles(words: str) -> frozenset[str]:
    text = words[:LONGEST_COMPARED]
    return frozenset(text[at : at + SHINGLE_LETTERS] for at in range(max(1, len(text) - SHINGLE_LETTERS + 1)))


def _reworded(items: Sequence[Item]) -> list[Pair]:
    """Items whose gold, in the task's normal form and context, an earlier item of the split has for another input."""
    firsts: dict[tuple[str, str], Item] = {}
    pairs = [
        (item, firsts.setdefault((item.split, item.anatomy.meaning), item)) for item in items if item.anatomy.meaning
    ]
    return [(item, first) for item, first in pairs if item.input_key != first.input_key]


def _same_question(items: Sequence[Item]) -> Found:
    """Test questions that train asks over another context: not the same item, but half of it is known."""
    train = {item.words: item for item in items if item.split == "train"}
    known = {item.input_key for item in items if item.split == "train"}
    pairs = [
        (item, train[item.words])
        for item in items
        if item.split == "test" and item.words in train and item.input_key not in known
    ]
    return _pairs(KNOWN, pairs, _count(items, "test"))


def _pairs(kind: Kind, pairs: Sequence[Pair], total: int) -> Found:
    removals = {item.example.id: f"{kind.reason} {other.place}" for item, other in pairs if kind.reason}
    finding = DataFinding(
        key=kind.key,
        group=kind.group,
        title=kind.title,
        severity=kind.severity if pairs else "good",
        count=len(pairs),
        total=total,
        detail=f"{share(len(pairs), total)} {kind.of}: {_where(pairs)}." if pairs else "None found.",
        remedy=kind.remedy if pairs else "",
        removed=len(removals),
        specimens=listed(specimen([item, other], ("beside", other.anatomy.text)) for item, other in pairs),
    )
    return Found(findings=[finding], removals=removals)


def _where(pairs: Sequence[Pair]) -> str:
    """In which splits the pairs stand: "12 inside test, 3 between train and test"."""
    places = Counter(tuple(sorted({a.split, b.split}, key=SPLITS.index)) for a, b in pairs)
    return ", ".join(
        f"{count:,} {'inside' if len(splits) == 1 else 'between'} {' and '.join(splits)}"
        for splits, count in sorted(places.items(), key=lambda place: -place[1])
    )


def _count(items: Iterable[Item], split: str) -> int:
    return sum(item.split == split for item in items)


def _merged(*parts: Found) -> Found:
    merged = Found()
    for part in parts:
        merged.add(part)
    return merged
