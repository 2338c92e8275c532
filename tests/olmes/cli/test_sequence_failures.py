"""A callback, a model's files, a page or a terminal that fails stops no sequence of runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from olmes.requests.callbacks import RunCallback
from olmes.runs.evaluation import Evaluation
from olmes.runs.options import RunOptions
from olmes.sequence import Member, run_sequence
from tests.olmes.cli.echo_runs import ECHO, make_recordings, options, run


@pytest.fixture
def recordings(tmp_path: Path) -> list[str]:
    """Two recordings of the echo task."""
    return make_recordings(tmp_path)


class Broken(RunCallback):
    """A user's callback that fails at one event; counts what it still hears."""

    def __init__(self, event: str) -> None:
        self.heard: list[str] = []
        self.event = event
        for name in ("started", "answered", "scoring", "ended"):
            setattr(self, name, lambda *_, name=name: self.hear(name))

    def hear(self, name: str) -> None:
        self.heard.append(name)
        if name == self.event:
            raise RuntimeError("my own fault")


@pytest.mark.parametrize("event", ["started", "answered", "scoring", "ended"])
def test_a_callback_that_raises_stops_nothing(
    event: str, recordings: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    callbacks: list[Broken] = []

    def callback() -> RunCallback:
        if len(callbacks) == 1:
            callbacks.append(Broken("none"))
            raise RuntimeError("there is no second one")
        callbacks.append(Broken(event))
        return callbacks[-1]

    def ended(member: Member) -> None:
        raise OSError(28, "no room for my notes")

    made = RunOptions(data=(tmp_path / "data",), out=tmp_path / "runs", scoring_processes=1)
    evaluation = Evaluation.of(str(ECHO), made)
    members = run_sequence(recordings, evaluation, callback=callback, ended=ended)
    assert [member.complete for member in members] == [True, True]
    first = callbacks[0]
    assert first.heard.count(event) == 1
    assert first.heard[-1] == "ended"
    err = capfd.readouterr().err
    assert "my own fault" in err or event != "started"  # each sentence is said once a process
    assert "Traceback" not in err


def test_one_models_files_do_not_stop_the_others(recordings: list[str], tmp_path: Path) -> None:
    bad = tmp_path / "broken.jsonl"
    bad.write_text('{"doc_id": 0, "response": 5}\n[')
    folder = tmp_path / "checkpoint-1"
    folder.mkdir()
    (folder / "config.json").write_text("[" * 100_000)
    models = [f"replay:{bad}", str(folder), *recordings]
    made = RunOptions(data=(tmp_path / "data",), out=tmp_path / "runs", scoring_processes=1)
    members = run_sequence(models, Evaluation.of(str(ECHO), made))
    assert [member.complete for member in members] == [False, False, True, True]
    assert all(member.trouble for member in members[:2])


def test_a_page_that_cannot_be_written_is_said(
    recordings: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, recordings[0]) == 0
    [page] = (tmp_path / "runs").glob("*/report.html")
    page.unlink()
    page.mkdir()  # nobody, not even root, can write a file there
    capfd.readouterr()
    for models in (recordings[:1], recordings):
        assert run(tmp_path, *models) == 1
        out, err = capfd.readouterr()
        assert f"{page} could not be written" in err
        assert f"olmes report {page.parent}" in err
        assert "100.0" in out
    assert len(list((tmp_path / "runs").glob("*/run.json"))) == 2


@pytest.mark.parametrize("closed", ["stderr", pytest.param("stdout", marks=pytest.mark.slow)])
def test_a_closed_terminal_ends_no_sequence(
    closed: str, recordings: list[str], tmp_path: Path
) -> None:
    read, write = os.pipe()
    os.close(read)
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    streams[closed] = write
    ended = subprocess.run(
        [sys.executable, "-m", "olmes", "run", *options(tmp_path, *recordings)],
        timeout=300, check=False, **streams,
    )  # fmt: skip
    os.close(write)
    assert len(list((tmp_path / "runs").glob("*/run.json"))) == 2
    assert b"Traceback" not in (ended.stderr or b"")
    if closed == "stderr":
        assert ended.returncode == 0
