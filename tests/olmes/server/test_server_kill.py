"""Killed while runs arrive, many clients at once, told to end: nothing half, nothing twice."""

from __future__ import annotations

import json
import multiprocessing
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from olmes.client.client import Client, files_of
from olmes.tools import jsonl
from olmes.tools.hashing import content_hash, file_sha256

if TYPE_CHECKING:
    from tests.olmes.server.conftest import Running


def push_all(url: str, folders: list[Path], patience: float) -> None:
    """What a client process does."""
    with Client(url, patience=patience) as client:
        for folder in folders:
            client.push(folder)


def hash_of(folder: Path) -> str:
    return content_hash({name: file_sha256(path) for name, path in files_of(folder).items()})


def check_whole(url: str, folders: list[Path]) -> int:
    """Every run that can be seen is whole; how many there are."""
    with Client(url, patience=60) as client:
        expected = {folder.name: hash_of(folder) for folder in folders}
        seen = list(client.runs())
        names = [run["id"] for run in seen]
        assert len(names) == len(set(names))
        for run in seen:
            assert run["content_hash"] == expected[run["id"]]
            folder = next(folder for folder in folders if folder.name == run["id"])
            rows = list(client.samples(run["id"], "echo"))
            assert rows == list(jsonl.read(folder / "samples/echo.jsonl"))
        return len(names)


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_during_uploads(
    launch: Callable[..., Running],
    copy_run: Callable[..., Path],
    store: str,
    kills: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No half run is ever visible, and the clients' retries complete."""
    chance = random.Random(kills)
    folders: list[Path] = []
    running = launch(store)
    over = threading.Event()
    failures: list[BaseException] = []

    def push() -> None:
        """One run after another, for as long as the server is killed: every kill meets an upload."""
        try:
            with Client(running.url, patience=240) as client:
                while not over.is_set():
                    folders.append(copy_run(f"run-{len(folders)}", rows=400, right=300))
                    client.push(folders[-1])
        except BaseException as error:
            failures.append(error)

    def visible() -> int:
        return sum(1 for _ in Client(running.url, patience=60).runs())

    # Small pieces, so that a kill finds files begun.
    monkeypatch.setattr("olmes.client.client.CHUNK", 20_000)
    thread = threading.Thread(target=push)
    thread.start()
    before = 0
    for kill in range(kills):
        # Every other kill waits for a run more: else a slow machine would never get one through.
        deadline = time.monotonic() + 120
        while kill % 2 and visible() == before and time.monotonic() < deadline:
            time.sleep(0.05)
        # Anywhere in an upload of some tens of milliseconds.
        time.sleep(chance.uniform(0.0, 0.4))
        assert not failures
        running.kill()
        running.start()
        before = check_whole(running.url, list(folders))
    over.set()
    thread.join(300)
    assert not failures
    assert not thread.is_alive()
    # One run for each kill that waited is sure; more than that is the machine's luck.
    assert check_whole(running.url, folders) == len(folders) >= kills // 2


@pytest.mark.parametrize(
    ("processes", "count"), [(3, 6), pytest.param(8, 60, marks=pytest.mark.slow)]
)
def test_processes_that_push_the_same_runs_bring_each_once(
    launch: Callable[..., Running],
    copy_run: Callable[..., Path],
    store: str,
    processes: int,
    count: int,
) -> None:
    folders = [copy_run(f"shared-{number}", rows=50, right=20) for number in range(count)]
    running = launch(store)
    context = multiprocessing.get_context("fork")
    workers = []
    for number in range(processes):
        own = folders[:]
        random.Random(number).shuffle(own)
        workers.append(context.Process(target=push_all, args=(running.url, own, 120)))
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(240)
    assert [worker.exitcode for worker in workers] == [0] * processes
    assert check_whole(running.url, folders) == count
    entries = Client(running.url)._call("GET", "/audit", params={"limit": 500})["entries"]
    assert sum(entry["action"] == "run added" for entry in entries) == count
    assert all(entry["action"] == "run added" for entry in entries)


def test_told_to_end_it_finishes_what_it_was_sent(
    launch: Callable[..., Running], copy_run: Callable[..., Path]
) -> None:
    running = launch()
    folder = copy_run("ending", rows=3000, right=1000)
    heard = threading.Thread(
        target=lambda: requests.get(f"{running.url}/api/v1/events", stream=True, timeout=60).content
    )
    heard.start()
    pushing = threading.Thread(target=push_all, args=(running.url, [folder], 60))
    pushing.start()
    time.sleep(0.3)
    running.process.send_signal(signal.SIGTERM)
    # An open stream of events does not hold it up.
    assert running.process.wait(45) == 0
    heard.join(10)
    running.start()
    pushing.join(60)
    assert check_whole(running.url, [folder]) == 1


def test_a_folder_of_runs_is_served_and_watched(
    tmp_path: Path, copy_run: Callable[..., Path], launch: Callable[..., Running]
) -> None:
    runs = tmp_path / "copies"
    copy_run("first")
    work = tmp_path / "folder-server"
    from_folder = launch(str(work / "store"), "--runs", str(runs))
    client = Client(from_folder.url)

    def names() -> list[str]:
        return sorted(run["id"] for run in client.runs())

    def wait(expected: list[str]) -> None:
        deadline = time.monotonic() + 30
        while names() != expected and time.monotonic() < deadline:
            time.sleep(0.1)
        assert names() == expected

    wait(["first"])
    copy_run("second")
    broken = runs / "broken"
    broken.mkdir()
    (broken / "run.json").write_text("{")
    wait(["first", "second"])
    changed = copy_run("first", right=3)
    deadline = time.monotonic() + 30
    value = json.loads((changed / "run.json").read_text())["tasks"]["echo"]["metrics"]
    while time.monotonic() < deadline:
        found = client.run("first")["run"]["tasks"]["echo"]["value"]
        if found == pytest.approx(value["exact_match"]["value"]):
            break
        time.sleep(0.1)
    else:
        pytest.fail("a run that was written anew was not taken in")
