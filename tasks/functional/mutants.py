"""An example -> wrong answers made from its gold, each wrong by the definition of exact match.

Kinds: wrong_function, dropped_slot, renamed_slot, added_slot, doubled_slot, wrong_value, dropped_value, swapped_values,
and malformed (a structural bracket removed, doubled or exchanged, the end cut off). The same example gives the same
mutants. A mutant that would equal gold (two equal values swapped) is not made.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from harness.core import Example, Mutant
from tasks.functional.extract import content
from tasks.functional.grammar import Representation, Slot, parse

_OPPOSITES = {"yes": "no", "no": "yes", "": "unknown"}


def mutants(example: Example) -> Iterator[Mutant]:
    """Every wrong answer this module can make. Raises MalformedError when gold cannot be parsed."""
    gold = parse(example.gold)
    for kind, mutant in _changed(example, gold):
        if content(mutant) != content(gold):
            yield Mutant(kind=kind, text=str(mutant))
    for text in _broken(str(gold)):
        yield Mutant(kind="malformed", text=text)


def _changed(example: Example, gold: Representation) -> Iterator[tuple[str, Representation]]:
    yield "wrong_function", replace(gold, function=_other(example, "functions", gold.function))
    unused = _other(example, "slots", *(slot.name for slot in gold.slots))
    yield "added_slot", replace(gold, slots=(*gold.slots, Slot(name=unused, values=("yes",))))
    for index, slot in enumerate(gold.slots):
        yield "dropped_slot", _with(gold, index)
        yield "doubled_slot", _with(gold, index, slot, slot)
        yield "renamed_slot", _with(gold, index, replace(slot, name=unused))
        for place, value in enumerate(slot.values):
            wrong = _OPPOSITES.get(value.casefold(), f"{value} X")
            values = (*slot.values[:place], wrong, *slot.values[place + 1 :])
            yield "wrong_value", _with(gold, index, replace(slot, values=values))
            if len(slot.values) > 1:
                fewer = (*slot.values[:place], *slot.values[place + 1 :])
                yield "dropped_value", _with(gold, index, replace(slot, values=fewer))
    for index in range(len(gold.slots) - 1):
        left, right = gold.slots[index : index + 2]
        swapped = _with(gold, index, replace(left, values=right.values))
        yield "swapped_values", _with(swapped, index + 1, replace(right, values=left.values))


def _with(gold: Representation, index: int, *slots: Slot) -> Representation:
    """`gold` with `slots` in place of the one at `index`."""
    return replace(gold, slots=(*gold.slots[:index], *slots, *gold.slots[index + 1 :]))


def _other(example: Example, key: str, *taken: str) -> str:
    """A name of the example's schema that is not taken, or an invented one."""
    names = [*example.inputs.get(key, {}), *(f"other{number}" for number in range(len(taken) + 1))]
    return next(str(name) for name in names if name not in taken)


def _broken(gold: str) -> Iterator[str]:
    yield gold[:-1]  # no closing parenthesis
    yield gold + ")"
    yield gold[: len(gold) * 2 // 3].rstrip("])")
    yield gold.replace("(", "", 1)
    if "[" in gold:
        yield gold.replace("[", "", 1)
        yield gold.replace("[", "[[", 1)
        yield gold.replace("[", "(", 1)
        cut = gold.rindex("]")
        yield gold[:cut] + gold[cut + 1 :]
