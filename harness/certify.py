"""Proof, before any training, that an evaluation can judge. In: a task and its data. Out: a `Certificate`.

`check_task` is what a plugin's author calls in a test (tasks/README.md shows it); the token format is proven by
certify_format.py, the engine by certify_engine.py.

Every scorer call is made in a child process that is killed on time: registered tasks through `harness.grade`, the very
path of a sweep, other `Task` values in a fork. Leakage is exact equality of inputs after Unicode NFKC, case folding and
collapsed white space; near duplicates are the data report's business.
"""

from __future__ import annotations

import json
import random
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

from harness.certificate import SHOWN, Certificate, Check, verdict
from harness.certify_power import EXPECTED_ACCURACY, GATE_MARGIN, power_checks
from harness.certify_scores import Pair, Referee
from harness.core import SPLITS, DataRequest, Dataset, Example, Score, Task, UserError, digest, to_json
from harness.parts import evaluation_hashes

SMALL = DataRequest(train_size=120, validation_size=60, test_size=60)
LEAST_KILL_RATE = 0.9
MOST_GOLDS = 500  # every gold of the splits that runs are judged on, up to here
NASTY_EXAMPLES = 2


def check_task(
    task: Task,
    dataset: Dataset | None = None,
    *,
    sample: int = 60,
    request: DataRequest | None = None,
    accuracy: float = EXPECTED_ACCURACY,
    margin: float = GATE_MARGIN,
) -> Certificate:
    """The certificate of task, data, prompts and scorers; the wrong answers of `sample` test items are scored.

    Without `dataset`, `request` is loaded (a small built-in set unless given). A data set that is handed in is loaded
    again, to see whether its ids are stable, only when `request` says how it was made. `accuracy` (expected) and
    `margin` (the gate's) say what the test split's size is measured by. Raises UserError when there is no test item.
    """
    asked = request or (SMALL if dataset is None else None)
    if dataset is None:
        assert asked is not None
        dataset = task.load(asked)
    items = dataset.usable("test")[:sample]
    if not items:
        raise UserError(f"{dataset.name} has no usable test item: there is nothing to certify task {task.name!r} with")
    referee = Referee(task)
    judged = (*dataset.usable("test"), *dataset.usable("validation"))
    checks = (
        _unique_ids(dataset),
        _stable_ids(task, dataset, asked),
        _disjoint(dataset),
        *power_checks(dataset.usable("test"), accuracy, margin),
        _prompts(task, items),
        _gold(task, judged[:MOST_GOLDS], referee),
        _mutants(task, items, referee),
        _nasty(task, items, referee),
        _repeatable(task, items, referee),
    )
    return Certificate(checks=checks, hashes=evaluation_hashes(task, dataset, asked.seed if asked else 0))


# ---- data and prompts -------------------------------------------------------------------------------------


def _unique_ids(dataset: Dataset) -> Check:
    problems, total = [], 0
    for split in SPLITS:
        counts = Counter(example.id for example in dataset.split(split))
        total += counts.total()
        problems += [f"{id}: {count} times in {split}" for id, count in counts.items() if count > 1]
    return verdict("data", "unique ids", problems, f"{total} ids, none twice in its split")


def _stable_ids(task: Task, dataset: Dataset, request: DataRequest | None) -> Check:
    """Loads again as asked, and with half the training items under another seed: an id follows content, not place."""
    if request is None:
        detail = "not tested: the data set was handed in without the request that loads it"
        return Check(part="data", name="stable ids", status="warn", detail=detail)
    half = replace(request, seed=request.seed + 1, train_size=max(1, len(dataset.train) // 2))
    first = _ids_by_content(dataset)
    again = task.load(request)
    same = all([e.id for e in again.split(s)] == [e.id for e in dataset.split(s)] for s in SPLITS)
    problems = [] if same else ["loading again gives other ids or another order"]
    for other in (_ids_by_content(again), _ids_by_content(task.load(half))):
        moved = [content for content in first if content in other and not first[content] & other[content]]
        problems += [f"{min(first[content])} became {min(other[content])}" for content in moved]
    return verdict("data", "stable ids", problems, "loaded again, and with another size and seed")


def _ids_by_content(dataset: Dataset) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for split in SPLITS:
        for example in dataset.split(split):
            found[digest([example.inputs, example.gold, example.meta], 32)].add(example.id)
    return found


def _disjoint(dataset: Dataset) -> Check:
    problems = []
    for index, split in enumerate(SPLITS):
        for other in SPLITS[index + 1 :]:
            ids = {example.id for example in dataset.split(split)}
            texts = {_normal_text(example): example.id for example in dataset.split(split)}
            for example in dataset.split(other):
                twin = example.id if example.id in ids else texts.get(_normal_text(example))
                if twin is not None:
                    problems.append(f"{other} {example.id} is {split} {twin}")
    return verdict("data", "disjoint splits", problems, "no id and no normalised input in two splits")


def _normal_text(example: Example) -> str:
    text = json.dumps(to_json(example.inputs), sort_keys=True, ensure_ascii=False)
    text = text.replace("\\n", " ").replace("\\t", " ")
    return " ".join(unicodedata.normalize("NFKC", text).casefold().replace('"', ' " ').split())


def _prompts(task: Task, items: Sequence[Example]) -> Check:
    problems = []
    for style, prompt in task.prompts.items():
        inputs_of: dict[str, str] = {}
        for example in items:
            first, again = list(prompt(example.inputs)), list(prompt(example.inputs))
            if first != again:
                problems.append(f"{style} {example.id}: two renderings differ")
            if not first or not first[-1].content.strip():
                problems.append(f"{style} {example.id}: the prompt is empty")
            if inputs_of.setdefault(digest(first, 32), _normal_text(example)) != _normal_text(example):
                problems.append(f"{style} {example.id}: another input has the same prompt")
    return verdict("prompts", "prompts", problems, f"{len(items)} items in {len(task.prompts)} styles")


# ---- scorers ----------------------------------------------------------------------------------------------


def _told(score: Score) -> str:
    detail = score.evidence.get("detail", "") if score.value is None else ""
    return f"{score.value} ({score.why}{': ' + str(detail)[:120] if detail else ''})"


def _gold(task: Task, items: Sequence[Example], referee: Referee) -> Check:
    problems = []
    for example, scores in zip(items, referee.scores([(e, e.gold) for e in items]), strict=True):
        bad = [f"{name} {_told(scores[name])}" for name in task.scorers if scores[name].value != 1.0]
        if bad:
            problems.append(f"{example.id}: {', '.join(bad)}")
    return verdict("scorers", "gold scores 1", problems, f"{len(items)} items, {len(task.scorers)} scorers")


def _mutants(task: Task, items: Sequence[Example], referee: Referee) -> Check:
    """One mutant of each kind for each item: a kind that makes many has no more say than one that makes few."""
    kinds, pairs = [], []
    for place, example in enumerate(items):
        wrong = {m.kind: m.text for m in task.mutants(example) if m.text != example.gold}
        for kind, text in (wrong | _swapped(items, place)).items():
            kinds.append(kind)
            pairs.append((example, text))
    killed, total, survivors = Counter[str](), Counter(kinds), []
    for kind, (example, text), scores in zip(kinds, pairs, referee.scores(pairs), strict=True):
        value = scores[task.primary].value
        killed[kind] += value is not None and value < 1.0
        if value is None or value >= 1.0:
            survivors.append(f"{kind} of {example.id}: {_told(scores[task.primary])}: {text[:200]}")
    rate = killed.total() / len(pairs) if pairs else 0.0
    by_kind = ", ".join(f"{kind} {killed[kind]}/{total[kind]}" for kind in sorted(total))
    return Check(
        part="scorers",
        name="wrong answers",
        status="pass" if rate >= LEAST_KILL_RATE else "fail",
        detail=f"{killed.total()} of {len(pairs)} mutants killed ({rate:.3f}, at least {LEAST_KILL_RATE}): {by_kind}",
        examples=tuple(survivors[:SHOWN]),
    )


def _swapped(items: Sequence[Example], place: int) -> dict[str, str]:
    """The answer of the next item of another cluster, unless its words are the same."""
    own = items[place]
    others = (*items[place + 1 :], *items[:place])
    gold = next((o.gold for o in others if o.gold != own.gold and (not o.cluster or o.cluster != own.cluster)), None)
    return {"answer_of_another_item": gold} if gold is not None else {}


def _nasty(task: Task, items: Sequence[Example], referee: Referee) -> Check:
    pairs = [(e, text) for e in items[:NASTY_EXAMPLES] for text in task.nasty if text.strip() != e.gold.strip()]
    problems = [
        f"{text[:30]!r} ({len(text)} characters) on {example.id}: {_told(scores[task.primary])}"
        for (example, text), scores in zip(pairs, referee.scores(pairs), strict=True)
        if scores[task.primary].value != 0.0
    ]
    return verdict(
        "scorers", "nasty text scores 0", problems, f"{len(pairs)} calls within {task.score_timeout_s} s each"
    )


def _repeatable(task: Task, items: Sequence[Example], referee: Referee) -> Check:
    """Gold and one mutant of up to 20 items, twice in order and once shuffled, in one stream: no pass starts afresh."""
    pairs: list[Pair] = []
    for example in items[:20]:
        wrong = next(iter(task.mutants(example)), None)
        pairs += [(example, example.gold), *([(example, wrong.text)] if wrong else [])]
    shuffled = random.Random(0).sample(range(len(pairs)), len(pairs))
    order = [*range(len(pairs)), *range(len(pairs)), *shuffled]
    verdicts: dict[int, set[str]] = defaultdict(set)
    for index, scores in zip(order, referee.scores([pairs[index] for index in order]), strict=True):
        verdicts[index].add(json.dumps({name: [s.value, s.why, s.answer] for name, s in sorted(scores.items())}))
    problems = [
        f"{pairs[index][0].id}: {' | '.join(sorted(seen))[:300]}" for index, seen in verdicts.items() if len(seen) > 1
    ]
    return verdict("scorers", "repeatable", problems, f"{len(pairs)} answers scored three times, once shuffled")
