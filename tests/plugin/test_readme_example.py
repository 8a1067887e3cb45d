"""tasks/README.md teaches with a complete package; here its very code is installed on its own and run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "tasks" / "README.md"
FILE = re.compile(r"^\*\*`([\w.]+)`\*\*\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROBE = """
import json
from harness.core import DataRequest
from harness.registry import load_task, task_names
import iso_dates
task = load_task("iso_dates")
data = task.load(DataRequest(train_size=5))
example = data.test[0]
print(json.dumps({
    "names": task_names(), "file": iso_dates.__file__, "primary": task.primary, "train": len(data.train),
    "nasty": [task.score(example, text)["exact"].value for text in task.nasty],
    "shared_days": len({e.cluster for e in data.train} & {e.cluster for e in data.test}),
    "prompt": task.prompts["instruct"](example.inputs)[0].content, "gold": example.gold,
}))
"""


def readme_files() -> dict[str, str]:
    return dict(FILE.findall(README.read_text(encoding="utf-8")))


def run(folder: Path, *argv: str) -> str:
    """The output of Python with only `folder` added to its path; fails the test with the error text."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run([sys.executable, *argv], env=environment, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that pip installed the README's package into, with the README's test file beside it."""
    package, target = tmp_path_factory.mktemp("package"), tmp_path_factory.mktemp("installed")
    files = readme_files()
    for name in ("pyproject.toml", "iso_dates.py"):
        (package / name).write_text(files[name], encoding="utf-8")
    pip = ("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--no-cache-dir")
    run(package, *pip, "--disable-pip-version-check", "--target", str(target), str(package))
    (target / "test_iso_dates.py").write_text(files["test_iso_dates.py"], encoding="utf-8")
    return target


def test_the_readme_shows_exactly_the_three_files_of_the_package() -> None:
    assert list(readme_files()) == ["pyproject.toml", "iso_dates.py", "test_iso_dates.py"]


def test_the_example_stays_near_fifty_lines_of_code() -> None:
    lines = [line for line in readme_files()["iso_dates.py"].splitlines() if line.strip()]
    assert 30 <= len(lines) <= 65


def test_the_installed_package_joins_through_its_entry_point_and_keeps_its_promises(installed: Path) -> None:
    seen = json.loads(run(installed, "-c", PROBE))
    assert "iso_dates" in seen["names"]
    assert Path(seen["file"]).parent == installed, "the copy that pip installed must be the one that runs"
    assert (seen["primary"], seen["train"], seen["shared_days"]) == ("exact", 5, 0)
    assert set(seen["nasty"]) == {0.0}
    assert seen["gold"] not in seen["prompt"]


def test_the_readme_s_own_test_passes_against_the_installed_package(installed: Path) -> None:
    out = run(installed, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "test_iso_dates.py")
    assert "2 passed" in out


def test_the_command_lists_and_scores_the_installed_task(installed: Path, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.jsonl"
    rows = [("1", "It is 2024-05-31."), ("2", "It is 2024-05-30.")]
    pairs.write_text(
        "\n".join(json.dumps({"id": key, "gold": "2024-05-31", "prediction": reply}) for key, reply in rows)
    )
    command = ("-c", "from harness.cli import main; main()")
    assert "iso_dates" in run(installed, *command, "tasks")
    scored = [
        json.loads(line) for line in run(installed, *command, "score", "iso_dates", "--input", str(pairs)).splitlines()
    ]
    assert [row["scores"]["exact"] for row in scored] == [1.0, 0.0]


def test_without_the_installed_package_the_task_is_unknown(tmp_path: Path) -> None:
    probe = "from harness.registry import task_names; print(' '.join(task_names()))"
    assert "iso_dates" not in run(tmp_path, "-c", probe).split()


def test_an_entry_point_that_takes_a_built_in_name_is_refused(installed: Path, tmp_path: Path) -> None:
    info = tmp_path / "rival-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rival\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[tunebench.tasks]\nsql = iso_dates:task\n")
    probe = (
        "from harness.core import UserError\nfrom harness.registry import load_task\n"
        "try:\n    load_task('sql')\nexcept UserError as error:\n    print(error)"
    )
    assert "two tasks are called 'sql'" in run(tmp_path, "-c", probe)
