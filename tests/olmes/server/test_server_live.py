"""Runs that tell a server how far they are, and push themselves."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from olmes import OlmesError, evaluate
from olmes.client.client import AnswerError, Client
from olmes.client.live import LiveProgress, push_record
from olmes.client.types import Event
from olmes.requests.callbacks import CallbackList, RunCallback

if TYPE_CHECKING:
    from olmes.records.record import Record
    from olmes.requests.dispatch import Origin
    from olmes.types import Response
    from tests.olmes.server.conftest import Running

ECHO = Path(__file__).parents[1] / "files/echo_task.py"


class Slow(RunCallback):
    """Gives a run of recorded answers the time that a model would take."""

    def answered(self, task: str, response: Response, origin: Origin) -> None:
        time.sleep(0.1)


def slow_run(bench: Path, out: Path, live: LiveProgress) -> Record:
    return evaluate(
        str(ECHO), model=f"replay:{bench / 'recording.jsonl'}", data=bench, out=out,
        scoring_processes=1,
        callback=CallbackList(live, Slow()), use_cache=False,
    )  # fmt: skip


def test_a_run_is_seen_while_it_goes_on_and_is_there_afterwards(
    launch: Callable[..., Running], bench: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = launch()
    monkeypatch.setattr("olmes.client.live.INTERVAL", 0.1)
    heard: list[Event] = []

    def listen() -> None:
        with Client(running.url) as client:
            for event in client.events():
                heard.append(event)
                if event[0] == "run":
                    return

    listener = threading.Thread(target=listen)
    listener.start()
    with Client(running.url) as client:
        while "olmes_listeners 1.0" not in client.session.get(f"{running.url}/metrics").text:
            time.sleep(0.05)
    record = slow_run(bench, tmp_path / "runs", LiveProgress(running.url, say=pytest.fail))
    pushed = push_record(record.folder, running.url, say=pytest.fail)
    listener.join(30)
    assert pushed.new
    told = [event[1] for event in heard if event[0] == "progress"]
    assert all((one["run"], one["total"]) == (record.id, 12) for one in told)
    assert [one["done"] for one in told] == sorted(one["done"] for one in told)
    assert any(0 < one["done"] < 12 and one["task"] == "echo" for one in told)
    assert any(one["score"].startswith("100.0 so far (n = ") for one in told)
    assert any("s left" in one["pace"] for one in told)
    assert {one["tokens_per_s"] for one in told} == {None}  # recorded
    assert [one["finished"] for one in told] == [False] * (len(told) - 1) + [True]
    last = heard[-1]
    assert last[0] == "run"
    assert last[1]["id"] == record.id


def test_a_server_that_is_away_neither_ends_nor_holds_up_a_run(
    bench: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("olmes.client.live.INTERVAL", 0.1)
    said: list[str] = []
    began = time.monotonic()
    record = slow_run(bench, tmp_path / "runs", LiveProgress("http://127.0.0.1:9", say=said.append))
    assert record.complete
    assert time.monotonic() - began < 20
    assert len(said) == 1
    assert "not shown live" in said[0]
    with pytest.raises(OlmesError, match=f"olmes push {record.folder} --to http://127.0.0.1:9"):
        push_record(record.folder, "http://127.0.0.1:9", patience=0.2, say=said.append)
    assert "trying for 0.2 seconds" in said[-1]


def test_a_client_gives_up_on_a_server_that_stays_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Busy for seconds, then gone: whoever still asks by then has not given up in time."""
    statuses = [503] * 6 + [404]

    def answer(*given: object, **options: object) -> requests.Response:
        found = requests.Response()
        found.status_code = statuses.pop(0)
        return found

    with Client("http://127.0.0.1:9", patience=0.2) as client:
        monkeypatch.setattr(client.session, "request", answer)
        with pytest.raises(AnswerError) as refused:
            client.running()
    assert refused.value.status == 503
    assert 1 < len(statuses) < 6  # asked again, and not for ever


def test_olmes_run_pushes_to_the_server_it_is_given(
    launch: Callable[..., Running], bench: Path, tmp_path: Path
) -> None:
    running = launch()
    command = [
        sys.executable, "-m", "olmes", "run", "--task", str(ECHO), "--data", str(bench),
        "--model", f"replay:{bench / 'recording.jsonl'}", "--out", str(tmp_path / "runs"),
    ]  # fmt: skip

    def olmes(*options: str, **environment: str) -> str:
        return subprocess.run(
            [*command, *options], env=os.environ | environment, check=True, capture_output=True,
            text=True, timeout=240,
        ).stderr  # fmt: skip

    first = olmes("--push", running.url)
    assert f"live at {running.url}/runs.html" in first
    with Client(running.url) as client:
        [run] = client.runs()
        assert client.running() == []
    assert f"pushed  {running.url}/runs/{run['id']}/report.html" in first
    assert f"present {running.url}/runs/{run['id']}" in olmes(OLMES_SERVER=running.url)
