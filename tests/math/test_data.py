"""The sources: the generator's promises, the official folders, broken rows."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from harness.core import SPLITS, DataRequest, Dataset, UserError
from tasks.math import task
from tasks.math.generate import SIZES, paths

REAL = pytest.mark.skipif(not os.environ.get("TUNEBENCH_DATA"), reason="TUNEBENCH_DATA is not set: no real data here")


@pytest.fixture(scope="module")
def builtin() -> Dataset:
    return task.load(DataRequest())


def test_the_same_seed_gives_the_same_items_and_another_seed_others(builtin: Dataset) -> None:
    again, other = task.load(DataRequest()), task.load(DataRequest(seed=1))
    assert again == builtin
    assert not {e.id for e in other.test} & {e.id for e in builtin.test}


def test_there_are_thousands_of_distinct_items(builtin: Dataset) -> None:
    examples = [e for split in SPLITS for e in builtin.split(split)]
    assert len(examples) == sum(SIZES.values()) > 5000
    assert len({e.id for e in examples}) == len({e.inputs["question"] for e in examples}) == len(examples)


def test_a_smaller_request_is_a_prefix_of_a_larger_one(builtin: Dataset) -> None:
    small = task.load(DataRequest(train_size=50, validation_size=10, test_size=20))
    for split in SPLITS:
        assert small.split(split) == builtin.split(split)[: len(small.split(split))]


def test_no_template_and_no_arithmetic_is_in_two_splits(builtin: Dataset) -> None:
    arithmetic = {
        split: {re.sub(r" = \d+", "", e.gold.partition("####")[0]) for e in builtin.split(split)} for split in SPLITS
    }
    clusters = {split: {e.cluster for e in builtin.split(split)} for split in SPLITS}
    for first, second in (("train", "validation"), ("train", "test"), ("validation", "test")):
        assert not arithmetic[first] & arithmetic[second]  # type: ignore[index]
        assert not clusters[first] & clusters[second]  # type: ignore[index]


def test_every_gold_solution_computes_its_answer(builtin: Dataset) -> None:
    for example in builtin.test:
        *steps, last = example.gold.split("\n")
        for step in steps:
            left, op, right, _, result = step.split(" ")
            a, b = int(left), int(right)
            assert {"+": a + b, "-": a - b, "*": a * b, "/": a / b}[op] == int(result)
        assert last == f"#### {result}"
        assert example.tags[0] == f"steps:{len(steps)}"


def test_every_number_of_a_first_step_stands_in_the_question(builtin: Dataset) -> None:
    words = {"half": "2", "third": "3", "quarter": "4", "fifth": "5", "sixth": "6", "eighth": "8", "tenth": "10"}
    for example in builtin.test:
        left, op, right, *_ = example.gold.split("\n")[0].split(" ")
        numbers = set(re.findall(r"\d+", example.inputs["question"]))
        numbers |= {words[word] for word in re.findall(r"\w+", example.inputs["question"]) if word in words}
        percent = {str(100 // int(n)) for n in re.findall(r"(\d+)%", example.inputs["question"])}
        assert left in numbers
        assert right in numbers | percent, (op, example)


def test_difficulty_is_mixed_and_tagged(builtin: Dataset) -> None:
    for wanted in ("steps:1", "steps:2", "steps:3", "steps:4", "magnitude:small", "magnitude:large", "distractor:yes"):
        share = sum(wanted in e.tags for e in builtin.test) / len(builtin.test)
        assert 0.1 < share < 0.75, (wanted, share)
    assert len(paths()) > 500


def test_items_are_short(builtin: Dataset) -> None:
    assert max(len(e.inputs["question"]) + len(e.gold) for e in builtin.train) < 700  # about 200 tokens


def test_gold_scores_one_and_every_mutant_zero(builtin: Dataset) -> None:
    for example in builtin.test[:200]:
        assert {score.value for score in task.score(example, example.gold).values()} == {1.0}
        made = list(task.mutants(example))
        assert len(made) >= 5
        for mutant in made:
            assert {score.value for score in task.score(example, mutant.text).values()} == {0.0}, mutant


def test_prompts_see_the_question_and_never_the_answer(builtin: Dataset) -> None:
    example = builtin.test[0]
    for style in ("instruct", "plain", "tags"):
        text = "\n".join(message.content for message in task.prompts[style](example.inputs))
        assert example.inputs["question"] in text
        assert example.gold not in text


def test_a_jsonl_file_is_split_and_its_broken_rows_are_reported(tmp_path: Path) -> None:
    rows = [json.dumps({"question": f"What is {k} + 1?", "answer": str(k + 1)}) for k in range(200)]
    rows += ["{", json.dumps({"question": "no answer"}), json.dumps({"answer": "5"}), rows[0]]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(rows))
    data = task.load(DataRequest(name="jsonl", path=path))
    assert sum(len(data.split(split)) for split in SPLITS) == 200
    assert all(len(data.split(split)) > 5 for split in SPLITS)
    assert [row.line for row in data.broken] == [201, 202, 203, 204]
    assert data.train[0].gold.startswith("#### ")


def test_a_folder_with_split_files_keeps_its_splits(tmp_path: Path) -> None:
    for split, start in (("train", 0), ("validation", 50), ("test", 80)):
        rows = [json.dumps({"problem": f"Item {start + k}", "solution": f"so \\boxed{{{k}}}"}) for k in range(5)]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(rows))
    data = task.load(DataRequest(name="jsonl", path=tmp_path))
    assert [len(data.split(split)) for split in SPLITS] == [5, 5, 5]
    assert data.test[0].inputs["format"] == "boxed"


def test_parquet_of_the_hub_layout_is_read(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    (tmp_path / "main").mkdir()
    for split in ("train", "test"):
        rows = [
            {"question": f"{split} {k}?", "answer": f"so <<1+{k}={k + 1}>>{k + 1}\n#### {k + 1}"} for k in range(40)
        ]
        parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "main" / f"{split}-00000-of-00001.parquet")
    data = task.load(DataRequest(name="gsm8k", path=tmp_path))
    assert len(data.test) == 40
    assert len(data.train) + len(data.validation) == 40
    assert "<<" not in data.train[0].gold


def test_unknown_names_and_missing_paths_say_what_is_known(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="builtin, gsm8k, math500"):
        task.load(DataRequest(name="mathqa"))
    with pytest.raises(UserError, match="--data-path"):
        task.load(DataRequest(name="jsonl"))
    with pytest.raises(UserError, match="does not exist"):
        task.load(DataRequest(name="gsm8k", path=tmp_path / "none"))
    with pytest.raises(UserError, match=r"no \.jsonl"):
        task.load(DataRequest(name="gsm8k", path=tmp_path))


@REAL
def test_every_math500_gold_scores_one_against_itself_and_its_mutants_zero() -> None:
    data = task.load(DataRequest(name="math500", offline=True))
    assert len(data.test) == 500
    assert not data.unusable
    for example in data.test:
        assert {s.value for s in task.score(example, example.gold).values()} == {1.0}, example.meta
        assert task.score(example, str(example.meta["answer"]))["answer"].value == 1.0
        assert task.score(example, f"The answer is ${example.meta['answer']}$.")["answer"].value == 1.0
        for mutant in task.mutants(example):
            assert task.score(example, mutant.text)["answer"].value == 0.0, (mutant, example.meta)


@REAL
def test_every_gsm8k_gold_scores_one_and_its_solution_is_understood_without_the_marker() -> None:
    data = task.load(DataRequest(name="gsm8k", offline=True))
    assert (len(data.train) + len(data.validation), len(data.test)) == (7473, 1319)
    right = 0
    for example in data.test:
        assert {s.value for s in task.score(example, example.gold).values()} == {1.0}, example.meta
        right += task.score(example, example.gold.partition("####")[0])["answer"].value == 1.0
    assert right / 1319 > 0.98  # the last sentence alone names the answer in nearly all
