"""Faults between any two changes of files: a kill, or a disk that is full from there on.

A profile function is told of every call into C. Those that change a file are counted, and at the
n-th the process is killed for real, is refused that one (ENOSPC), or may write no more from there on
(RLIMIT_FSIZE: a full disk that needs no root).
"""

from __future__ import annotations

import errno
import io
import os
import resource
import signal
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Literal

Fault = Literal["kill", "refused", "full", "none"]
FAULTS: tuple[Fault, ...] = ("kill", "refused", "full")
SYSTEM = frozenset({"mkdir", "fsync", "replace", "rename", "unlink", "rmdir", "link", "truncate"})
"""Functions of the system's module."""
FILES = frozenset({"write", "flush", "truncate", "close"})
"""Methods of open files."""


def changes_files(function: Any) -> bool:
    """Whether a call into C changes files, or may."""
    name, owner = getattr(function, "__name__", ""), getattr(function, "__self__", None)
    if name in FILES and isinstance(owner, io.IOBase):
        try:
            return owner.writable() and stat.S_ISREG(os.fstat(owner.fileno()).st_mode)
        except (OSError, ValueError):
            return False
    if name == "execute" and type(owner).__module__ == "sqlite3":
        return True
    return name in SYSTEM and owner is sys.modules[os.name if os.name == "nt" else "posix"]


class Counter:
    """Counts the changes of a process, and does what is asked at one of them."""

    def __init__(self, at: int, fault: Fault) -> None:
        self.at, self.fault, self.count = at, fault, 0

    def __call__(self, frame: FrameType, event: str, function: Any) -> None:
        if event != "c_call" or not changes_files(function):
            return
        self.count += 1
        if self.count != self.at:
            return
        if self.fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.fault == "full":
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        if self.fault == "refused":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def watch(self) -> None:
        """Count from now on, in every thread."""
        threading.setprofile(self)
        sys.setprofile(self)

    def end(self) -> None:
        """Count no more."""
        sys.setprofile(None)
        threading.setprofile(None)


def in_child(work: Callable[[], object], log: Path, *, at: int = 0, fault: Fault = "none") -> int:
    """Do a work in a process of its own, with a fault at its n-th change.

    Returns:
        The changes it made; -1 where it was killed, and -2 where it raised, which `log` then tells.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(reading)
            counter = Counter(at, fault)
            counter.watch()
            try:
                work()
            finally:
                counter.end()
                resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
            os.write(writing, str(counter.count).encode())
            code = 0
        except BaseException:
            import traceback

            log.write_text(traceback.format_exc(), "utf-8")
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        said = stream.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return -1
    return int(said) if os.WEXITSTATUS(status) == 0 else -2
