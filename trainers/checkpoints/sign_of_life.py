"""Whether the process that scores is alive: it counts a number up in a file, others watch it.

The lock of a process says that there is one, and a stopped one holds it for ever.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from pathlib import Path

FILE = "scorer.alive"
BEAT = 1.0
"""Seconds between two signs."""


class SignsOfLife(threading.Thread):
    """Gives signs, until this process ends or stops."""

    def __init__(self, folder: Path) -> None:
        super().__init__(name="signs-of-life", daemon=True)
        self.file = folder / FILE
        self.over = threading.Event()
        self.start()

    def run(self) -> None:
        """Count up."""
        count = 0
        while not self.over.wait(BEAT if count else 0):
            count += 1
            with suppress(OSError):  # a full disk ends no scoring by itself
                self.file.write_text(f"{os.getpid()} {count}\n", encoding="utf-8")

    def end(self) -> None:
        """No more signs."""
        self.over.set()


class Sight:
    """What a waiting process sees of the signs; by its own clock, since files may be another's."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / FILE
        self.seen = ""
        self.since = time.monotonic()
        self.silent()

    def silent(self) -> float:
        """Seconds since the last sign, or since this was made."""
        with suppress(OSError):
            now = self.file.read_text("utf-8")
            if now != self.seen:
                self.seen, self.since = now, time.monotonic()
        return time.monotonic() - self.since

    @property
    def process(self) -> str:
        """The number of the process that gave the last sign; empty for none."""
        return self.seen.split(" ")[0]
