"""Locks for file systems that have none: a file that one process alone can have made (O_EXCL).

`NAME.owner` says which process holds `NAME`: host, process id, start of the process. Whoever finds it
takes it over when that process is gone: on its own host by asking the system, of another host by the
file's time, which its owner renews. Slower than `flock` and no better than the clocks of the file
system, so it is used only where `flock` is refused (Lustre without `-o flock`, NFS without a lock
daemon, some FUSE and autofs mounts).
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import platform
import tempfile
import threading
import time
import uuid
from pathlib import Path

SUFFIX = ".owner"
RENEWED = 20.0
"""Seconds between two renewals of the files this process has."""
STALE = 300.0
"""Seconds without a renewal after which another host's owner counts as dead."""
UNWRITTEN = 10.0
"""Seconds that may pass between making such a file and writing into it."""
MOST_PIDS = 1 << 31
OWN: dict[Path, str] = {}
"""The files this process has, and what it wrote into each."""
RENEWER = threading.Lock()


def take(path: Path) -> OwnerFile | None:
    """Make the owner file of a path; None where a living process has it.

    Raises:
        OSError: the folder cannot be written.
    """
    owner = path.with_name(path.name + SUFFIX).absolute()
    # Once for a dead owner, once for whoever was faster in taking that one away.
    for _ in range(3):
        try:
            handle = os.open(owner, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        except FileExistsError:
            if (found := dead(owner)) is None:
                return None
            take_away(owner, found)
            continue
        text = json.dumps({**myself(), "lock": uuid.uuid4().hex})
        with os.fdopen(handle, "w", encoding="ascii") as stream:
            stream.write(text)
        OWN[owner] = text
        start_renewing()
        return OwnerFile(owner, text)
    return None


def held(path: Path) -> bool:
    """Whether a living process has the owner file of a path."""
    owner = path.with_name(path.name + SUFFIX)
    return owner.exists() and dead(owner) is None


class OwnerFile:
    """A lock that this process holds by its owner file."""

    def __init__(self, path: Path, text: str) -> None:
        self.path, self.text = path, text

    def release(self) -> None:
        """Give the lock up; a process that was forked off does not."""
        if OWN.pop(self.path, None) is not None and read(self.path) == self.text:
            self.path.unlink(missing_ok=True)


def myself() -> dict[str, str | int]:
    """This process, as an owner file names it."""
    return {"host": host(), "pid": os.getpid(), "started": started(os.getpid())}


def host() -> str:
    """The machine, and of a container its process namespace: there the same ids are others."""
    try:
        space = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        space = ""
    return f"{platform.node()} {space}".strip()


def started(pid: int) -> str:
    """When a process began, by which a later one of the same id differs.

    '' where nobody says, and of a dead one that its parent has not taken notice of.
    """
    try:
        # The name in parentheses may hold blanks; the state is the third field, the start the 22nd.
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        return "" if fields[0] in "ZX" else fields[19]
    except (OSError, IndexError):
        return ""


def read(owner: Path) -> str | None:
    """What is in an owner file; None where it is gone."""
    try:
        return owner.read_text("utf-8", "replace")
    except FileNotFoundError:
        return None


def dead(owner: Path) -> str | None:
    """What an owner file says whose process is gone; None where it lives, or may live."""
    text = read(owner)
    if text is None:
        return ""
    try:
        said = json.loads(text)
        pid, begun = int(said["pid"]), str(said["started"])
        at = str(said["host"])
        if not 0 < pid < MOST_PIDS:
            raise ValueError(f"{pid} is no process id")
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return text if age(owner) > UNWRITTEN else None  # its maker may be about to write
    if at == host():
        return None if alive(pid) and started(pid) == begun else text
    return text if age(owner) > STALE else None


def alive(pid: int) -> bool:
    """Whether a process of this machine is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True


def age(path: Path) -> float:
    """Seconds since a file was renewed, by its file system's own clock; 0 where it is gone."""
    try:
        with tempfile.TemporaryFile(dir=path.parent) as fresh:
            return os.fstat(fresh.fileno()).st_mtime - path.stat().st_mtime
    except OSError:
        return 0.0


def take_away(owner: Path, text: str) -> None:
    """Remove a dead owner's file, and not the one that another process has made meanwhile."""
    aside = owner.with_name(f".{owner.name}-{uuid.uuid4().hex}")
    try:
        owner.rename(aside)
    except FileNotFoundError:
        return
    if read(aside) not in (text, None):
        with contextlib.suppress(OSError):  # a third one may hold it by now
            os.link(aside, owner)
    aside.unlink(missing_ok=True)


def start_renewing() -> None:
    """See to it that the files of this process are renewed; the thread ends with the process."""
    # By process: one that is forked off has none of its parent's threads.
    name = f"olmes-owner-files-{os.getpid()}"
    with RENEWER:
        if not any(thread.name == name for thread in threading.enumerate()):
            threading.Thread(target=renew, name=name, daemon=True).start()


def renew() -> None:
    """Renew the files' times again and again."""
    while True:
        time.sleep(RENEWED)
        for owner in list(OWN):
            with contextlib.suppress(OSError):
                os.utime(owner)


def forget() -> None:
    """In a forked process: the files are the parent's."""
    OWN.clear()


@atexit.register
def release_all() -> None:
    """Remove what a process leaves that ends without releasing; `kill -9` leaves it as stale."""
    for owner, text in list(OWN.items()):
        with contextlib.suppress(OSError):
            OwnerFile(owner, text).release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget)
