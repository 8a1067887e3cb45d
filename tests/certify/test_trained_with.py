"""A checkpoint that is about to be asked with another format than it was trained with, on the default model's tokenizer."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.chat import ChatFormat
from harness.core import Base, Lora, Message, RunSpec, Training, UserError
from harness.models import DEFAULT_MODEL, resolve
from harness.trained_with import FILE, differences, is_known, record_of, recorded_spec, refusal, training_record
from tests.certify.test_certify import DATA, TASK

STYLES = {
    "instruct": lambda inputs: [Message(role="user", content=f"Answer: {inputs['question']}")],
    "plain": lambda inputs: [Message(role="user", content=inputs["question"])],
}
STYLED = replace(TASK, prompts=STYLES)
SPEC = RunSpec(task="toy", data="toy", model="m", method=Lora(rank=1, alpha=1.0), training=Training(learning_rate=1e-4))


@pytest.fixture(scope="module")
def chat() -> ChatFormat:
    pytest.importorskip("transformers")
    return ChatFormat(resolve(DEFAULT_MODEL).folder)


def checkpoint(folder: Path, chat: ChatFormat, **record: Any) -> Path:
    """A folder as the trainer leaves it: tokenizer, template and record (weights play no part here)."""
    folder.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(chat.folder / name, folder / name)
    (folder / FILE).write_text(json.dumps({**training_record(STYLED, DATA, SPEC, chat), **record}))
    return folder


def found(folder: Path, chat: ChatFormat, spec: RunSpec = SPEC, task: Any = STYLED) -> list[str]:
    return differences(folder, task, DATA, spec, chat)


def test_a_checkpoint_asked_as_it_was_trained_shows_no_difference(tmp_path: Path, chat: ChatFormat) -> None:
    folder = checkpoint(tmp_path / "c", chat)
    assert found(folder, chat) == []
    assert recorded_spec(folder) == SPEC
    assert found(folder, chat, replace(SPEC, method=Base(), training=None)) == [], "the method is not the format"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"prompt_style": "plain"}, "prompt style: trained with 'instruct', about to be asked with 'plain'"),
        ({"few_shot": 2}, "number of solved examples in the prompt: trained with 0, about to be asked with 2"),
    ],
)
def test_another_style_or_other_shots_than_trained_are_a_difference(
    tmp_path: Path, chat: ChatFormat, change: dict[str, Any], says: str
) -> None:
    assert says in found(checkpoint(tmp_path / "c", chat), chat, replace(SPEC, **change))


def test_a_prompt_function_that_changed_since_training_is_a_difference(tmp_path: Path, chat: ChatFormat) -> None:
    folder = checkpoint(tmp_path / "c", chat)
    words = {**STYLES, "instruct": lambda inputs: [Message(role="user", content=f"Reply: {inputs['question']}")]}
    assert found(folder, chat, task=replace(STYLED, prompts=words))[0].startswith("prompt text: trained with")


def test_a_template_that_changed_after_training_is_a_difference_in_the_checkpoint(
    tmp_path: Path, chat: ChatFormat
) -> None:
    folder = checkpoint(tmp_path / "c", chat)
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text().replace("user", "human") + "{# v2 #}")
    assert "chat template: the file in the checkpoint changed after training" in found(folder, chat)


def test_a_template_that_changed_in_the_base_model_is_a_difference(tmp_path: Path, chat: ChatFormat) -> None:
    folder = checkpoint(tmp_path / "c", chat)
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    (other / "chat_template.jinja").write_text((other / "chat_template.jinja").read_text() + "{# v2 #}")
    told = found(folder, ChatFormat(other))
    assert any(text.startswith("chat template: trained with") for text in told), told


def test_a_foreign_folder_is_judged_by_its_saved_template_and_token_ids(tmp_path: Path, chat: ChatFormat) -> None:
    folder = checkpoint(tmp_path / "c", chat)
    (folder / FILE).unlink()
    assert found(folder, chat) == []
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text().replace("<|im_start|>", "<|im_start|> "))
    told = found(folder, chat)
    assert any("is not the one about to be used" in text for text in told)
    assert any("writes item-2000 with other ids" in text for text in told)


def test_of_a_bare_folder_nothing_is_known_and_nothing_is_claimed(tmp_path: Path, chat: ChatFormat) -> None:
    assert not is_known(tmp_path)
    assert found(tmp_path, chat) == []


@pytest.mark.parametrize("text", ["{", '{"format": "another"}', "[]"])
def test_a_record_that_cannot_be_read_is_an_error_and_not_an_absence(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(UserError, match=r"tunebench\.json"):
        record_of(tmp_path)


def test_the_refusal_says_what_differs_and_how_to_force_it() -> None:
    text = refusal("run-a", ["prompt style: trained with 'a', about to be asked with 'b'"])
    assert "prompt style" in text
    assert "--allow-uncertified" in text
