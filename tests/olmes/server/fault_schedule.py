"""Faults that strike a results server at random, each real and each with its time, and what is excused.

A fault excuses answers 503 and 507, and connections that end, from its beginning until shortly after
its end; a 500 is never excused, and slow clients and forged ledgers excuse nothing.
"""

from __future__ import annotations

import contextlib
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from tests.olmes.server.conftest import Running
    from tests.olmes.server.shifted_clock import Clock

GRACE = 20.0
"""Seconds after a fault for which its answers are still excused: requests wait, processes start."""
EXCUSED = (503, 507)
ROOM = "8g"
"""Of the disk of its own, while it is not full; memory is taken for what is in it."""


class Disk:
    """A folder whose disk can be filled: a tmpfs of its own, or else a limit on the size of files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", folder], capture_output=True,
            check=False,
        )  # fmt: skip
        self.own = mounted.returncode == 0
        if not self.own:
            print("no right to mount: a full disk is a limit on the size of files")

    @contextlib.contextmanager
    def full(self, process: int) -> Iterator[None]:
        """No room, not for another block."""
        try:
            if self.own:
                self.fill()
            else:
                self.limit(process, 16 << 10)
            yield
        finally:
            if self.own:
                self.resize(ROOM)
            else:
                self.limit(process, resource.RLIM_INFINITY)

    def fill(self) -> None:
        """Make the disk as small as what is on it, which may grow meanwhile."""
        for tries in range(50):
            with contextlib.suppress(subprocess.CalledProcessError):
                self.resize(str(shutil.disk_usage(self.folder).used + (tries << 14)))
                return
        raise AssertionError("the disk could not be filled")

    def resize(self, size: str) -> None:
        subprocess.run(
            ["mount", "-o", f"remount,size={size}", self.folder], check=True, capture_output=True
        )

    @staticmethod
    def limit(process: int, size: int) -> None:
        for one in [process, *children(process)]:
            with contextlib.suppress(ProcessLookupError):
                hard = resource.prlimit(one, resource.RLIMIT_FSIZE)[1]
                resource.prlimit(one, resource.RLIMIT_FSIZE, (size, hard))

    def close(self) -> None:
        if self.own:
            subprocess.run(["umount", "-l", self.folder], check=True)


@dataclass
class Windows:
    """When a fault was, and what was answered at other times."""

    spans: list[list[Any]] = field(default_factory=list)
    """Beginning, end (None while it lasts) and kind, by `time.monotonic`."""
    wrong: list[str] = field(default_factory=list)
    """What no fault excuses."""
    counts: dict[str, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @contextlib.contextmanager
    def fault(self, kind: str) -> Iterator[None]:
        span: list[Any] = [time.monotonic(), None, kind]
        self.spans.append(span)
        try:
            yield
        finally:
            span[1] = time.monotonic()

    def excused(self, began: float) -> bool:
        """Whether a fault fell between a moment and now, or not long before."""
        return any(end is None or began < end + GRACE for _, end, _ in self.spans)

    def answered(self, what: str, began: float, status: int, body: str = "") -> None:
        """Note an answer; 0 stands for a connection that ended without one."""
        with self.lock:
            self.counts[str(status)] = self.counts.get(str(status), 0) + 1
            bad = status >= 500 and status not in EXCUSED
            if bad or ((status in EXCUSED or status == 0) and not self.excused(began)):
                self.wrong.append(f"{what}: {status} {body[:300]}")


class Faults:
    """Strikes a server, one fault after another, from a seed."""

    def __init__(
        self, running: Running, windows: Windows, disk: Disk, clock: Clock, chance: random.Random,
        restart_database: Callable[[], None] | None,
    ) -> None:  # fmt: skip
        self.running, self.windows, self.disk, self.clock = running, windows, disk, clock
        self.chance, self.restart_database = chance, restart_database
        self.struck: list[str] = []
        self.serving = threading.Lock()
        """Held while the server is being started: its memory is not looked at then."""
        self.kinds: list[Callable[[], None]] = [self.kill, self.kill_worker, self.fill, self.lock]
        if restart_database:
            self.kinds.append(self.restart)
        if clock.environment:
            self.kinds.append(self.step)

    def strike(self) -> None:
        """One fault, with a line that says which."""
        # Each kind once before any comes again.
        left = [one for one in self.kinds if one.__name__ not in self.struck] or self.kinds
        kind = self.chance.choice(left)
        print(f"{time.strftime('%H:%M:%S')} {kind.__name__}", flush=True)
        self.struck.append(kind.__name__)
        kind()

    def kill(self) -> None:
        with self.windows.fault("kill"), self.serving:
            self.running.kill()
            time.sleep(self.chance.uniform(0, 3))
            self.running.start()

    def kill_worker(self) -> None:
        with self.windows.fault("kill_worker"):
            for process in workers(self.running.process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)

    def fill(self) -> None:
        with self.windows.fault("fill"), self.disk.full(self.running.process.pid):
            time.sleep(self.chance.uniform(2, 8))

    def lock(self) -> None:
        """Another program has the database for itself; now and then for longer than anybody waits."""
        seconds = 75.0 if self.chance.random() < 0.1 else self.chance.uniform(2, 15)
        with self.windows.fault("lock"):
            if "://" in self.running.store:
                import psycopg

                address = self.running.store.replace("+psycopg", "")
                with psycopg.connect(address) as connection:
                    connection.execute("LOCK TABLE runs IN ACCESS EXCLUSIVE MODE")
                    time.sleep(seconds)
                return
            path = Path(self.running.store) / "olmes.db"
            with closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                time.sleep(seconds)

    def restart(self) -> None:
        assert self.restart_database
        with self.windows.fault("restart"):
            self.restart_database()

    def step(self) -> None:
        """Seconds to years, there and, as often, back."""
        day = 86_400
        self.clock.step(self.chance.choice([0, 0, 0, -1, 30, -3600, 3600, 2 * day, -400 * day]))


def workers(server: int) -> list[int]:
    """Its worker processes, without the one that only tidies up behind them."""
    found = []
    for process in children(server):
        with contextlib.suppress(OSError):
            if b"spawn_main" in Path(f"/proc/{process}/cmdline").read_bytes():
                found.append(process)
    return found


def children(process: int) -> list[int]:
    """The processes below a process."""
    with contextlib.suppress(psutil.Error):
        return [one.pid for one in psutil.Process(process).children(recursive=True)]
    return []


def memory(server: int) -> float:
    """Megabytes of a server and its processes; what they share is counted once."""
    total = 0
    for process in [server, *children(server)]:
        with contextlib.suppress(psutil.Error):
            total += psutil.Process(process).memory_full_info().pss
    return total / 1e6


class MemoryWatch(threading.Thread):
    """The most memory the server and its workers had, looked at once a second."""

    def __init__(self, running: Running, serving: threading.Lock, over: threading.Event) -> None:
        super().__init__(daemon=True)
        self.running, self.serving, self.over = running, serving, over
        self.most = 0.0

    def run(self) -> None:
        while not self.over.wait(1.0):
            with self.serving, contextlib.suppress(OSError):
                self.most = max(self.most, memory(self.running.process.pid))
