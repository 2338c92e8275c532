"""Locks that end with the process that holds them, however it ends.

Not `filelock`: it opens the lock's path by itself, its 3.x versions truncate that file, and on Windows
it deletes the file on release. The journal and the ledger are locked themselves, by the stream they
are written through; a lock file of their own would be one more file on disk. Where the file system
refuses such locks, a file that names the owner stands in for them (`olmes.tools.owner_files`).
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from olmes.tools import owner_files
from olmes.tools.notices import say_once
from olmes.tools.owner_files import OwnerFile

HELD = frozenset({errno.EWOULDBLOCK, errno.EAGAIN})
if os.name == "nt":
    HELD |= {errno.EACCES, errno.EDEADLK}
"""What the system says where another process holds the lock; nothing else means that."""
OURS = frozenset({errno.EBADF})
"""What it says of a stream that is closed."""
POLL = 0.05
PATIENCE = 10.0
"""Seconds of waiting for an owner file after which that is said."""


TAKEN: weakref.WeakSet[Lock] = weakref.WeakSet()
"""Locks that this process has taken."""


class HeldError(Exception):
    """Another stream or process holds the lock."""


class UnsupportedError(Exception):
    """The file system has no locks; the message is the system's."""


class Lock:
    """An exclusive lock on a file, until `release`, the end of its stream, or of the process."""

    def __init__(self, path: Path, stream: BinaryIO, owner: OwnerFile | None) -> None:
        self.path, self.stream, self.owner = path, stream, owner

    @classmethod
    def on(cls, stream: BinaryIO, path: Path, *, wait: bool = False) -> Lock:
        """The lock of an open file.

        Args:
            stream: the file.
            path: where it is.
            wait: whether to wait for another holder (on Windows for ten seconds at most).

        Raises:
            HeldError: another stream holds it.
            OSError: the file system has no locks, and its folder cannot be written.
        """
        try:
            system_lock(stream, wait=wait)
        except UnsupportedError as error:
            say_once(
                f"the file system of {path.parent.absolute()} has no locks ({error}); files named "
                f"*{owner_files.SUFFIX} stand in for them."
            )
            return cls(path, stream, owner_of(path, wait=wait))
        return cls(path, stream, None)

    @classmethod
    def take(cls, path: Path) -> Lock | None:
        """The lock; None where it is held already, in this process or elsewhere.

        Raises:
            OSError: its folder cannot be written.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("a+b")
        try:
            lock = cls.on(stream, path)
            TAKEN.add(lock)
            return lock
        except HeldError:
            stream.close()
            return None
        except BaseException:
            stream.close()
            raise

    def unlock(self) -> None:
        """Give the lock up and leave the file open."""
        if self.owner is not None:
            self.owner.release()
        elif os.name != "nt":  # there it ends with the stream
            import fcntl

            fcntl.flock(self.stream, fcntl.LOCK_UN)

    def release(self) -> None:
        """Give the lock up and close the file."""
        if self.owner is not None:
            self.owner.release()
        self.stream.close()


def leave_to_parent() -> None:
    """Close the locks of the process this one was forked from, which would else not end with it."""
    for lock in list(TAKEN):
        lock.stream.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=leave_to_parent)


def system_lock(stream: BinaryIO, *, wait: bool) -> None:
    """Take the system's own lock on an open file.

    Raises:
        HeldError: another stream holds it.
        UnsupportedError: the file system has none.
    """
    try:
        if os.name == "nt":
            import msvcrt

            mode = msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK  # type: ignore[attr-defined]
            msvcrt.locking(stream.fileno(), mode, 1)  # type: ignore[attr-defined]
            return
        import fcntl

        fcntl.flock(stream, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in HELD:
            raise HeldError from None
        if error.errno in OURS:
            raise
        # ENOSYS, ENOLCK, ENOTSUP, the kernel's 524 and whatever else a file system says.
        raise UnsupportedError(error.strerror or f"error {error.errno}") from None


def owner_of(path: Path, *, wait: bool) -> OwnerFile:
    """The owner file of a path, made now.

    Raises:
        HeldError: another process has it, and that is not waited for.
        OSError: its folder cannot be written.
    """
    began = time.monotonic()
    while (found := owner_files.take(path)) is None:
        if not wait:
            raise HeldError
        if time.monotonic() - began > PATIENCE:
            say_once(
                f"{path} is in use by the process that {path.name}{owner_files.SUFFIX} names; "
                "waiting for it."
            )
        time.sleep(POLL)
    return found


@contextlib.contextmanager
def locked(stream: BinaryIO, path: Path) -> Iterator[None]:
    """Hold the lock of an open file, waiting for other writers.

    Raises:
        OSError: as `Lock.on`.
    """
    lock = Lock.on(stream, path, wait=True)
    try:
        yield
    finally:
        lock.unlock()


def held(path: Path) -> bool:
    """Whether a process has locked a file."""
    if not path.exists():
        return False
    with path.open("a+b") as stream:
        try:
            system_lock(stream, wait=False)
        except HeldError:
            return True
        except UnsupportedError:
            return owner_files.held(path)
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
        path.with_name(path.name + owner_files.SUFFIX).unlink(missing_ok=True)
    return False
