"""The GPU script at toy size on the CPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.gpu_bench import PARTS


@pytest.mark.slow
def test_the_gpu_script_runs_at_toy_size_and_writes_every_measurement(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "harness.gpu_bench",
        str(tmp_path),
        "--shape",
        "toy",
        "--device",
        "cpu",
        "--no-sweep",
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=500)
    parts = json.loads((tmp_path / "bench.json").read_text())["parts"]
    assert set(parts) == set(PARTS)
    assert parts["matmul"]["flops_per_second"] > 0
    for name in ("lora", "full"):
        assert parts[name]["tokens_per_second"] > 0, parts[name]
        assert 0 < parts[name]["flops_per_second"] < 2 * parts["matmul"]["flops_per_second"]
        assert parts[name]["peak_memory_bytes"] > 0
    assert "skipped" in parts["trl"] or parts["trl"]["tokens_per_second"] > 0, parts["trl"]
    page = (tmp_path / "README.md").read_text()
    assert "| lora |" in page
    assert "estimate" in page
