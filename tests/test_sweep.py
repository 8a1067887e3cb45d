"""The sweep's own parts: plans, the store, chat rendering, grading, and the proof of an engine's weights."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from harness import store
from harness.core import ALL_LINEAR, Completion, Example, Full, Lora, RunSpec, Training, UserError
from harness.models import Model
from harness.plan import axes, by_data, more_seeds, plan, preset, sweep_file
from harness.prepare import SweepRequest, check_methods
from harness.sample.proof import Probes, proof


def test_the_quick_preset_is_base_four_lora_runs_and_full() -> None:
    labels = [store.label(spec) for spec in plan(axes(preset("quick")))]
    assert [label.split()[0] for label in labels] == ["base", "lora", "lora", "lora", "lora", "full"]


@pytest.mark.parametrize("name", ["quick", "standard", "llama2"])
def test_every_preset_makes_distinct_runs(name: str) -> None:
    specs = plan(axes(preset(name)))
    assert len(specs) == len(set(specs)) > 1


@pytest.mark.parametrize(
    ("layer", "says"),
    [
        ({"rank": [8]}, "did you mean 'ranks'"),
        ({"methods": ["loar"]}, "did you mean 'lora'"),
        ({"ranks": ["x"]}, "'ranks' cannot be"),
        ({"learning_rates": {"lora": [-1]}}, "positive"),
        ({"schedule": "cosin"}, "did you mean 'cosine'"),
        ({"alpha": "two"}, "alpha is a number"),
        ({"train_size": [0]}, "positive"),
        ({"ranks": [0]}, "rank must be at least 1, got 0"),
        ({"ranks": ["inf"]}, "'ranks' cannot be"),
        ({"dropout": [1.5]}, "dropout is in"),
        ({"alpha": ["nan"]}, "alpha is a number"),
        ({"learning_rates": ["inf"]}, "a finite number is needed"),
        ({"epochs": [-1]}, "epochs must be positive, got -1"),
        ({"seeds": [0.5]}, "a whole number is needed"),
        ({"seeds": []}, "axis 'seeds' is empty"),
        ({"few_shot": [-1]}, "0 or more"),
        ({"data": ["builtin", "spider"]}, "one data set makes one sweep"),
        ({"max_length": [256, 512]}, "a single value is needed"),
    ],
)
def test_a_wrong_axis_is_refused_with_the_nearest_right_one(layer: dict[str, object], says: str) -> None:
    with pytest.raises(UserError, match=says):
        plan(axes(preset("quick"), layer))


@pytest.mark.parametrize(
    ("given", "sets"),
    [
        ("all", (ALL_LINEAR,)),
        (["v_proj", "q_proj"], (("q_proj", "v_proj"),)),
        (["q_proj+v_proj", "all"], (("q_proj", "v_proj"), ALL_LINEAR)),
        ([["q_proj", "v_proj"], ["up_proj"]], (("q_proj", "v_proj"), ("up_proj",))),
        (["attention", "mlp"], (ALL_LINEAR[:4], ALL_LINEAR[4:])),
        ("attention+up_proj", ((*ALL_LINEAR[:4], "up_proj"),)),
        ("c_attn", (("c_attn",),)),
    ],
)
def test_targets_are_sets_of_modules(given: object, sets: tuple[tuple[str, ...], ...]) -> None:
    assert axes({"targets": given}).targets == sets


def test_every_axis_makes_runs_and_every_run_has_its_own_label() -> None:
    grid = {
        "models": ["a/b", "c/d"], "methods": ["lora", "full"], "ranks": [4, 8], "alpha": ["2x", "32"],
        "dropout": [0, 0.1], "targets": ["attention", "mlp"], "learning_rates": [1e-3, 1e-4],
        "schedule": ["cosine", "linear"], "epochs": [1, 2], "batch_size": [8, 16], "prompt_styles": ["plain", "tags"],
        "seeds": [0, 1], "train_size": [10, None], "few_shot": [0, 2],
    }  # fmt: skip
    for axis, values in grid.items():
        specs = plan(
            axes(preset("quick"), {"methods": ["lora"], "ranks": [8], "learning_rates": [1e-3]}, {axis: values})
        )
        assert len(specs) == len(values), axis
        assert len(set(store.labels(specs))) == len(values), axis


def test_finalist_seeds_add_each_finalist_s_setting_once_a_seed_and_no_base() -> None:
    base, lora, full = plan(axes({"ranks": [8], "learning_rates": {"lora": [1e-3], "full": [1e-4]}}))
    again = more_seeds([base, lora, full, replace(lora, seed=2)], (1, 2, 1))
    assert [(spec.method, spec.seed) for spec in again] == [(s.method, seed) for s in (lora, full) for seed in (1, 2)]
    assert more_seeds([base, lora], ()) == []


def test_several_data_sets_are_several_sweeps() -> None:
    assert [given.data for given in by_data({"data": ["builtin", "spider", "builtin"]})] == ["builtin", "spider"]
    assert [given.data for given in by_data(preset("quick"))] == ["builtin"]


@pytest.mark.parametrize(
    ("layer", "says"),
    [
        ({"targets": ["q_prj"]}, "no linear layer 'q_prj'; did you mean 'q_proj'"),
        ({"targets": ["lm_head"]}, "no linear layer 'lm_head'"),
        ({"ranks": [8, 128]}, "rank 128 is above the width of m, 64"),
    ],
)
def test_what_no_run_of_a_model_can_have_is_refused_before_training(
    layer: dict[str, object], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.prepare.linear_modules", lambda folder: set(ALL_LINEAR))
    config = {"hidden_size": 64, "model_type": "llama"}
    model = Model(name="m", folder=Path("x"), revision="r", source="local folder", config=config)
    check_methods(axes(preset("quick"), {"targets": ["q_proj+v_proj"]}), model)
    with pytest.raises(UserError, match=says):
        check_methods(axes(preset("quick"), layer), model)


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"device": "cdua"}, "did you mean 'cuda'"),
        ({"sampler": "vlm"}, "did you mean 'vllm'"),
        ({"workers": 0}, "--workers is at least 1"),
    ],
)
def test_a_request_for_what_is_not_there_is_refused(setting: dict[str, object], says: str) -> None:
    with pytest.raises(UserError, match=says):
        SweepRequest(axes=axes({}), folder=Path("x"), **setting)  # type: ignore[arg-type]


def test_a_sweep_file_that_is_no_yaml_is_one_line_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text("methods: [lora]\nranks: [8\n")
    with pytest.raises(UserError, match="line 3, column 1") as caught:
        sweep_file(path)
    assert "\n" not in str(caught.value)


def test_a_run_name_changes_with_every_version_and_setting() -> None:
    training = Training(learning_rate=1e-3)
    spec = RunSpec(task="sql", data="builtin", model="m", method=Full(), training=training)
    other = RunSpec(task="sql", data="builtin", model="m", method=Lora(rank=8, alpha=16), training=training)
    names = {store.run_name(s, {"data": d}) for s in (spec, other) for d in ("1", "2")}
    assert len(names) == 4


def test_a_torn_last_line_is_dropped_and_cut_at_the_next_append(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    store.append_lines(path, [{"a": 1}])
    with path.open("a") as stream:
        stream.write('{"a": 2')
    assert store.read_lines(path) == [{"a": 1}]
    store.append_lines(path, [{"a": 3}])
    assert store.read_lines(path) == [{"a": 1}, {"a": 3}]


def test_a_second_sweep_on_a_folder_is_refused_while_the_first_lives(tmp_path: Path) -> None:
    code = "import sys; from harness.store import Sweep; from pathlib import Path\nwith Sweep(Path(sys.argv[1])).lock(): pass"
    with store.Sweep(tmp_path).lock():
        second = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
        )
    assert "in use by process" in second.stderr
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == 0


def test_the_first_answer_of_an_item_counts(tmp_path: Path) -> None:
    row = {"example_id": "a", "split": "test", "finish": "stop", "num_prompt_tokens": 1, "num_tokens": 1, "error": ""}
    store.append_lines(tmp_path / "completions.jsonl", [{**row, "text": "one"}, {**row, "text": "two"}])
    expected = Completion(example_id="a", split="test", text="one", finish="stop", num_prompt_tokens=1, num_tokens=1)
    assert store.Run(tmp_path).completions("test") == [expected]


OWN, OTHER = [[-1.0, -2.0, -3.0]], [[-4.0, -1.0, -9.0]]


@pytest.mark.parametrize(
    ("measured", "proven", "why"),
    [
        ([[-1.02, -1.98, -3.05]], True, ""),
        (OTHER, False, "nearer to other"),
        ([[-2.0, -2.0, -3.0]], False, "nats a token from transformers"),
    ],
)
def test_an_engine_with_foreign_weights_is_not_proven(measured: list[list[float]], proven: bool, why: str) -> None:
    verdict = proof("own", measured, Probes(references={"own": OWN, "other": OTHER}))
    assert verdict["proven"] is proven
    assert why in verdict["reason"]


def test_a_swapped_adapter_is_seen_when_both_are_within_the_floor_of_the_engine() -> None:
    references = Probes(references={"own": [[-1.0, -1.0]], "other": [[-1.35, -1.0]]})
    verdict = proof("own", [[-1.12, -1.0]], references)
    assert verdict["proven"] is True  # 0.06 from its own, 0.115 from the other
    swapped = proof("own", [[-1.28, -1.0]], references)
    assert swapped["proven"] is False


def test_score_grades_a_pair_file_and_keeps_broken_lines_as_rows(tmp_path: Path) -> None:
    schema = "CREATE TABLE t (a INTEGER, b TEXT);"
    good = {"id": "1", "gold": "SELECT a FROM t", "prediction": "SELECT a FROM t", "schema": schema}
    wrong = {"id": "2", "gold": "SELECT a FROM t", "prediction": "SELECT b FROM t", "schema": schema}
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text(json.dumps(good) + "\n" + "not json\n" + json.dumps(wrong) + "\n")
    command = [sys.executable, "-m", "harness.cli", "score", "sql", "--input", str(pairs), "--output", "-"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1, done.stderr
    assert [row["id"] for row in rows] == ["1", None, "2"]
    assert rows[0]["scores"]["execution"] == 1.0
    assert rows[1]["line"] == 2
    assert "not JSON" in rows[1]["error"]
    assert rows[2]["scores"]["execution"] == 0.0
    assert rows[2]["why"] == "refuted"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["score", "sqll", "--input", "x"], "did you mean 'sql'"),
        (["sweep", "sql", "--preset", "quik"], "did you mean 'quick'"),
        (["sweep", "sql", "--model", "nope"], "no hub id"),
        (["report", "/nonexistent-folder"], "holds no sweep"),
    ],
)
def test_a_mistake_is_one_line_with_the_remedy_and_exit_code_64(
    arguments: list[str], says: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "harness.cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 64
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_crashing_scorer_leaves_the_item_unscored_and_not_wrong() -> None:
    from harness.grade import _scores
    from harness.registry import load_task
    from harness.sandbox import Killed, RemoteError

    task = load_task("sql")
    for failure in (Killed("timeout"), RemoteError("ValueError: no")):
        scores = _scores(task, failure)
        assert {score.value for score in scores.values()} == {None}
        assert all(score.why.startswith("scorer_") for score in scores.values())


def test_an_item_that_was_not_sampled_is_unscored_and_enters_no_mean() -> None:
    from harness.grade import grade
    from harness.registry import load_task

    task = load_task("functional")
    example = task.pair({"id": "1", "gold": "inform(name[X])"})
    shared = {"example_id": "1", "split": "test", "num_prompt_tokens": 9, "num_tokens": 0}
    unsampled = Completion(**shared, text="", finish="error", error="prompt_too_long")  # type: ignore[arg-type]
    right = Completion(**shared, text="inform(name[X])", finish="stop")  # type: ignore[arg-type]
    first, second = grade(task, [(example, unsampled), (example, right)], workers=1)
    assert first["outcome"] == "unscored"
    assert {score["value"] for score in first["scores"].values()} == {None}
    assert first["scores"][task.primary]["why"] == "prompt_too_long"
    assert second["scores"][task.primary]["value"] == 1.0


def test_help_lists_every_verb() -> None:
    done = subprocess.run([sys.executable, "-m", "harness.cli", "--help"], capture_output=True, text=True, check=True)
    verbs = ("sweep", "plan", "train", "sample", "score", "report", "compare", "tasks", "models", "doctor")
    assert [verb for verb in verbs if f" {verb} " not in done.stdout] == []


def test_an_example_needs_an_id() -> None:
    with pytest.raises(ValueError, match="non-empty id"):
        Example(id="", inputs={}, gold="")
