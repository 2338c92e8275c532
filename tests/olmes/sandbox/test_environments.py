"""Environments of libraries: installed, used by programs, found wanting, removed."""

from __future__ import annotations

import json
import platform
import re
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from olmes.cli.sandbox import command
from olmes.errors import OlmesError
from olmes.sandbox import environments
from olmes.sandbox.pool import SandboxPool
from olmes.sandbox.program import Program
from tests.olmes.sandbox.conftest import LIMITS, came_of


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def wheel(folder: Path) -> Path:
    """A package of one module, which no index has."""
    path = folder / "answerbook-1.0-py3-none-any.whl"
    info = "answerbook-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("answerbook.py", "ANSWER = 42\n")
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: answerbook\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(
            f"{info}/RECORD",
            f"answerbook.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n",
        )
    return path


@pytest.mark.slow
def test_an_environment_is_installed_used_and_removed(
    tmp_path: Path, bubblewrap_program: str
) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(f"{wheel(tmp_path)}\n", encoding="utf-8")
    runner = CliRunner()
    done = runner.invoke(command, ["install", "answers", "--requirements", str(requirements)])
    assert done.exit_code == 0, done.output
    program = Program(
        source="import answerbook", tests="assert answerbook.ANSWER == 42", limits=LIMITS
    )
    inside = Program.from_json({**program.to_json(), "environment": "answers"})
    without = Program.from_json(
        {**inside.to_json(), "source": "import numpy", "tests": ""}
    )  # olmes's own packages are not seen there
    pool = SandboxPool(1)
    found = came_of(pool, [inside, program, without])
    pool.close()
    assert [one.result for one in found] == ["passed", "failed", "failed"], found
    assert "installed" in runner.invoke(command, ["list"]).output
    assert runner.invoke(command, ["remove", "answers"]).exit_code == 0
    with pytest.raises(OlmesError, match="not installed"):
        environments.interpreter("answers")


@pytest.mark.slow
def test_an_installation_that_fails_leaves_nothing_that_counts(tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("./nowhere-1.0-py3-none-any.whl\n", encoding="utf-8")
    with pytest.raises(OlmesError, match="'broken' could not be installed: "):
        environments.install("broken", requirements, print)
    assert environments.state_of("broken") == "not installed"


def test_the_bundled_one_is_listed_before_it_is_installed() -> None:
    done = CliRunner().invoke(command, ["list", "--json"])
    rows = [json.loads(line) for line in done.output.splitlines()]
    assert [(row["name"], row["bundled"], row["state"]) for row in rows] == [
        ("bigcodebench", True, "not installed")
    ]


def test_every_bundled_requirement_is_pinned() -> None:
    for path in environments.BUNDLED.glob("*.txt"):
        lines = [line for line in path.read_text("utf-8").splitlines() if line[:1] not in ("", "#")]
        assert lines
        assert all(line.count("==") == 1 for line in lines)


@pytest.mark.parametrize(
    ("marker", "said"),
    [
        (None, "is not installed"),
        ("{", "is not installed"),
        ({"python": "3.1.4", "requirements": "?"}, "is installed for Python 3.1.4 and not 3."),
        (
            {"python": platform.python_version(), "requirements": "?"},
            "other requirements",
        ),
    ],
)
def test_an_environment_that_is_not_whole_is_not_used(
    own_cache: Path, marker: object, said: str
) -> None:
    folder = own_cache / "sandbox/bigcodebench"
    folder.mkdir(parents=True)
    if marker is not None:
        text = marker if isinstance(marker, str) else json.dumps(marker)
        (folder / environments.MARKER).write_text(text, encoding="utf-8")
    with pytest.raises(OlmesError, match=f"{said}.*`olmes sandbox install bigcodebench`"):
        environments.interpreter("bigcodebench")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["install", "nothing"], "no requirements for 'nothing' .it does for bigcodebench"),
        (["install", "x", "--requirements", "/nowhere.txt"], "there is no file /nowhere.txt"),
        (["install", "../x"], "is no name of an environment|no requirements"),
        (["remove", "nothing"], "no environment 'nothing' is installed"),
    ],
)
def test_what_cannot_be_done_is_said(arguments: list[str], said: str) -> None:
    done = CliRunner().invoke(command, arguments)
    assert isinstance(done.exception, OlmesError)
    assert re.search(said, str(done.exception))
