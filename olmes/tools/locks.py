"""Locks that end with the process that holds them, however it ends.

Not `filelock`: it opens the lock's path by itself, its 3.x versions truncate that file, and on Windows
it deletes the file on release. The journal and the ledger are locked themselves, by the stream they
are written through; a lock file of their own would be one more file on disk.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


def lock(stream: BinaryIO, *, wait: bool = False) -> None:
    """Take an exclusive lock on an open file; it ends with the stream or the process.

    Args:
        stream: the file.
        wait: whether to wait for another holder (on Windows for ten seconds at most).

    Raises:
        OSError: another stream holds it.
    """
    if os.name == "nt":
        import msvcrt

        mode = msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK  # type: ignore[attr-defined]
        msvcrt.locking(stream.fileno(), mode, 1)  # type: ignore[attr-defined]
        return
    import fcntl

    fcntl.flock(stream, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextlib.contextmanager
def locked(stream: BinaryIO) -> Iterator[None]:
    """Hold an open file's lock, waiting for other writers."""
    lock(stream, wait=True)
    try:
        yield
    finally:
        if os.name != "nt":  # there it ends with the stream
            import fcntl

            fcntl.flock(stream, fcntl.LOCK_UN)


class Lock:
    """An exclusive lock on a file, until `release` or the end of the process."""

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        self.path = path
        self.stream = stream

    @classmethod
    def take(cls, path: Path) -> Lock | None:
        """The lock; None where it is held already, in this process or elsewhere."""
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("a+b")
        try:
            lock(stream)
        except OSError:
            stream.close()
            return None
        return cls(path, stream)

    def release(self) -> None:
        """Give the lock up."""
        self.stream.close()


def held(path: Path) -> bool:
    """Whether a process has locked a file."""
    if not path.exists():
        return False
    if (lock := Lock.take(path)) is None:
        return True
    lock.release()
    return False


class Presence:
    """A sign in a folder that this process is running; it ends with the process.

    A scoring process stays while a process that brings checkpoints is present.
    """

    def __init__(self, folder: Path) -> None:
        number = 0
        while (lock := Lock.take(folder / f"{os.getpid()}-{number}.lock")) is None:
            number += 1
        self.lock = lock

    def leave(self) -> None:
        """Remove the sign."""
        self.lock.path.unlink(missing_ok=True)
        self.lock.release()


def anybody_in(folder: Path) -> bool:
    """Whether a process is present; signs of dead ones are removed."""
    for path in sorted(folder.glob("*.lock")):
        if held(path):
            return True
        path.unlink(missing_ok=True)
    return False
