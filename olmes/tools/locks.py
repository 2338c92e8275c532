"""Locks that end with the process that holds them, however it ends."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from olmes.requests.journal import lock


class Lock:
    """An exclusive lock on a file; held until `release` or the end of the process."""

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        self.path = path
        self.stream = stream

    @classmethod
    def take(cls, path: Path) -> Lock | None:
        """The lock; None where another holds it, in this process or elsewhere."""
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("a+b")
        try:
            lock(stream.fileno())
        except OSError:
            stream.close()
            return None
        return cls(path, stream)

    def release(self) -> None:
        """Let others have it."""
        self.stream.close()


def held(path: Path) -> bool:
    """Whether some process holds a lock."""
    if not path.exists():
        return False
    if (taken := Lock.take(path)) is None:
        return True
    taken.release()
    return False


class Presence:
    """A sign in a folder that this process is there; it goes with the process.

    A scoring process stays while anybody who brings checkpoints is present.
    """

    def __init__(self, folder: Path) -> None:
        number = 0
        while (taken := Lock.take(folder / f"{os.getpid()}-{number}.lock")) is None:
            number += 1
        self.lock = taken

    def leave(self) -> None:
        """Take the sign away."""
        self.lock.path.unlink(missing_ok=True)
        self.lock.release()


def anybody_in(folder: Path) -> bool:
    """Whether a process is present; signs of dead ones are removed."""
    for path in sorted(folder.glob("*.lock")):
        if held(path):
            return True
        path.unlink(missing_ok=True)
    return False
