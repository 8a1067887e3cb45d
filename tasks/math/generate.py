"""Built-in multi-step word problems. Goes in: a seed and sizes. Comes out: examples whose answers were executed.

An item is a path of steps (an opening, then events), filled with numbers so that every intermediate result is a
positive whole number, and told in one of several phrasings, sometimes with a number that plays no part. The answer is
what the steps compute, never text. A template is a setting plus a path; it is the item's cluster. No template is in
two splits, and no two items anywhere ask for the same arithmetic (the same operations on the same numbers), so a
memorised answer never helps.

Difficulty is in the tags: `steps:1` to `steps:4` operations, `magnitude:small` (numbers a person adds in the head) or
`magnitude:large`, `distractor:yes|no`, and one `op:...` for each kind of operation.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from harness.core import Example, Split, digest
from harness.sources import stable_fraction
from tasks.math.stories import DISTRACTORS, EVENTS, FRACTIONS, HE, OPENINGS, QUESTIONS, SETTINGS, SHE, Setting

SIZES: dict[Split, int] = {"train": 6000, "validation": 600, "test": 1000}
_SHARES = {"validation": 0.12, "test": 0.18}  # of the templates
_ITEM_EVENTS = ("gain", "lose", "double", "keep_fraction", "lose_percent")
_MONEY_EVENTS = ("spend", "earn")
_STEP_WEIGHTS = ((1, 0.2), (2, 0.3), (3, 0.3), (4, 0.2))
_DISTRACTOR_SHARE = 0.35
_OPERATION = {
    "packs": "*", "rate": "*", "two_parts": "+", "times_as_many": "*", "fewer": "-", "gain": "+", "lose": "-",
    "double": "*", "keep_fraction": "/", "share": "/", "sell": "*", "spend": "-", "earn": "+", "save_equal": "/",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Step:
    """One executed operation: `left op right = result`."""

    left: int
    op: str
    right: int

    @property
    def result(self) -> int:
        """What the step computes; division leaves no rest by construction."""
        if self.op == "/":
            whole, rest = divmod(self.left, self.right)
            if rest:
                raise ValueError(f"{self.left} / {self.right} is not whole; the generator must not make such a step")
            return whole
        return {"+": self.left + self.right, "-": self.left - self.right, "*": self.left * self.right}[self.op]


class _DoesNotFitError(Exception):
    """The numbers drawn do not suit the path (a share that is not whole): draw again."""


def paths() -> list[tuple[str, ...]]:
    """Every path of 1 to 4 steps that the grammar of stories allows, in a fixed order."""
    return [path for length in range(1, 5) for path in _paths_of(length)]


def _paths_of(num_steps: int) -> Iterator[tuple[str, ...]]:
    for opening in OPENINGS:
        yield from _extend((opening,), num_steps - (opening != "start"), "items")


def _extend(path: tuple[str, ...], left: int, state: str) -> Iterator[tuple[str, ...]]:
    if left == 0:
        if path != ("start",):
            yield path
        return
    events: tuple[str, ...] = ()
    if state == "items":
        events = (*_ITEM_EVENTS, "sell", "share") if left == 1 else (*_ITEM_EVENTS, "sell")
    elif state == "money":
        events = (*_MONEY_EVENTS, "save_equal") if left == 1 else _MONEY_EVENTS
    for event in events:
        cost = 2 if event == "lose_percent" else 1
        if cost > left or path[-1] == event:
            continue
        yield from _extend((*path, event), left - cost, "money" if event == "sell" else state)


def build(seed: int, sizes: dict[Split, int]) -> dict[Split, tuple[Example, ...]]:
    """The examples of each split. The first n of a split do not depend on how many more are asked for."""
    seen: set[str] = set()
    # test first, then validation: their items never depend on the size of train
    order: tuple[Split, ...] = ("test", "validation", "train")
    made: dict[Split, tuple[Example, ...]] = {}
    for split in order:
        reserve = SIZES[split] if split != "train" else 0  # number-disjointness must not move with a smaller test set
        examples = tuple(_examples(split, seed, max(sizes[split], reserve), seen))
        made[split] = examples[: sizes[split]]
    return made


def _examples(split: Split, seed: int, size: int, seen: set[str]) -> Iterator[Example]:
    by_steps = _templates(split, seed)
    draw = random.Random(f"math/{seed}/{split}")
    count = failures = 0
    while count < size:
        (num_steps,) = draw.choices([n for n, _ in _STEP_WEIGHTS], [w for _, w in _STEP_WEIGHTS])
        setting, path = draw.choice(by_steps[num_steps])
        try:
            example, arithmetic = _item(setting, path, draw)
        except _DoesNotFitError:
            continue
        if arithmetic in seen:
            failures += 1
            if failures > 50 * size + 1000:
                raise ValueError(f"the generator found only {count} distinct {split} items, {size} were asked for")
            continue
        seen.add(arithmetic)
        count += 1
        yield example


def _templates(split: Split, seed: int) -> dict[int, list[tuple[Setting, tuple[str, ...]]]]:
    found: dict[int, list[tuple[Setting, tuple[str, ...]]]] = {1: [], 2: [], 3: [], 4: []}
    for path in paths():
        for setting in SETTINGS:
            place = stable_fraction(f"{setting.name}:{'+'.join(path)}", seed)
            where = "test" if place < _SHARES["test"] else "validation" if place < sum(_SHARES.values()) else "train"
            if where == split:
                found[_num_steps(path)].append((setting, path))
    return found


def _num_steps(path: tuple[str, ...]) -> int:
    return sum(2 if kind == "lose_percent" else kind != "start" for kind in path)


def _item(setting: Setting, path: tuple[str, ...], draw: random.Random) -> tuple[Example, str]:
    """One example of a template and the text that identifies its arithmetic."""
    large = draw.random() < 0.4
    slots = _people(setting, draw)
    steps: list[Step] = []
    sentences = [_opening(path[0], slots, large, draw, steps)]
    value = steps[-1].result if steps else int(slots["n"])
    for kind in path[1:]:
        sentence, value = _event(kind, value, slots, large, draw, steps)
        sentences.append(sentence)
    distracted = draw.random() < _DISTRACTOR_SHARE
    if distracted:
        text = draw.choice(DISTRACTORS).format(**slots, d=draw.randint(3, 90))
        sentences.insert(draw.randint(0, len(sentences)), text)
    unit = {"share": "share", "save_equal": "money_share"}.get(path[-1], "money" if "sell" in path else "items")
    sentences.append(draw.choice(QUESTIONS[unit]).format(**slots))
    arithmetic = ";".join(f"{step.left}{step.op}{step.right}" for step in steps)
    question = " ".join(sentences)
    cluster = f"{setting.name}:{'+'.join(path)}"
    solution = "\n".join(f"{s.left} {s.op} {s.right} = {s.result}" for s in steps)
    tags = (
        f"steps:{len(steps)}",
        f"magnitude:{'large' if large else 'small'}",
        f"distractor:{'yes' if distracted else 'no'}",
        *sorted({f"op:{kind}" for kind in path if kind != "start"}),
    )
    example = Example(
        id=f"builtin-{digest(question, 12)}",
        inputs={"question": question, "format": "hash"},
        gold=f"{solution}\n#### {value}",
        meta={"answer": str(value), "source": "builtin", "format": "hash"},
        cluster=cluster,
        tags=tags,
    )
    return example, arithmetic


def _people(setting: Setting, draw: random.Random) -> dict[str, str]:
    woman = draw.random() < 0.5
    name, other = draw.choice(SHE if woman else HE), draw.choice(HE if woman else SHE)
    return {
        "A": name, "B": other, "they": "she" if woman else "he", "They": "She" if woman else "He",
        "them": "her" if woman else "him", "their": "her" if woman else "his",
        "item": setting.item, "items": setting.items, "box": setting.box, "boxes": setting.boxes,
        "place": setting.place, "gets": setting.gets, "makes": setting.makes, "v": setting.gives_away,
    }  # fmt: skip


def _opening(kind: str, slots: dict[str, str], large: bool, draw: random.Random, steps: list[Step]) -> str:
    numbers: dict[str, int]
    if kind == "start":
        numbers = {"n": draw.randint(100, 950) if large else draw.randint(12, 90)}
    elif kind in ("packs", "rate"):
        numbers = {"n": draw.randint(12, 48) if large else draw.randint(3, 12), "m": draw.randint(6, 25) if large else
                   draw.randint(3, 10)}  # fmt: skip
    elif kind == "two_parts":
        numbers = {"n": draw.randint(110, 900), "m": draw.randint(110, 900)} if large else {
            "n": draw.randint(11, 60), "m": draw.randint(11, 60)}  # fmt: skip
    elif kind == "times_as_many":
        numbers = {"n": draw.randint(60, 240) if large else draw.randint(6, 25), "k": draw.randint(3, 9)}
    else:
        first = draw.randint(200, 950) if large else draw.randint(25, 95)
        numbers = {"n": first, "m": draw.randint(first // 8, first // 2)}
    slots.update({name: str(number) for name, number in numbers.items()})
    if kind != "start":
        right = numbers["k"] if kind == "times_as_many" else numbers["m"]
        steps.append(Step(left=numbers["n"], op=_OPERATION[kind], right=right))
    return draw.choice(OPENINGS[kind]).format(**slots)


def _event(
    kind: str, value: int, slots: dict[str, str], large: bool, draw: random.Random, steps: list[Step]
) -> tuple[str, int]:
    numbers = _event_numbers(kind, value, large, draw)
    if kind == "lose_percent":
        steps.append(Step(left=value, op="/", right=100 // numbers["k"]))
        steps.append(Step(left=value, op="-", right=steps[-1].result))
    else:
        steps.append(Step(left=value, op=_OPERATION[kind], right=numbers.get("n", numbers.get("k", 0))))
    if not 0 < steps[-1].result < 100_000:
        raise _DoesNotFitError
    filled = {**slots, **{name: str(number) for name, number in numbers.items()}}
    if kind == "keep_fraction":
        filled["fraction"] = FRACTIONS[numbers["k"]]
    return draw.choice(EVENTS[kind]).format(**filled), steps[-1].result


def _event_numbers(kind: str, value: int, large: bool, draw: random.Random) -> dict[str, int]:
    """Numbers that leave the next value whole and positive."""
    if kind in ("gain", "earn"):
        return {"n": draw.randint(60, 400) if large else draw.randint(4, 40)}
    if kind in ("lose", "spend"):
        if value < 6:
            raise _DoesNotFitError
        return {"n": draw.randint(2, value - 2) if value < 12 else draw.randint(value // 10 + 1, value * 3 // 4)}
    if kind == "double":
        return {"k": draw.randint(2, 6 if large else 4)}
    if kind == "sell":
        return {"n": draw.randint(6, 24) if large else draw.randint(2, 6)}
    if kind == "lose_percent":
        options = [percent for percent in (10, 20, 25, 50) if value % (100 // percent) == 0 and value >= 10]
    elif kind == "keep_fraction":
        options = [parts for parts in FRACTIONS if value % parts == 0 and value > parts]
    else:
        options = [parts for parts in range(3, 16 if large else 11) if value % parts == 0 and value > parts]
    if not options:
        raise _DoesNotFitError
    return {"k": draw.choice(options)}
