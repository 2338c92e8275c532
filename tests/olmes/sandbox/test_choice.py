"""Which sandbox is used, what is refused, and that a sandbox that is none is noticed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from olmes import evaluate
from olmes.cli.sandbox import command
from olmes.errors import OlmesError
from olmes.sandbox import choice
from olmes.sandbox.base import Started
from olmes.sandbox.bubblewrap import Bubblewrap
from olmes.sandbox.inside import laid_out
from olmes.sandbox.interpreter import Interpreter, own
from olmes.sandbox.pool import SandboxPool
from olmes.sandbox.program import Execution, Limits, Program

CODE = Path(__file__).parents[1] / "files/code_task.py"
SHARED_NETWORK = ("--share-net",)


@pytest.fixture
def no_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without any."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(choice, "known", {})
    monkeypatch.delenv(choice.VARIABLE, raising=False)


class Leaky(Bubblewrap):
    """Bubblewrap with an option too many."""

    more: tuple[str, ...] = ()

    def namespaces(self) -> list[str]:
        """As bubblewrap, and more."""
        return [*super().namespaces(), *self.more]


class Broken(Bubblewrap):
    """Bubblewrap that does not start."""

    def start(self, interpreter: Interpreter, limits: Limits, folder: Path) -> Started:
        """Refused by bubblewrap itself."""
        return self.launch([str(self.path), "--ro-bind", "/nowhere/at/all", "/", "true"])


def test_bubblewrap_is_chosen_where_it_works(bubblewrap_program: str) -> None:
    assert choice.search("").name == "bubblewrap"
    assert choice.fault(Bubblewrap()) == ""


def test_the_root_of_a_container_has_one_too(bubblewrap_program: str) -> None:
    """Who is root in a namespace that has no other user; guard and program are one user then."""
    asked = [
        "from olmes.sandbox.bubblewrap import Bubblewrap",
        "from olmes.sandbox.choice import fault",
        "print(Bubblewrap().second_user, repr(fault(Bubblewrap())))",
    ]
    alone = ["unshare", "--user", "--map-root-user"]
    if subprocess.run([*alone, "true"], capture_output=True).returncode:
        pytest.skip("needs `unshare --user`")
    done = subprocess.run(
        [*alone, sys.executable, "-c", "\n".join(asked)], capture_output=True, text=True
    )
    assert done.stdout == "False ''\n", done.stderr


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--share-net",), "network"),
        (("--setenv", "TOKEN", "secret"), "its environment is the machine's"),
        (("--ro-bind", "/etc/shadow", "/etc/shadow"), "can read /etc/shadow"),
    ],
)
def test_a_sandbox_that_is_none_is_not_used(
    bubblewrap_program: str, more: tuple[str, ...], said: str
) -> None:
    leaky = Leaky()
    leaky.more = more
    found = choice.fault(leaky)
    if said == "can read /etc/shadow" and not found:
        return  # its program is not root, and may not read it
    assert "does not isolate" in found
    assert said in found


def test_without_a_sandbox_nothing_is_executed(no_sandbox: None, tmp_path: Path) -> None:
    with pytest.raises(OlmesError, match=r"apt install bubblewrap.*docker is not there.*podman"):
        SandboxPool()
    (tmp_path / "data/doubling").mkdir(parents=True)
    (tmp_path / "data/doubling/test.jsonl").write_text('{"number": 1}\n', encoding="ascii")
    recorded = tmp_path / "recorded.jsonl"
    recorded.write_text('{"doc_id": 0, "response": "x"}\n', encoding="ascii")
    with pytest.raises(OlmesError, match="a sandbox alone"):
        evaluate(
            str(CODE), model=f"replay:{recorded}", data=tmp_path / "data", out=tmp_path / "runs"
        )
    assert not (tmp_path / "runs").exists()


def test_an_unknown_sandbox_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(choice.VARIABLE, "chroot")
    with pytest.raises(OlmesError, match="choose one of bubblewrap, docker, podman"):
        choice.chosen()


def test_a_sandbox_that_does_not_start_is_no_result(bubblewrap_program: str) -> None:
    failures: list[BaseException] = []
    told = threading.Event()
    results: list[Execution] = []

    def failed(error: BaseException) -> None:
        failures.append(error)
        told.set()

    pool = SandboxPool(1, sandbox=Broken(), failed=failed)
    pool.submit(Program(source="x = 1"), results.append)
    assert told.wait(60)
    assert "a sandbox did not start" in str(failures[0])
    with pytest.raises(OlmesError, match="a sandbox did not start"):
        pool.submit(Program(source="x = 1"), results.append)
    pool.close()
    assert results == []


def test_closing_ends_what_runs(bubblewrap_program: str) -> None:
    pool = SandboxPool(1)
    pool.submit(Program(source="import time\ntime.sleep(600)", limits=Limits(wall_s=600)), print)
    while not pool.running:
        pass
    pool.close()
    assert not any(thread.is_alive() for thread in pool.threads)


def test_a_missing_environment_is_one_sentence(
    bubblewrap_program: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path))
    pool = SandboxPool(1)
    with pytest.raises(
        OlmesError, match="not installed; install it with `olmes sandbox install big"
    ):
        pool.submit(Program(source="", environment="bigcodebench"), print)
    pool.close()


def test_the_command_says_what_is_used_and_why_the_others_are_not(bubblewrap_program: str) -> None:
    done = CliRunner().invoke(command, ["check", "--json"])
    rows = [json.loads(line) for line in done.output.splitlines()]
    assert [row["sandbox"] for row in rows] == list(choice.KINDS)
    assert (rows[0]["works"], rows[0]["used"], rows[0]["why_not"]) == (True, True, "")
    assert all(row["works"] or row["why_not"] for row in rows)


def test_the_command_fails_where_there_is_none(no_sandbox: None) -> None:
    done = CliRunner().invoke(command, ["check"])
    assert isinstance(done.exception, OlmesError)
    assert "apt install bubblewrap" in done.output


def test_a_sandbox_sees_the_interpreter_and_no_user_folder(bubblewrap_program: str) -> None:
    source = (
        "import os, sys\nprint(sorted(os.listdir('/etc')), [os.path.exists(p) for p in PLACES])"
    )
    places = [
        str(path) for path in (Path.home() / ".bashrc", Path(__file__), Path.home() / ".cache")
    ]
    with laid_out() as folder:
        started = Bubblewrap().start(own(), Limits(), folder)
        found = started.execute(Program(source=f"PLACES = {places!r}\n{source}"))
    assert found.passed, found.output
    assert "[False, False, False]" in found.output
    assert "shadow" not in found.output


def test_an_option_names_the_sandbox_for_one_command(bubblewrap_program: str) -> None:
    done = CliRunner().invoke(command, ["check", "--sandbox", "podman", "--json"])
    assert [json.loads(line)["sandbox"] for line in done.output.splitlines()] == ["podman"]
    assert choice.VARIABLE not in os.environ
