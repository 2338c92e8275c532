"""What a run costs is counted once, wherever the run was stopped."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from olmes import Record, evaluate
from olmes.cli.cost import cost_line
from olmes.models.replay import ReplayModel
from olmes.records.check import run_record
from olmes.records.schema import Cost
from olmes.reports.cost import run_cost
from olmes.requests.callbacks import RunCallback
from olmes.runs.cost import FILE_NAME, summed
from tests.factories import lasting, run_json, with_fields
from tests.known import known

if TYPE_CHECKING:
    from olmes.models.base import Done
    from olmes.types import Request, Response
    from tests.olmes.conftest import EchoBench


def run(echo: EchoBench, out: Path, **options: Any) -> Record:
    return evaluate(
        str(echo.task), model=f"replay:{echo.recording}", data=echo.data, out=out, scoring_processes=1,
        **options,
    )  # fmt: skip


def test_a_record_says_what_it_cost(echo: EchoBench, tmp_path: Path) -> None:
    record = run(echo, tmp_path / "runs")
    cost = known(record.run.cost)
    assert cost.sessions == 1
    assert cost.requests == 12
    assert cost.decode_tokens == 12  # one a recorded response
    assert cost.shared_tokens is None  # a recording does not know
    assert 0 <= cost.model_s <= cost.wall_s
    assert cost.idle_s == pytest.approx(cost.wall_s - cost.model_s - cost.load_s, abs=0.002)
    assert cost.scoring_cpu_s > 0
    assert known(cost.peak_rss_bytes) > 10_000_000
    assert cost.gpu_s == 0
    assert "cost" not in lasting(record)
    assert not (record.folder / FILE_NAME).exists()
    assert "12 requests" in cost_line(record)
    assert ("Requests to the model", "12") in run_cost(record.run).computed


class Stopped(RunCallback):
    """Stops a run after some responses."""

    def __init__(self, after: int) -> None:
        self.left = after

    def answered(self, *_: object) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def test_a_run_that_was_stopped_costs_the_sum_of_its_sessions(
    echo: EchoBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate = ReplayModel.generate

    def slow(self: ReplayModel, requests: Sequence[Request], done: Done) -> None:
        def late(index: int, response: Response) -> None:
            time.sleep(0.01)
            done(index, response)

        generate(self, requests, late)

    monkeypatch.setattr(ReplayModel, "generate", slow)
    undisturbed = run(echo, tmp_path / "whole")
    for after in (5, 4):
        with pytest.raises(KeyboardInterrupt):
            run(echo, tmp_path / "runs", callback=Stopped(after))
    record = run(echo, tmp_path / "runs")
    cost = known(record.run.cost)
    assert cost.sessions == 3
    assert cost.requests == 12
    assert cost.decode_tokens == 12
    assert cost.model_s >= 0.12  # the sleeps of all sessions
    assert lasting(record) == lasting(undisturbed)


SCRIPT = """
import sys, time
import olmes.runs.cost
from olmes import evaluate
from olmes.models.replay import ReplayModel

olmes.runs.cost.SAVE_SECONDS = 0.0
fast = ReplayModel.generate
def slow(self, requests, done):
    def late(index, response):
        time.sleep(0.02)
        done(index, response)
    fast(self, requests, late)
ReplayModel.generate = slow
task, model, data, out = sys.argv[1:]
evaluate(task, model=model, data=data, out=out, scoring_processes=1)
"""


def test_a_killed_session_is_counted(echo: EchoBench, tmp_path: Path) -> None:
    words = [f"word{i}" for i in range(200)]
    (echo.data / "echo/test.jsonl").write_text(
        "".join(json.dumps({"word": word}) + "\n" for word in words), "utf-8"
    )
    echo.record([{"response": w, "doc_id": i, "tokens": 1} for i, w in enumerate(words)])
    command = [
        sys.executable, "-c", SCRIPT,
        str(echo.task), f"replay:{echo.recording}", str(echo.data), str(tmp_path / "runs"),
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (written := next((tmp_path / "runs").glob(f"*/{FILE_NAME}"), None)):
        assert process.poll() is None, "the run ended by itself"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = msgspec.json.decode(written.read_bytes(), type=Cost)
    journaled = (written.parent / "journal.jsonl").read_bytes().count(b"\n")
    assert 0 < before.requests <= journaled < len(words)
    cost = known(run(echo, tmp_path / "runs").run.cost)
    assert cost.sessions == 2
    # The last response before the kill may be in the journal and not yet in the sum.
    assert 0 <= len(words) - cost.requests <= journaled - before.requests <= 1
    assert cost.model_s > before.model_s


def test_sums() -> None:
    one = Cost(sessions=1, requests=2, shared_tokens=5, model_s=1.5, peak_rss_bytes=7)
    two = Cost(sessions=1, requests=1, shared_tokens=None, model_s=0.5, peak_rss_bytes=9)
    assert summed(one, two).shared_tokens is None
    assert (
        summed(one, Cost(sessions=1)).shared_tokens == 5
    )  # a session that asked nothing knows it all
    assert summed(Cost(), one).shared_tokens == 5
    assert summed(one, two).peak_rss_bytes == 9
    assert summed(one, two).model_s == 2.0
    assert run_record(run_json(cost=msgspec.to_builtins(one))).cost == one


def test_an_older_record_says_nothing(echo: EchoBench, tmp_path: Path) -> None:
    record = with_fields(run(echo, tmp_path / "runs"), {"cost": None})
    assert cost_line(record) == ""
    assert run_cost(record.run).computed == ()
