"""Proof, before any training, that an evaluation can judge and that training and inference see the same tokens.

Goes in: a task and its data; for the format, also run specs and the model's `ChatFormat`. Comes out: a `Certificate` of
named checks, each with a status, one sentence and examples, and a hash for each part so that two certificates can be
compared. "fail" means that numbers would be wrong, "warn" that they would say less than one thinks.

Every scorer call is made in a child process that is killed on time: registered tasks through `harness.grade`, the very
path of a sweep, other `Task` values in a fork. Leakage is exact equality of inputs after Unicode NFKC, case folding and
collapsed white space; near duplicates are the data report's business.
"""

from __future__ import annotations

import inspect
import json
import random
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from harness.certify_scores import Pair, Referee
from harness.certify_tokens import FORMAT_ITEMS, Rendered
from harness.chat import ChatFormat
from harness.core import SPLITS, DataRequest, Dataset, Example, RunSpec, Score, Task, UserError, digest, to_json
from harness.stats import minimum_detectable_difference

Part = Literal["task", "data", "prompts", "scorers", "format"]
Status = Literal["pass", "warn", "fail"]
SMALL = DataRequest(train_size=120, validation_size=60, test_size=60)
LEAST_KILL_RATE = 0.9
LARGEST_DIFFERENCE = 0.10  # a test split that cannot show ten points is a warning
DISCORDANCE = 0.2  # assumed, not measured: the share of items that exactly one of two runs answers right
NASTY_EXAMPLES = 2
LONG_GOLD_SHARE = 0.01  # above it, gold answers cut by the token budget are a failure
SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was tested. `detail` is a sentence with its counts, `examples` what to look at first."""

    part: Part
    name: str
    status: Status
    detail: str
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """All checks of an evaluation, and a hash for each part of what was checked."""

    checks: tuple[Check, ...]
    hashes: Mapping[str, str]

    @property
    def passed(self) -> bool:
        """Whether no check failed; warnings pass."""
        return all(check.status != "fail" for check in self.checks)

    @property
    def summary(self) -> str:
        """One line: how many checks passed, and the names of the others."""
        named = {s: [check.name for check in self.checks if check.status == s] for s in ("pass", "warn", "fail")}
        rest = [f"{status}: {', '.join(named[status])}" for status in ("fail", "warn") if named[status]]
        return "; ".join([f"{len(named['pass'])} of {len(self.checks)} checks passed", *rest])

    def to_json(self) -> dict[str, Any]:
        """The body of `certificate.json`."""
        parts = [{**asdict(check), "examples": list(check.examples)} for check in self.checks]
        return {"parts": parts, "hashes": dict(self.hashes), "summary": self.summary}


def check_task(
    task: Task, dataset: Dataset | None = None, *, sample: int = 60, request: DataRequest | None = None
) -> Certificate:
    """The certificate of task, data, prompts and scorers; `sample` test items are scored.

    Without `dataset`, `request` is loaded (a small built-in set unless given). A data set that is handed in is loaded
    again, to see whether its ids are stable, only when `request` says how it was made.
    """
    asked = request or (SMALL if dataset is None else None)
    if dataset is None:
        assert asked is not None
        dataset = task.load(asked)
    items = dataset.usable("test")[:sample]
    if not items:
        raise UserError(f"{dataset.name} has no usable test item: there is nothing to certify task {task.name!r} with")
    referee = Referee(task)
    checks = (
        _unique_ids(dataset),
        _stable_ids(task, dataset, asked),
        _disjoint(dataset),
        _power(len(dataset.usable("test"))),
        _prompts(task, items),
        _gold(task, items, referee),
        _mutants(task, items, referee),
        _nasty(task, items, referee),
        _repeatable(task, items, referee),
    )
    return Certificate(checks=checks, hashes=hashes(task, dataset))


def hashes(task: Task, dataset: Dataset) -> dict[str, str]:
    """A hash for each part. "scorers" covers the source files beside the score function, so any edit there changes it."""
    rendered = [
        [style, to_json(list(prompt(example.inputs)))]
        for style, prompt in task.prompts.items()
        for example in dataset.usable("test")
    ]
    data = {split: [[e.id, e.inputs, e.gold] for e in dataset.split(split)] for split in SPLITS}
    settings = [task.name, task.version, task.scorers, task.unparsed_reasons, task.max_new_tokens]
    return {
        "task": digest(settings, 16),
        "data": digest([data, dataset.unusable], 16),
        "prompts": digest(rendered, 16),
        "scorers": source_hash(task),
    }


def check_format(
    task: Task,
    dataset: Dataset,
    specs: Sequence[RunSpec],
    chat: ChatFormat,
    max_new_tokens: int,
    *,
    bos_id: int | None = None,
) -> list[Check]:
    """The checks that training and engine see the same token ids, for every distinct format among `specs`.

    Without `bos_id` a doubled first token is seen, a missing BOS is not.
    """
    seen = Rendered()
    formats = {(s.prompt_style, s.few_shot, s.training and s.training.max_length, s.train_size): s for s in specs}
    for spec in formats.values():
        seen.add(task, dataset, spec, chat)
    golds = [e for split in SPLITS for e in dataset.usable(split)[:FORMAT_ITEMS]]
    answers = {e.id: chat.answer_ids(e.gold) for e in golds}
    answers |= {f"{id} (training)": ids for id, ids in seen.answers.items()}
    ends = [id for id, ids in answers.items() if not ids or ids[-1] != chat.end_id or ids.count(chat.end_id) != 1]
    long = [f"{e.id}: {len(answers[e.id])} tokens" for e in golds if len(answers[e.id]) > max_new_tokens]
    share = len(long) / max(1, len(golds))
    lengths: Status = "fail" if seen.too_long or seen.empty else "warn" if seen.left_out else "pass"
    return [
        _verdict(
            "format", "one rendering", seen.different, f"{seen.compared} training prompts compared with the engine's"
        ),
        _verdict("format", "stable rendering", seen.unstable, f"{len(seen.prompts)} prompts rendered twice"),
        _verdict("format", "one end token", ends, f"{len(answers)} answers must end with {chat.end_id}, exactly once"),
        _bos(seen.prompts, bos_id),
        Check(
            part="format",
            name="maximum length",
            status=lengths,
            detail=f"{len(seen.too_long)} training items over max_length; left out: {'; '.join(seen.left_out) or 'none'}",
            examples=tuple([*seen.too_long, *seen.empty][:SHOWN]),
        ),
        Check(
            part="format",
            name="gold fits",
            status="fail" if share > LONG_GOLD_SHARE else "warn" if long else "pass",
            detail=f"{len(long)} of {len(golds)} gold answers are over max_new_tokens={max_new_tokens}",
            examples=tuple(long[:SHOWN]),
        ),
    ]


# ---- data and prompts -------------------------------------------------------------------------------------


def _verdict(part: Part, name: str, problems: Sequence[str], tested: str) -> Check:
    detail = f"{tested}: {len(problems)} problems"
    return Check(
        part=part, name=name, status="fail" if problems else "pass", detail=detail, examples=(*problems[:SHOWN],)
    )


def _unique_ids(dataset: Dataset) -> Check:
    problems, total = [], 0
    for split in SPLITS:
        counts = Counter(example.id for example in dataset.split(split))
        total += counts.total()
        problems += [f"{id}: {count} times in {split}" for id, count in counts.items() if count > 1]
    return _verdict("data", "unique ids", problems, f"{total} ids, none twice in its split")


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
    return _verdict("data", "stable ids", problems, "loaded again, and with another size and seed")


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
    return _verdict("data", "disjoint splits", problems, "no id and no normalised input in two splits")


def _normal_text(example: Example) -> str:
    text = json.dumps(to_json(example.inputs), sort_keys=True, ensure_ascii=False)
    text = text.replace("\\n", " ").replace("\\t", " ")
    return " ".join(unicodedata.normalize("NFKC", text).casefold().replace('"', ' " ').split())


def _power(num_items: int) -> Check:
    try:
        found = minimum_detectable_difference(num_items, discordance=DISCORDANCE)
    except ValueError as error:
        return Check(part="data", name="power", status="warn", detail=str(error))
    detail = f"{num_items} test items show a difference of {found:.3f} (power 0.8, discordance {DISCORDANCE} assumed)"
    return Check(part="data", name="power", status="warn" if found > LARGEST_DIFFERENCE else "pass", detail=detail)


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
    return _verdict("prompts", "prompts", problems, f"{len(items)} items in {len(task.prompts)} styles")


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
    return _verdict("scorers", "gold scores 1", problems, f"{len(items)} items, {len(task.scorers)} scorers")


def _mutants(task: Task, items: Sequence[Example], referee: Referee) -> Check:
    """One mutant of each kind for each item: a kind that makes many has no more say than one that makes few."""
    kinds, pairs = [], []
    for example in items:
        for kind, text in {m.kind: m.text for m in task.mutants(example) if m.text != example.gold}.items():
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


def _nasty(task: Task, items: Sequence[Example], referee: Referee) -> Check:
    pairs = [(e, text) for e in items[:NASTY_EXAMPLES] for text in task.nasty if text.strip() != e.gold.strip()]
    problems = [
        f"{text[:30]!r} ({len(text)} characters) on {example.id}: {_told(scores[task.primary])}"
        for (example, text), scores in zip(pairs, referee.scores(pairs), strict=True)
        if scores[task.primary].value != 0.0
    ]
    return _verdict(
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
    return _verdict("scorers", "repeatable", problems, f"{len(pairs)} answers scored three times, once shuffled")


def source_hash(task: Task) -> str:
    """A hash of a task's scorers: their names and the source files beside the score function."""
    return digest([task.scorers, _sources(task.score)], 16)


def _sources(function: Callable[..., Any]) -> list[list[str]]:
    file = inspect.getsourcefile(inspect.unwrap(function))
    if file is None:
        return []
    here = Path(file)
    files = sorted(here.parent.rglob("*.py")) if (here.parent / "__init__.py").exists() else [here]
    return [[str(f.relative_to(here.parent)), f.read_text(encoding="utf-8")] for f in files]


# ---- format -----------------------------------------------------------------------------------------------


def _bos(prompts: Mapping[str, tuple[int, ...]], bos_id: int | None) -> Check:
    """Doubled: every prompt starts with one same token, twice. One prompt alone may open with a repeated word."""
    heads = {ids[:2] for ids in prompts.values()}
    doubled = len(heads) == 1 and len(prompts) > 1 and all(len(head) == 2 and head[0] == head[1] for head in heads)
    doubled = doubled or any(bos_id is not None and head == (bos_id, bos_id) for head in heads)
    missing = [id for id, ids in prompts.items() if bos_id is not None and ids[:1] != (bos_id,)]
    status: Status = "fail" if doubled else "warn" if missing else "pass"
    detail = (
        "every prompt starts with its first token twice" if doubled else f"{len(missing)} prompts without their BOS"
    )
    return Check(part="format", name="one BOS", status=status, detail=detail, examples=tuple(missing[:SHOWN]))
