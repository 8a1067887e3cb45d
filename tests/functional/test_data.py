"""The three sources: built-in, ViGGO, JSON lines; and the promises every task keeps."""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from harness.core import DataRequest, Dataset, Example, UserError
from tasks.functional import task
from tasks.functional.builtin.domains import DOMAINS
from tasks.functional.builtin.generate import EDITIONS
from tasks.functional.builtin.sentences import FRAMES, FUNCTIONS
from tasks.functional.grammar import parse
from tasks.functional.viggo import SLOTS

needs_data = pytest.mark.skipif("TUNEBENCH_DATA" not in os.environ, reason="TUNEBENCH_DATA names no folder with viggo/")


@pytest.fixture(scope="module", params=tuple(EDITIONS))
def builtin(request: pytest.FixtureRequest) -> Dataset:
    return task.load(DataRequest(name=request.param, seed=0))


@pytest.fixture(scope="module")
def viggo() -> Dataset:
    return task.load(DataRequest(name="viggo", offline=True))


def everything(data: Dataset) -> list[Example]:
    return [*data.train, *data.validation, *data.test]


def assert_disjoint(train: set[str], validation: set[str], test: set[str]) -> None:
    assert train.isdisjoint(validation | test)
    assert validation.isdisjoint(test)


def assert_gold_scores_one(data: Dataset) -> None:
    for example in everything(data):
        assert str(parse(example.gold)) == example.gold
        low = {name: score.value for name, score in task.score(example, example.gold).items() if score.value != 1.0}
        assert not low, (example.gold, low)


def assert_mutants_are_wrong(examples: list[Example]) -> None:
    kinds: Counter[str] = Counter()
    for example in examples:
        for mutant in task.mutants(example):
            kinds[mutant.kind] += 1
            score = task.score(example, mutant.text)[task.primary]
            assert score.value == 0.0, (example.gold, mutant)
            assert (score.why in task.unparsed_reasons) == (mutant.kind == "malformed"), (mutant, score.why)
    assert len(kinds) == 9, kinds


def test_the_built_in_data_has_thousands_of_items(builtin: Dataset) -> None:
    sizes = [len(builtin.train), len(builtin.validation), len(builtin.test)]
    assert sizes[0] > 4000
    assert min(sizes) > 500


def test_every_domain_and_function_is_in_every_split(builtin: Dataset) -> None:
    domains = DOMAINS[: EDITIONS[builtin.name].num_domains]
    for split in (builtin.train, builtin.validation, builtin.test):
        seen = {tag for example in split for tag in example.tags}
        wanted = {f"domain:{domain.name}" for domain in domains} | {f"function:{name}" for name in FUNCTIONS}
        assert wanted <= seen


def test_no_combination_representation_text_or_id_is_in_two_splits(builtin: Dataset) -> None:
    for key in (
        lambda example: example.meta["combination"],
        lambda example: example.cluster,
        lambda example: " ".join(example.inputs["text"].casefold().split()),
        lambda example: example.id,
    ):
        assert_disjoint(*({key(e) for e in split} for split in (builtin.train, builtin.validation, builtin.test)))


def test_every_slot_value_word_of_test_s_closed_attributes_was_trained_on(builtin: Dataset) -> None:
    closed = {(domain.name, a.name) for domain in DOMAINS for a in domain.attributes if a.closed}

    def pairs(split: tuple[Example, ...]) -> set[tuple[str, str, str]]:
        return {
            (domain, slot.name, value)
            for example in split
            for domain in [example.tags[0].removeprefix("domain:")]
            for slot in parse(example.gold).slots
            if (domain, slot.name) in closed
            for value in slot.values
        }

    assert pairs(builtin.test) <= pairs(builtin.train)


def test_the_same_seed_gives_the_same_data_and_another_seed_other_data(builtin: Dataset) -> None:
    assert task.load(DataRequest(name=builtin.name, seed=0)) == builtin
    other = {example.id for example in task.load(DataRequest(name=builtin.name, seed=1)).test}
    assert len(other & {example.id for example in builtin.test}) < len(other) / 10


def test_sizes_cut_without_moving_the_rest(builtin: Dataset) -> None:
    small = task.load(DataRequest(name=builtin.name, train_size=50, validation_size=5, test_size=7))
    assert (small.train, small.validation, small.test) == (builtin.train[:50], builtin.validation[:5], builtin.test[:7])


def test_built_in_gold_scores_one_with_every_scorer(builtin: Dataset) -> None:
    assert_gold_scores_one(builtin)


def test_built_in_mutants_are_wrong(builtin: Dataset) -> None:
    assert_mutants_are_wrong(list(builtin.test[:150]))


def test_built_in_gold_follows_the_order_of_the_prompt_s_attributes(builtin: Dataset) -> None:
    for example in builtin.test:
        places = [list(example.inputs["slots"]).index(slot.name) for slot in parse(example.gold).slots]
        assert places == sorted(set(places))


def test_no_phrase_of_a_domain_says_two_things() -> None:
    for domain in DOMAINS:
        said: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
        for attribute in domain.attributes:
            for value, phrases in attribute.closed.items():
                for phrase in phrases:
                    said[phrase].add((attribute.name, value))
            for template in attribute.templates:
                said[template].add((attribute.name, "any"))
        assert [phrase for phrase, meanings in said.items() if len(meanings) > 1] == []


def test_the_text_names_every_open_value_of_gold(builtin: Dataset) -> None:
    open_names = {(domain.name, a.name) for domain in DOMAINS for a in domain.attributes if not a.closed}
    for example in builtin.test:
        domain = example.tags[0].removeprefix("domain:")
        for slot in parse(example.gold).slots:
            if (domain, slot.name) in open_names:
                assert all(value.casefold() in example.inputs["text"].casefold() for value in slot.values), example


def test_the_frames_cover_exactly_the_functions() -> None:
    assert FRAMES.keys() == FUNCTIONS.keys()


def test_the_texts_vary(builtin: Dataset) -> None:
    first_words = Counter(tuple(example.inputs["text"].split()[:3]) for example in builtin.test)
    assert len(first_words) > 200
    assert len({example.inputs["text"] for example in everything(builtin)}) == len(everything(builtin))


@pytest.mark.parametrize("style", sorted(task.prompts))
def test_a_prompt_holds_the_text_and_stays_short(builtin: Dataset, style: str) -> None:
    for example in builtin.test[:200]:
        body = "\n".join(message.content for message in task.prompts[style](example.inputs))
        assert example.inputs["text"] in body
        assert len(body) < 1200  # 220 tokens of SmolLM2 at most, in `instruct`


@pytest.mark.parametrize("style", ["instruct", "tags"])
def test_the_schema_styles_name_every_function_attribute_and_closed_value(builtin: Dataset, style: str) -> None:
    example = builtin.test[0]
    body = "\n".join(message.content for message in task.prompts[style](example.inputs))
    for name, meaning in {**example.inputs["functions"], **example.inputs["slots"]}.items():
        assert name in body
        assert meaning in body


def test_nasty_replies_score_zero_with_every_scorer(builtin: Dataset) -> None:
    for text in task.nasty:
        assert {score.value for score in task.score(builtin.test[0], text).values()} == {0.0}


@needs_data
def test_viggo_has_its_published_sizes_and_no_broken_row(viggo: Dataset) -> None:
    assert (len(viggo.train), len(viggo.validation), len(viggo.test)) == (5103, 714, 1083)
    assert (viggo.broken, dict(viggo.unusable)) == ((), {})


@needs_data
def test_all_viggo_golds_round_trip_and_score_one_with_every_scorer(viggo: Dataset) -> None:
    assert_gold_scores_one(viggo)


@needs_data
def test_viggo_mutants_are_wrong(viggo: Dataset) -> None:
    assert_mutants_are_wrong(list(viggo.test[:150]))


@needs_data
def test_viggo_gold_follows_the_order_rule_of_the_prompt(viggo: Dataset) -> None:
    order = list(SLOTS)
    for example in everything(viggo):
        places = [order.index(slot.name) for slot in parse(example.gold).slots]
        assert places == sorted(set(places))


@needs_data
def test_viggo_test_rows_whose_representation_was_trained_on_are_tagged(viggo: Dataset) -> None:
    assert sum("seen_representation" in example.tags for example in viggo.test) == 36


@needs_data
def test_viggo_texts_of_one_representation_are_one_cluster(viggo: Dataset) -> None:
    by_gold = defaultdict(set)
    for example in viggo.test:
        by_gold[example.gold].add(example.cluster)
    assert {len(clusters) for clusters in by_gold.values()} == {1}
    assert len(by_gold) < len(viggo.test) / 2


def write_rows(path: Path, rows: list[object]) -> Path:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return path


def test_viggo_reads_the_authors_and_the_hub_s_file_names(tmp_path: Path) -> None:
    for name in ("viggo-train.csv", "validation.csv", "viggo-test.csv"):
        (tmp_path / name).write_text('mr,ref\n"inform(name[A, B])","It is A, B."\n"",empty\n', encoding="utf-8-sig")
    data = task.load(DataRequest(name="viggo", path=tmp_path))
    assert [example.gold for example in everything(data)] == ["inform(name[A, B])"] * 3
    assert [(row.file, row.line) for row in data.broken] == [
        ("viggo-train.csv", 3),
        ("validation.csv", 3),
        ("viggo-test.csv", 3),
    ]


def test_one_jsonl_file_is_split_by_representation_and_broken_rows_are_named(tmp_path: Path) -> None:
    rows: list[object] = [
        {"text": f"text {i} {j}", "gold": f"f(a[{i}])", "id": f"{i}-{j}"} for i in range(60) for j in (0, 1)
    ]
    rows += ["not json", {"text": "no gold"}, {"text": "again", "gold": "f(a[1])", "id": "1-1"}]
    rows += [{"text": "bad gold", "gold": "f(a[1]", "id": "bad"}]
    data = task.load(DataRequest(name="jsonl", path=write_rows(tmp_path / "rows.jsonl", rows)))
    assert_disjoint(*({e.cluster for e in split} for split in (data.train, data.validation, data.test)))
    assert all((data.train, data.validation, data.test))
    assert [row.line for row in data.broken] == [121, 122, 123]
    assert list(data.unusable) == ["bad"]


def test_jsonl_without_a_schema_gets_the_one_that_train_uses(tmp_path: Path) -> None:
    for split, gold in (("train", "f(a[1], b[2])"), ("validation", "f(a[2])"), ("test", "g(z[1])")):
        write_rows(tmp_path / f"{split}.jsonl", [{"text": split, "gold": gold}])
    data = task.load(DataRequest(name="jsonl", path=tmp_path))
    assert data.test[0].inputs == {"text": "test", "functions": {"f": ""}, "slots": {"a": "", "b": ""}}


def test_an_unknown_source_and_a_missing_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="builtin, builtin-hard, viggo, jsonl"):
        task.load(DataRequest(name="vigo"))
    with pytest.raises(UserError, match="has no file for the train split"):
        task.load(DataRequest(name="viggo", path=tmp_path))


def test_mutants_of_an_example_without_a_schema_are_wrong_too() -> None:
    example = task.pair({"id": "1", "gold": "f(a[yes], b[x, y], c[])"})
    assert_mutants_are_wrong([example, task.pair({"id": "2", "gold": "f(a[x], b[x])"})])
