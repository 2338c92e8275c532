"""Checkpoints whose scores land on a results server, also when it was away at first."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from olmes.cli.watch import command
from olmes.client.client import Client
from olmes.errors import OlmesError
from olmes.trainers.checkpoints.hook import ScoreCheckpoints
from olmes.trainers.checkpoints.manifest import Training
from olmes.trainers.checkpoints.worker import main

if TYPE_CHECKING:
    from tests.trainers.hook.conftest import Lab

START = "from olmes.cli.serve import command; command()"


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[int], str]]:
    """Starts a real server at a port and gives its address."""
    started: list[subprocess.Popen[bytes]] = []

    def start(port: int) -> str:
        with (tmp_path / "server.log").open("wb") as log:
            started.append(
                subprocess.Popen(
                    [sys.executable, "-c", START, "--store", str(tmp_path / "store"), "--no-runs",
                     "--port", str(port)],
                    stdout=log, stderr=log,
                )
            )  # fmt: skip
        url = f"http://127.0.0.1:{port}"
        with Client(url, patience=180) as client:
            assert list(client.runs()) == []
        return url

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_every_checkpoint_of_a_training_lands_on_the_server(
    lab: Lab, serve: Callable[[int], str], port: int
) -> None:
    url = serve(port)
    lab.train(4, 2, lab.hook(push=url))
    with Client(url) as client:
        points = client.checkpoints(lab.output_dir.name)
        assert [(point["step"], point["suite"]) for point in points] == [(2, "mini"), (4, "mini")]
        scored = {row["step"]: row["value"] for row in lab.scores()}
        assert {point["step"]: point["value"] for point in points} == scored
        assert client.running() == []


def test_what_a_server_missed_it_gets_the_next_time(
    lab: Lab, serve: Callable[[int], str], port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("olmes.trainers.checkpoints.worker.PATIENCE", 0.1)
    url = f"http://127.0.0.1:{port}"
    lab.train(2, 2)
    arguments = [
        str(lab.output_dir), "--task", str(lab.task), "--data", str(lab.data), "--out",
        str(lab.runs), "--once", "--interval", "0.1", "--push", url,
    ]  # fmt: skip
    assert command.main(arguments, standalone_mode=False) == 0
    assert [row["state"] for row in lab.scores()] == ["done"]
    log = (lab.training / "scorer.log").read_text("utf-8")
    assert f"--to {url}" in log
    serve(port)
    assert main([str(lab.training), "--drain"]) == 0
    with Client(url) as client:
        assert [run["id"] for run in client.runs()] == [lab.scores()[0]["record"]]


def test_a_watcher_tells_a_training_where_to_push(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.train(2, 2, lab.hook())
    assert Training.read(lab.training).push == ""
    arguments = [
        str(lab.output_dir), "--suite", str(lab.suite), "--data", str(lab.data), "--out",
        str(lab.runs), "--once", "--interval", "0.1",
    ]  # fmt: skip
    monkeypatch.setenv("OLMES_SERVER", "http://127.0.0.1:9")
    command.main(arguments, standalone_mode=False)
    assert Training.read(lab.training).push == "http://127.0.0.1:9"
    text = (lab.training / "training.json").read_text("utf-8")
    # As an olmes without `push` wrote it.
    (lab.training / "training.json").write_text(text.replace('"push"', '"other"'), "utf-8")
    assert Training.read(lab.training).push == ""


def test_what_is_no_address_is_refused_before_the_training() -> None:
    with pytest.raises(OlmesError, match="not the address of a server"):
        ScoreCheckpoints("dev", push="server:8765")
