"""Docker and Podman, which no test machine has: a stand-in takes their place, named `FAKE`.

It answers `info` and `image inspect`, and runs the guard of `run` with this Python, in bubblewrap. So
what is tested is which container is asked for, and that programs go through it; not how a container
isolates.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from olmes.errors import OlmesError
from olmes.sandbox import choice
from olmes.sandbox.containers import Containers
from olmes.sandbox.pool import SandboxPool
from olmes.sandbox.program import Program
from tests.olmes.sandbox.conftest import LIMITS, came_of

FAKE = """#!{python}
import os, sys
words = sys.argv[1:]
with open({asked!r}, "a") as stream:
    stream.write(" ".join(words) + "\\n")
if words[0] != "run":
    sys.exit(0 if {images} or words[0] == "info" else "Error: No such image")
volume = words[words.index("--volume") + 1].split(":")[0]
guard = [word.replace("/olmes/", volume + "/") for word in words[words.index("-P"):]]
command = ["{bwrap}", "--unshare-all", "--die-with-parent", "--uid", "1000", "--gid", "1000",
    "--as-pid-1", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp",
    "--ro-bind", "{prefix}", "{prefix}", "--ro-bind", volume, volume, "--chdir", "/tmp",
    "{python}", *guard]
os.execv(command[0], command)
"""


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bubblewrap_program: str) -> Path:
    """The file that has what `docker` was asked, a line each time."""
    return stand_in(tmp_path, monkeypatch, bubblewrap_program)


def stand_in(
    folder: Path, monkeypatch: pytest.MonkeyPatch, bwrap: str, *, images: bool = True
) -> Path:
    asked = folder / "asked"
    program = folder / "docker"
    made = FAKE.format(
        python=sys.executable, prefix=sys.prefix, asked=str(asked), bwrap=bwrap, images=images
    )
    program.write_text(made, encoding="ascii")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("OLMES_SANDBOX_IMAGE", raising=False)
    monkeypatch.setattr(choice, "known", {})
    return asked


def test_programs_go_through_a_container_each(asked: Path) -> None:
    pool = SandboxPool(1, sandbox=Containers("docker"))
    right = Program(source="def f(): return 1", tests="assert f() == 1", limits=LIMITS)
    wrong = Program(source="def f(): return 2", tests="assert f() == 1", limits=LIMITS)
    ends = Program(source="import os\nos._exit(0)", limits=LIMITS)
    found = came_of(pool, [right, wrong, ends])
    pool.close()
    assert [one.result for one in found] == ["passed", "failed", "failed"]
    runs = [
        line.split() for line in asked.read_text("utf-8").splitlines() if line.startswith("run")
    ]
    assert len(runs) >= 3
    words = runs[0]
    for option, value in (
        ("--network", "none"), ("--cap-drop", "ALL"), ("--security-opt", "no-new-privileges"),
        ("--user", "1000:1000"), ("--pull", "never"), ("--pids-limit", str(LIMITS.processes + 8)),
    ):  # fmt: skip
        assert words[words.index(option) + 1] == value
    assert "--read-only" in words
    names = [run[run.index("--name") + 1] for run in runs]
    assert len(set(names)) == len(names)
    killed = [line for line in asked.read_text("utf-8").splitlines() if line.startswith("kill")]
    assert any(line.split()[1] in names for line in killed)  # the one that waited for a program


def test_a_container_that_shows_the_machine_is_refused(asked: Path) -> None:
    # The stand-in shows all files of the machine, as no container does.
    assert "does not isolate" in choice.fault(Containers("docker"))


def test_an_image_that_is_not_there_is_not_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bubblewrap_program: str
) -> None:
    stand_in(tmp_path, monkeypatch, bubblewrap_program, images=False)
    why = choice.fault(Containers("docker"))
    assert "there is no image python:3.11-slim; fetch it with `docker pull python:3.11-slim`" in why
    monkeypatch.setenv("OLMES_SANDBOX_IMAGE", "mine:1")
    assert "there is no image mine:1" in choice.fault(Containers("docker"))


def test_an_environment_is_an_image_there(asked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OlmesError, match="name an image that has it with OLMES_SANDBOX_IMAGE"):
        Containers("docker").interpreter("bigcodebench")
    monkeypatch.setenv("OLMES_SANDBOX_IMAGE", "bigcodebench/bigcodebench-evaluate")
    Containers("docker").interpreter("bigcodebench")
