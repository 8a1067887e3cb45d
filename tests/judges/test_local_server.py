"""The local server's failures reach the user with the end of its log."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core import UserError
from judges.local_server import local_server


def test_a_server_that_ends_at_once_is_an_error_with_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho no such engine\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(program))
    with (
        pytest.raises(UserError, match=r"ended with 3(.|\n)*no such engine"),
        local_server(tmp_path, name="x", log=tmp_path / "log.txt"),
    ):
        pass


def test_a_server_that_never_answers_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(program))
    with (
        pytest.raises(UserError, match="did not answer"),
        local_server(tmp_path, name="x", log=tmp_path / "log.txt", start_timeout_s=0.5),
    ):
        pass
