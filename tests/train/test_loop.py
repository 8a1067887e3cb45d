"""The loop against a plain one, and what it does when a run goes wrong."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.core import ALL_LINEAR, Full, Lora, Training, UserError
from harness.models import linear_modules
from harness.train.batches import steps_of
from harness.train.job import Options, UpdatePrecision, options_from_json, read_job
from tests.train.conftest import LORA, SHORT, WriteJob, log_of, random_items, same_weights, tiny_model, weights_of

torch = pytest.importorskip("torch")


def train(job: Path) -> list[dict[str, Any]]:
    from harness.train.runs import train_job

    events: list[dict[str, Any]] = []
    train_job(read_job(job), events.append)
    return events


def plain_losses(folder: Path, method: Lora | Full, training: Training, seed: int) -> list[float]:
    """The textbook loop: padded rows, all logits, peft's own layers, torch's AdamW; no code of ours but the order."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    torch.manual_seed(seed)
    if isinstance(method, Lora):
        config = LoraConfig(
            r=method.rank, lora_alpha=method.alpha, target_modules=list(method.targets), task_type="CAUSAL_LM"
        )
        model = get_peft_model(model, config)
    parameters = [p for p in model.parameters() if p.requires_grad]
    rows = random_items(40)
    order = steps_of(len(rows), training.epochs, training.batch_size, seed)
    optimizer = torch.optim.AdamW(parameters, lr=training.learning_rate, weight_decay=0.0)
    warmup = math.ceil(training.warmup_ratio * len(order))
    losses = []
    for number, step in enumerate(order):
        progress = (number - warmup) / (len(order) - warmup)
        factor = (number + 1) / warmup if number < warmup else 0.5 * (1 + math.cos(math.pi * progress))
        ids = [rows[i]["prompt_ids"] + rows[i]["answer_ids"] for i in step]
        longest = max(map(len, ids))
        input_ids = torch.tensor([row + [0] * (longest - len(row)) for row in ids])
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in ids])
        labels = torch.full_like(input_ids, -100)
        for place, i in enumerate(step):
            begin = len(rows[i]["prompt_ids"])
            labels[place, begin : len(ids[place])] = torch.tensor(rows[i]["answer_ids"])
        logits = model(input_ids=input_ids, attention_mask=mask).logits
        loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, training.max_grad_norm)
        optimizer.param_groups[0]["lr"] = training.learning_rate * factor
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


@pytest.mark.parametrize("method", [LORA, Full()], ids=["lora", "full"])
@pytest.mark.parametrize("micro_batch", [None, 1, 4])
def test_the_loop_equals_a_plain_peft_and_torch_loop_step_by_step(
    write_job: WriteJob, model_folder: Path, method: Lora | Full, micro_batch: int | None
) -> None:
    training = Training(learning_rate=2e-3, epochs=2, batch_size=6, warmup_ratio=0.2, max_length=200)
    job = write_job([("run", method, training, 5)], options={"micro_batch": micro_batch})
    train(job)
    ours = [row["loss"] for row in log_of(job.parent / "run")]
    assert ours == pytest.approx(plain_losses(model_folder, method, training, 5), rel=1e-5, abs=1e-5)
    assert ours[-1] < ours[0]


def test_the_log_has_one_line_a_step_with_every_column(write_job: WriteJob) -> None:
    job = write_job([("run", LORA, SHORT, 0)])
    events = train(job)
    rows = log_of(job.parent / "run")
    assert [row["step"] for row in rows] == list(range(1, 8))
    columns = "step loss gradient_norm learning_rate tokens tokens_per_second peak_memory_bytes micro_batch"
    assert all(row.keys() == set(columns.split()) for row in rows)
    mark = json.loads((job.parent / "run" / "trained.json").read_text())
    assert mark["tokens"] == sum(row["tokens"] for row in rows)
    assert mark["steps"] == 7
    assert mark["final_loss"] == rows[-1]["loss"]
    assert mark["trainable_parameters"] == sum(tensor.numel() for tensor in weights_of(job.parent / "run").values())
    files = (job.parent / "run" / "checkpoint").iterdir()
    assert mark["checkpoint_bytes"] == sum(path.stat().st_size for path in files)
    assert [event["event"] for event in events if event["event"] != "step"] == ["started", "finished"]
    assert not (job.parent / "run" / "resume").exists()


def test_one_seed_gives_one_result_and_another_seed_another(write_job: WriteJob) -> None:
    dropping = Lora(rank=4, alpha=8.0, dropout=0.2)
    for name, method in (("plain", LORA), ("dropout", dropping), ("full", Full())):
        job = write_job([("a", method, SHORT, 0), ("b", method, SHORT, 0), ("c", method, SHORT, 1)], root=name)
        train(job)
        assert same_weights(job.parent / "a", job.parent / "b")
        assert not same_weights(job.parent / "a", job.parent / "c")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_each_run_of_a_shared_process_equals_the_same_run_alone(write_job: WriteJob, dtype: str) -> None:
    diverging = Training(learning_rate=1e9, epochs=3, batch_size=6, max_length=200)
    runs = [
        ("lora", LORA, SHORT, 0),
        ("full", Full(), SHORT, 0),
        ("broken", Full(), diverging, 0),
        ("other", Lora(rank=2, alpha=4.0, targets=("q_proj", "down_proj")), SHORT, 3),
        ("last", LORA, SHORT, 0),
    ]
    together = write_job(runs, dtype=dtype)
    train(together)
    for run in runs:
        if run[0] == "broken":
            continue
        alone = write_job([run], dtype=dtype, root=f"alone-{run[0]}")
        train(alone)
        assert same_weights(together.parent / run[0], alone.parent / run[0]), run[0]


def test_a_failed_run_is_recorded_and_the_others_go_on(write_job: WriteJob) -> None:
    lost = Lora(rank=2, alpha=2.0, targets=("no_such_proj",))
    job = write_job([("lost", lost, SHORT, 0), ("fine", LORA, SHORT, 0)])
    events = train(job)
    failure = json.loads((job.parent / "lost" / "failure.json").read_text())
    assert failure["stage"] == "train"
    assert failure["kind"] == "error"
    assert "no_such_proj" in failure["reason"]
    assert "q_proj" in failure["reason"]
    assert (job.parent / "fine" / "trained.json").is_file()
    assert {event["run"]: event["event"] for event in events} == {"lost": "failed", "fine": "finished"}
    assert {event["event"] for event in train(job)} == {"skipped"}


@pytest.mark.parametrize(("rate", "kinds"), [(1e30, {"nonfinite", "diverged"}), (3.0, {"diverged"})])
def test_a_run_that_diverges_ends_with_its_step_and_reason(
    write_job: WriteJob, tmp_path: Path, rate: float, kinds: set[str]
) -> None:
    # a model that already knows the answer: with random weights there is no loss to lose
    easy = [{"id": str(i), "prompt_ids": [5, 6, 7 + i], "answer_ids": [9, 2]} for i in range(40)]
    gentle = Training(learning_rate=2e-2, epochs=4, batch_size=4, schedule="constant", max_length=200)
    teach = write_job([("teach", Full(), gentle, 0)], items=easy, root="teach")
    train(teach)
    harsh = Training(learning_rate=rate, epochs=8, batch_size=4, warmup_ratio=0.3, schedule="constant", max_length=200)
    taught = teach.parent / "teach" / "checkpoint"
    job = write_job([("run", Full(), harsh, 0)], items=easy, model=taught)
    train(job)
    failure = json.loads((job.parent / "run" / "failure.json").read_text())
    assert failure["kind"] in kinds
    assert failure["step"] <= 80
    assert "lower the learning rate" in failure["reason"]
    assert not (job.parent / "run" / "trained.json").exists()


def injected_memory_errors(monkeypatch: pytest.MonkeyPatch, limit: int, *, cuda: bool) -> None:
    """From now on a micro-batch of more than `limit` examples does not fit."""
    from harness.train import loop

    real = loop.pack

    def pack(items: Any, *, share_prefixes: bool) -> Any:
        if len(items) > limit:
            if cuda:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
            torch.empty(1 << 60)  # the CPU allocator's own refusal
        return real(items, share_prefixes=share_prefixes)

    monkeypatch.setattr(loop, "pack", pack)


@pytest.mark.parametrize("cuda", [True, False])
def test_out_of_memory_halves_the_micro_batch_and_keeps_the_effective_batch(
    write_job: WriteJob, monkeypatch: pytest.MonkeyPatch, cuda: bool
) -> None:
    whole = write_job([("run", LORA, SHORT, 0)], root="whole")
    train(whole)
    injected_memory_errors(monkeypatch, 2, cuda=cuda)
    job = write_job([("run", LORA, SHORT, 0)])
    train(job)
    mark = json.loads((job.parent / "run" / "trained.json").read_text())
    assert mark["micro_batch"] == 1
    assert mark["notes"] == [
        "out of memory at step 1: micro-batch halved to 3",
        "out of memory at step 1: micro-batch halved to 1",
    ]
    losses = [[row["loss"] for row in log_of(path.parent / "run")] for path in (job, whole)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_one_example_that_does_not_fit_is_a_memory_failure(
    write_job: WriteJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    injected_memory_errors(monkeypatch, 0, cuda=True)
    job = write_job([("run", LORA, SHORT, 0)])
    train(job)
    failure = json.loads((job.parent / "run" / "failure.json").read_text())
    assert (failure["kind"], failure["step"]) == ("memory", 1)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("method", [LORA, Full()], ids=["lora", "full"])
def test_a_checkpoint_loads_in_stock_libraries_and_gives_the_trained_loss(
    write_job: WriteJob, tmp_path: Path, method: Lora | Full, tied: bool
) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    folder = tiny_model(tmp_path / "base", tied=tied)
    overfit = Training(learning_rate=1e-2, epochs=30, batch_size=4, max_length=200)
    items = random_items(4)
    job = write_job([("run", method, overfit, 0)], model=folder, items=items)
    train(job)
    checkpoint = job.parent / "run" / "checkpoint"
    assert {"tokenizer.json", "chat_template.jinja", "tunebench.json"} <= {path.name for path in checkpoint.iterdir()}
    if isinstance(method, Full):
        model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32)
    else:
        base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        model = PeftModel.from_pretrained(base, checkpoint)
    nats, tokens = 0.0, 0
    for item in items:
        ids = torch.tensor([item["prompt_ids"] + item["answer_ids"]])
        with torch.no_grad():
            logits = model(input_ids=ids).logits[0, len(item["prompt_ids"]) - 1 : -1]
        target = torch.tensor(item["answer_ids"])
        nats += float(torch.nn.functional.cross_entropy(logits, target, reduction="sum"))
        tokens += len(target)
    last = log_of(job.parent / "run")[-1]["loss"]
    assert nats / tokens == pytest.approx(last, rel=0.05)
    assert last < 0.7 * log_of(job.parent / "run")[0]["loss"]


def test_the_layers_lora_can_adapt_are_known_before_weights_are_loaded(model_folder: Path) -> None:
    assert linear_modules(model_folder) == set(ALL_LINEAR)


def test_a_chat_template_given_as_text_replaces_the_folders(write_job: WriteJob) -> None:
    job = write_job([("run", LORA, SHORT, 0)])
    body = json.loads(job.read_text())
    body["runs"][0]["template"] = "{{ bos_token }}mine"
    job.write_text(json.dumps(body))
    train(job)
    assert (job.parent / "run" / "checkpoint" / "chat_template.jinja").read_text() == "{{ bos_token }}mine"


@pytest.mark.parametrize(("precision", "tolerance"), [("master", 1e-3), ("stochastic", 0.1)])
def test_updates_too_small_for_bfloat16_are_not_lost(precision: UpdatePrecision, tolerance: float) -> None:
    # 1.0 - 1e-4 rounds to 1.0 in bfloat16, so plain bfloat16 weights would never move
    from harness.train.optimizer import Updater

    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.ones(64, 64, dtype=torch.bfloat16))
    training = Training(learning_rate=1e-4, max_grad_norm=1e9)
    updater = Updater({"w": weight}, training, Options(update_precision=precision))
    for _ in range(200):
        weight.float().sum().backward()
        updater.step(1e-4)
    assert float(1 - weight.detach().float().mean()) == pytest.approx(200 * 1e-4, rel=max(tolerance, 2**-8 / 0.02))
    if precision == "master":
        assert float(1 - updater.weights()["w"].mean()) == pytest.approx(200 * 1e-4, rel=tolerance)


def test_stochastic_rounding_is_right_on_average_and_exact_where_it_can_be() -> None:
    from harness.train.optimizer import stochastically_rounded

    torch.manual_seed(0)
    for value in (1.001, -3.3, 1e-20, 65000.0):
        rounded = stochastically_rounded(torch.full((200_000,), value)).double()
        assert float(rounded.mean()) == pytest.approx(value, rel=1e-4)
    exact = torch.tensor([0.0, 1.0, -0.5, 2.0**-126])
    assert torch.equal(stochastically_rounded(exact).float(), exact)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"optimizr": "adamw"}, "did you mean 'optimizer'"),
        ({"optimizer": "sgd"}, "adamw, adamw8bit, paged"),
        ({"quantize": "int3"}, "none, nf4"),
        ({"micro_batch": 0}, "must be positive"),
    ],
)
def test_a_wrong_option_is_refused_with_what_is_allowed(options: dict[str, Any], text: str) -> None:
    with pytest.raises(UserError, match=text):
        options_from_json(options)


@pytest.mark.parametrize(
    ("options", "method", "text"),
    [
        ({"optimizer": "paged"}, LORA, "CUDA"),
        ({"quantize": "nf4"}, Full(), "cannot be fully fine-tuned"),
    ],
)
def test_an_option_this_device_cannot_serve_fails_the_run_with_the_remedy(
    write_job: WriteJob, model_folder: Path, options: dict[str, Any], method: Lora | Full, text: str
) -> None:
    from harness.train.optimizer import Updater
    from harness.train.trainee import attach, load_base

    base = load_base(model_folder, "cpu", "float32", "none")
    chosen = Options(**options)
    with pytest.raises(UserError, match=text):
        Updater(attach(base, method, 0, chosen).parameters, SHORT, chosen)


@pytest.mark.slow
@pytest.mark.parametrize("method", [LORA, Full()], ids=["lora", "full"])
def test_eight_bit_optimizer_states_learn_like_full_ones(write_job: WriteJob, method: Lora | Full) -> None:
    pytest.importorskip("torchao")
    losses = {}
    for name in ("adamw", "adamw8bit"):
        options = {"optimizer": name, "update_precision": "stochastic"}
        job = write_job([("run", method, SHORT, 0)], dtype="bfloat16", options=options, root=name)
        done = subprocess.run([sys.executable, "-m", "harness.train", str(job)], capture_output=True)
        assert done.returncode == 0
        mark = job.parent / "run" / "trained.json"
        assert mark.is_file(), (job.parent / "run" / "failure.json").read_text()
        losses[name] = [row["loss"] for row in log_of(job.parent / "run")]
    assert losses["adamw8bit"] == pytest.approx(losses["adamw"], rel=0.03)
