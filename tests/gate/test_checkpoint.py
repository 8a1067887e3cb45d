"""What a bare checkpoint must be before an engine is started for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.checkpoint import checkpoint_kind
from harness.core import UserError


def _adapter(folder: Path, value: float = 1.0) -> Path:
    import torch
    from safetensors.torch import save_file

    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 2, "lora_alpha": 4}))
    save_file({"w": torch.full((4, 4), value)}, folder / "adapter_model.safetensors")
    return folder


def test_a_peft_folder_is_lora_and_a_transformers_folder_is_full(tmp_path: Path) -> None:
    adapter = _adapter(tmp_path / "adapter")
    assert checkpoint_kind(adapter) == "lora"
    (adapter / "adapter_config.json").rename(adapter / "config.json")
    assert checkpoint_kind(adapter) == "full"


def test_a_cut_weight_file_is_refused_by_name(tmp_path: Path) -> None:
    weights = _adapter(tmp_path / "cut") / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    with pytest.raises(UserError, match=r"adapter_model\.safetensors is corrupt"):
        checkpoint_kind(weights.parent)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    with pytest.raises(UserError, match="not finite"):
        checkpoint_kind(_adapter(tmp_path / "bad", value))


def test_a_folder_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no checkpoint"):
        checkpoint_kind(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match="not whole"):
        checkpoint_kind(tmp_path)
