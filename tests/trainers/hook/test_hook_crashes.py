"""SIGKILL while a checkpoint is saved, while one is scored, and while a model generates.

`OLMES_KILLS` sets how often each; docs/checkpoints.md has the outcome of ten.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from olmes.trainers.checkpoints.queue import Queue
from tests.known import known

if TYPE_CHECKING:
    from tests.trainers.hook.conftest import Lab

KILLS = int(os.environ.get("OLMES_KILLS", "3"))
pytestmark = pytest.mark.slow


def fingerprints(lab: Lab) -> dict[int, str]:
    return {row["step"]: row["fingerprint"] for row in lab.scores()}


def check_whole(lab: Lab, steps: list[int]) -> None:
    """Every checkpoint is scored, none twice, and no record is of half a checkpoint."""
    rows = lab.scores()
    assert [row["step"] for row in rows] == steps
    assert all(row["state"] == "done" and row["complete"] for row in rows), rows
    records = lab.records()
    assert sorted(one["id"] for one in records) == sorted(row["record"] for row in rows)
    assert not list(lab.runs.glob("*/journal.jsonl"))
    assert all(one["tasks"]["echo"]["metrics"]["exact_match"]["n"] == 12 for one in records)


def kill_when(process: subprocess.Popen[str], there: Callable[[], bool], delay: float) -> bool:
    """SIGKILL a process once something is there; False where it ended before."""
    while process.poll() is None:
        if there():
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
            process.wait()
            return True
        time.sleep(0.0005)
    return False


def half_saved(lab: Lab) -> list[str]:
    """Checkpoints that are being written at this moment."""
    return [
        folder.name
        for folder in lab.output_dir.glob("checkpoint-*")
        if not (folder / "trainer_state.json").exists()
    ]


def test_killed_while_it_saves(lab: Lab, tmp_path: Path) -> None:
    count = 4 + KILLS
    hook = lab.hook(keep="none")
    dice = random.Random(1)
    stale: set[str] = set()
    halves = 0
    for _ in range(KILLS):
        process = lab.start(count, 1, hook, RESUME="1")

        def saving(stale: frozenset[str] = frozenset(stale)) -> bool:
            return any(name not in stale for name in half_saved(lab))

        assert kill_when(process, saving, dice.random() * 0.03)
        known(process.stdout).close()
        stale = set(half_saved(lab))
        halves += bool(stale)
    print(f"{KILLS} kills, {halves} left half a checkpoint")
    lab.train(count, 1, hook, RESUME="1")
    check_whole(lab, list(range(1, count + 1)))
    # The same training without a kill writes the same weights, so what was scored was whole.
    killed = fingerprints(lab)
    calm = type(lab)(tmp_path / "calm", lab.base, lab.suite, lab.data)
    calm.train(count, 1, calm.hook(keep="none"))
    assert fingerprints(calm) == killed


def owner_of(lab: Lab) -> int | None:
    """The process that scores at this moment."""
    if not (lab.training / "queue.sqlite").exists():
        return None
    running = Queue(lab.training).jobs("state = 'running'")
    return int(running[0].owner.split("@")[0]) if running else None


def kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def test_killed_while_it_scores(lab: Lab) -> None:
    """Just after a job is taken (imports, loading), when answers begin, when a record is written."""
    dice = random.Random(2)
    count = KILLS + 4
    process = lab.start(count, 1, lab.hook(keep="none"))
    killed: list[str] = []
    spared: int | None = None
    while process.poll() is None and len(killed) < KILLS:
        pid = owner_of(lab)
        if pid is None or pid == spared:
            time.sleep(0.005)
            continue
        moment, delay = list(MOMENTS.items())[len(killed) % 3]
        before = MARKS[moment](lab)
        deadline = time.time() + 60
        while MARKS[moment](lab) <= before and time.time() < deadline and process.poll() is None:
            time.sleep(0.002)
        time.sleep(dice.random() * delay)
        if kill(pid):
            killed.append(moment)
            spared = pid
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed
    print(f"killed at {killed}")
    assert len(killed) == KILLS
    check_whole(lab, list(range(1, count + 1)))


MOMENTS = {"taken": 3.0, "answering": 0.05, "recorded": 0.02}
"""When a scoring process is killed, and how many seconds later at the most."""
MARKS: dict[str, Callable[[Lab], float]] = {
    "taken": lambda lab: time.time(),
    "answering": lambda lab: len(list(lab.runs.glob("out-*"))),
    "recorded": lambda lab: len(list(lab.runs.glob("*/samples/*.jsonl"))),
}


def lines(path: Path) -> int:
    try:
        return path.read_bytes().count(b"\n")
    except OSError:
        return 0


def test_killed_while_it_generates(lab: Lab) -> None:
    """Between the first response and the last; what is answered is not asked again."""
    hook = lab.hook(keep="none", settings={"echo.max_tokens": 100}, batch_size=1)
    count = KILLS + 2
    process = lab.start(count, 1, hook)
    killed = 0
    answered: dict[str, list[bytes]] = {}
    dice = random.Random(3)
    more = 2
    while process.poll() is None and killed < KILLS:
        for journal in lab.runs.glob("*/journal.jsonl"):
            found = lines(journal)
            known = len(answered.get(journal.parent.name, []))
            pid = owner_of(lab)
            if known + more <= found < 12 and pid is not None and kill(pid):
                killed += 1
                more = dice.randint(1, 6)
                time.sleep(0.2)
                kept = journal.read_bytes().splitlines(keepends=True)
                kept = [line for line in kept if line.endswith(b"\n")]
                # A journal is only ever added to: what was answered before the kill stands.
                assert kept[:known] == answered.get(journal.parent.name, [])
                answered[journal.parent.name] = kept
        time.sleep(0.005)
    printed, _ = process.communicate(timeout=240)
    assert process.returncode == 0, printed
    assert killed == KILLS
    check_whole(lab, list(range(1, count + 1)))
    print(f"{KILLS} kills after {[len(kept) for kept in answered.values()]} of 12 responses")
