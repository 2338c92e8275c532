"""Processes that wait for each other: answers, arrivals, and who is missing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.trainers.launching import free_port

SCRIPT = """
import os, sys, time
from pathlib import Path
from olmes.errors import OlmesError
from olmes.trainers.together import processes as p

LIMIT = float(sys.argv[2])

def body(case):
    assert p.told("a number", lambda: os.getpid() if p.rank() == 0 else 1 / 0) > 1
    assert p.gathered("ranks", p.rank()) == [0, 1]
    for _ in range(50):
        p.meet("again")
    if case == "busy":
        assert p.told("the data", lambda: (time.sleep(LIMIT + 2), 7)[1]) == 7
    if case == "suspended":
        print("trains", flush=True)
        time.sleep(LIMIT + 3)
    if case == "refused":
        def refuse():
            raise OlmesError("the folder is taken.")
        p.told("the folder", refuse)
    if case == "fails" and p.rank() == 1:
        raise ValueError("no more memory")
    if case == "dies" and p.rank() == 1:
        os._exit(9)
    if case == "first dies" and p.rank() == 0:
        os._exit(9)
    if case == "differs":
        p.same_everywhere("the data", p.rank(), "have the same files")
    if case == "unseen":
        from olmes.trainers import train
        train.SEEN_WITHIN = 0.5
        train.check_shared(Path("out"))
    p.meet("the end")

try:
    with p.together(LIMIT / 60):
        body(sys.argv[1])
    print("good")
except OlmesError as error:
    print(f"refused: {error}")
    sys.exit(2)
"""


def launched(case: str, folder: Path, limit: float) -> list[subprocess.Popen[str]]:
    """Both ranks, each in a folder of its own, with a limit of so many seconds."""
    port = free_port()
    started = []
    for rank in range(2):
        own = folder / f"machine-{rank}"
        own.mkdir()
        env = {
            **os.environ, "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2",
            "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }  # fmt: skip
        started.append(
            subprocess.Popen(
                [sys.executable, "-c", SCRIPT, case, str(limit)], cwd=own, env=env, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )
        )  # fmt: skip
    return started


def run(case: str, folder: Path, limit: float = 3.0) -> tuple[list[int], list[str]]:
    """Both ranks' exit statuses and output."""
    started = launched(case, folder, limit)
    texts = [one.communicate(timeout=60)[0] for one in started]
    return [one.returncode for one in started], texts


def test_a_busy_first_process_is_waited_for_beyond_the_limit(tmp_path: Path) -> None:
    # A limit that no stall of a busy machine reaches.
    statuses, texts = run("busy", tmp_path, limit=10)
    assert statuses == [0, 0], texts
    assert "waits for rank 0" in texts[1]
    assert ": the data (" in texts[1]


@pytest.mark.slow
def test_processes_that_a_scheduler_suspends_go_on_where_it_wakes_them(tmp_path: Path) -> None:
    started = launched("suspended", tmp_path, 3)
    for one in started:
        assert one.stdout is not None
        assert one.stdout.readline() == "trains\n"
    for sent in (signal.SIGSTOP, signal.SIGCONT):
        for one in started:
            one.send_signal(sent)
        if sent == signal.SIGSTOP:
            time.sleep(5)
    texts = [one.communicate(timeout=60)[0] for one in started]
    assert [one.returncode for one in started] == [0, 0], texts


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "first", "second"),
    [
        ("refused", "refused: the folder is taken.", "refused: the folder is taken."),
        ("fails", "has ended: ValueError: no more memory", "ValueError: no more memory"),
        ("dies", "has shown no sign of life for", ""),
        ("first dies", "", "the first process, or what launched it, has ended"),
        ("differs", "the data of rank 1 (host", "the data of rank 1 (host"),
        ("unseen", "rank 1 (host", "put --out on a file system that all machines share"),
    ],
)
def test_whoever_is_missing_is_named(tmp_path: Path, case: str, first: str, second: str) -> None:
    statuses, texts = run(case, tmp_path)
    assert all(statuses), texts
    assert first in texts[0]
    assert second in texts[1]
    assert "frame #" not in "".join(texts)


def test_a_cluster_that_sets_ranks_for_other_things_makes_no_group(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from olmes.trainers.together.processes import is_first, told, world_size

    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert world_size() == 1
    assert is_first()
    assert told("anything", lambda: 5) == 5
