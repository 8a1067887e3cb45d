"""A seed -> thousands of (text, representation) examples of the built-in data.

A draw picks a domain, a function and a set of attributes, gives each a value, and says it in one or two ways; each way
is an example, and examples of one representation are one cluster. A tenth of the values of list attributes hold three
items. The `correct` function names a false value that must not be copied.

There are two editions. `builtin-hard` says a value in one of several idioms ("bored me to tears"), over five domains, with up
to five attributes, and a quarter of its texts carry a sentence of chatter that adds nothing. `builtin` has three domains,
one way to say each value, up to three attributes beside the name and no chatter: a 135M model learns it in minutes.

Splits go by combination (function, set of attributes, whatever the domain): no combination of test was trained on, so a
model must compose what it learned attribute by attribute. The same seed gives the same examples on every machine.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.core import DataRequest, Dataset, Example, digest
from harness.sources import first, shuffled, split_by_group
from tasks.functional.builtin.domains import DOMAINS, Attribute, Domain
from tasks.functional.builtin.sentences import CHATTER, FRAMES, FUNCTIONS
from tasks.functional.extract import content
from tasks.functional.grammar import Representation, Slot

REVISION = "2"
NUM_REPRESENTATIONS = 6000
VALIDATION_SHARE, TEST_SHARE = 0.1, 0.2


@dataclass(frozen=True, kw_only=True)
class Edition:
    """How hard the texts are: domains, ways to say a closed value, numbers of attributes, share of texts with chatter."""

    num_domains: int
    num_phrases: int
    num_attributes: tuple[int, ...]
    chatter: float


EDITIONS: Mapping[str, Edition] = {
    "builtin": Edition(num_domains=3, num_phrases=1, num_attributes=(1, 2, 3), chatter=0.0),
    "builtin-hard": Edition(num_domains=5, num_phrases=3, num_attributes=(2, 3, 4), chatter=0.25),
}


def load_builtin(request: DataRequest) -> Dataset:
    """The edition `request.name` for `request.seed`, cut to the sizes asked for."""
    examples = shuffled(_examples(request.seed, EDITIONS[request.name]), request.seed)
    train, validation, test = split_by_group(
        examples, lambda example: str(example.meta["combination"]), (VALIDATION_SHARE, TEST_SHARE), request.seed
    )
    return Dataset(
        name=request.name,
        revision=f"{REVISION}-seed{request.seed}",
        licence="Apache-2.0",
        split_rule="by combination of function and attribute set: none of test's is in train or validation",
        train=first(train, request.train_size),
        validation=first(validation, request.validation_size),
        test=first(test, request.test_size),
    )


def _examples(seed: int, edition: Edition) -> list[Example]:
    examples: dict[str, Example] = {}
    for index in range(NUM_REPRESENTATIONS):
        draw = random.Random(f"functional:{seed}:{index}")
        domain, function = draw.choice(DOMAINS[: edition.num_domains]), draw.choice(tuple(FUNCTIONS))
        chosen = _attributes(draw, domain, function, edition.num_attributes)
        slots = [(a, () if function == "ask" and a is not domain.attributes[0] else _values(draw, a)) for a in chosen]
        for _ in range(draw.choice((1, 1, 2))):
            text = _text(draw, domain, function, slots, edition)
            examples.setdefault(" ".join(text.casefold().split()), _example(text, domain, function, slots))
    return list(examples.values())


def _example(text: str, domain: Domain, function: str, slots: Sequence[tuple[Attribute, tuple[str, ...]]]) -> Example:
    gold = Representation(
        function=function, slots=tuple(Slot(name=attribute.name, values=values or ("",)) for attribute, values in slots)
    )
    return Example(
        id=f"{domain.name}-{digest([text, str(gold)], 12)}",
        inputs={
            "text": text,
            "functions": dict(FUNCTIONS),
            "slots": {attribute.name: attribute.meaning for attribute in domain.attributes},
        },
        gold=str(gold),
        meta={"combination": "|".join((function, *(attribute.name for attribute, _ in slots)))},
        cluster=digest(content(gold), 12),
        tags=(f"domain:{domain.name}", f"function:{function}", f"slots:{len(slots)}"),
    )


def _attributes(draw: random.Random, domain: Domain, function: str, numbers: tuple[int, ...]) -> list[Attribute]:
    """The attributes of one representation in the domain's order; the name is there except in a search."""
    name, *others = domain.attributes
    if function == "correct":
        first_one = draw.choice([attribute for attribute in others if attribute.closed])
        rest = [attribute for attribute in others if attribute is not first_one]
        chosen = [first_one, *draw.sample(rest, draw.choice((0, 1, 2)))]
    else:
        chosen = draw.sample(others, draw.choice((1, 2, 3) if function == "ask" else numbers))
    chosen = sorted(chosen, key=domain.attributes.index)
    return chosen if function == "search" else [name, *chosen]


def _values(draw: random.Random, attribute: Attribute) -> tuple[str, ...]:
    if attribute.closed:
        return (draw.choice(tuple(attribute.closed)),)
    if attribute.most_values > 1:
        number = draw.choice((1, 1, 1, 1, 2, 2, 2, 2, 2, attribute.most_values))
        return tuple(draw.sample(attribute.pools[0], number))
    return ("".join(draw.choice(pool) for pool in attribute.pools).strip(),)


def _text(
    draw: random.Random,
    domain: Domain,
    function: str,
    slots: Sequence[tuple[Attribute, tuple[str, ...]]],
    edition: Edition,
) -> str:
    told = [(attribute, values) for attribute, values in slots if attribute is not domain.attributes[0]]
    name = next((values[0] for attribute, values in slots if attribute is domain.attributes[0]), "")
    draw.shuffle(told)  # English has its own order; the representation keeps the schema's
    sentence = draw.choice(FRAMES[function]).format(
        name=name,
        noun=draw.choice(domain.nouns),
        says=_joined([_phrase(draw, attribute, values, edition.num_phrases) for attribute, values in told if values]),
        asks=_joined([attribute.question for attribute, _ in told]),
        false=_false_phrase(draw, told, edition.num_phrases) if function == "correct" else "",
    )
    sentence = sentence[0].upper() + sentence[1:]
    if draw.random() < edition.chatter:
        chatter = draw.choice(CHATTER)
        sentence = f"{chatter} {sentence}" if draw.random() < 0.5 else f"{sentence} {chatter}"
    return sentence


def _phrase(draw: random.Random, attribute: Attribute, values: tuple[str, ...], num_phrases: int) -> str:
    if attribute.closed:
        return draw.choice(attribute.closed[values[0]][:num_phrases])
    return draw.choice(attribute.templates[:num_phrases]).format(v=_joined(values))


def _false_phrase(draw: random.Random, told: Sequence[tuple[Attribute, tuple[str, ...]]], num_phrases: int) -> str:
    attribute, values = draw.choice([(attribute, values) for attribute, values in told if attribute.closed])
    other = draw.choice([value for value in attribute.closed if value != values[0]])
    return draw.choice(attribute.closed[other][:num_phrases])


def _joined(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1]))) if parts else ""
