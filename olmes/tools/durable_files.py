"""Files that are there whole or not at all, also after a kill and after a power cut.

A file is written beside its place, flushed to the disk, renamed, and then its folder is flushed too:
until that is done a rename may be lost with the power, or outlive the content it stands for.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import itertools
import os
import stat
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from olmes.tools import owner_files

BUFFER = 1 << 18
LONGEST = 100
"""Characters of a file's name that the name of its unfinished one repeats."""
UNSYNCED = frozenset(
    {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF, errno.EACCES, errno.EPERM}
)
"""What a file system says that cannot flush folders; it then promises what it does without."""
NUMBERS = itertools.count()
MASK_LOCK = threading.Lock()


@contextlib.contextmanager
def atomic_writer(path: Path, mode: int = 0o666) -> Iterator[BinaryIO]:
    """A file to write into, which is at `path` once the block has ended without an exception.

    By then it is on the disk. What a killed process left of the same file is removed first.

    Args:
        path: of the file; its folder is made.
        mode: who may read and write it, less what the umask takes. A file that is replaced is never
            open to more than before.
    """
    try:
        make_folder(path.parent)
        remove_unfinished(path)
        temporary = path.with_name(f"{unfinished_name(path)}{next(NUMBERS)}")
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)
        handle = os.open(temporary, flags, mode)
    except OSError as error:
        error.filename = str(path)  # what a user knows, and may have named
        raise
    try:
        with os.fdopen(handle, "wb", buffering=BUFFER) as stream:
            keep_closed(path, stream.fileno())
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_atomically(path: Path, text: str, mode: int = 0o666) -> None:
    """Write `text` to `path` so that a reader sees the old file or the whole new one."""
    with atomic_writer(path, mode) as stream:
        stream.write(text.encode("utf-8"))


def write_line(stream: BinaryIO, line: bytes) -> None:
    """Add a line at the end of a file and have the disk hold it, all of it or nothing.

    Args:
        stream: the file, without a buffer: what a full disk refuses must not be written later.
        line: with its end.

    Raises:
        OSError: it cannot be written.
    """
    end = stream.seek(0, os.SEEK_END)
    rest = memoryview(line)
    try:
        while rest:
            rest = rest[stream.write(rest) :]
        os.fsync(stream.fileno())
    except OSError:
        with contextlib.suppress(OSError):
            stream.truncate(end)
        raise


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Make a folder and those above it, so that they are there after a power cut too.

    Args:
        folder: it may be there already.
        mode: of the folder itself, less what the umask takes.
    """
    missing = list(itertools.takewhile(lambda one: not one.exists(), (folder, *folder.parents)))
    for one in reversed(missing):
        one.mkdir(mode if one == folder else 0o777, exist_ok=True)
        sync_folder(one.parent)
    if not missing and not folder.is_dir():
        folder.mkdir()  # raises what mkdir says of a file in the way


def sync_folder(folder: Path) -> None:
    """Have the disk hold a folder's entries: what was made, renamed or removed in it."""
    if os.name == "nt":  # folders cannot be opened there, and their entries are journalled
        return
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        if error.errno not in UNSYNCED:
            raise
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in UNSYNCED:
            raise
    finally:
        os.close(handle)


def remove_unfinished(path: Path) -> None:
    """Remove what killed processes of this machine left beside a file that they were writing."""
    if os.name == "nt":  # nobody can be asked there whether a process lives without ending it
        return
    own, prefix = unfinished_name(path), unfinished_prefix(path)
    with contextlib.suppress(FileNotFoundError), os.scandir(path.parent) as entries:
        for entry in entries:
            if entry.name.startswith(prefix) and not entry.name.startswith(own):
                pid, _, rest = entry.name.removeprefix(prefix).partition("-")
                begun = rest.rpartition("-")[0]
                if pid.isdigit() and not runs(int(pid), begun):
                    with contextlib.suppress(OSError):
                        os.unlink(entry.path)  # noqa: PTH108


def unfinished_prefix(path: Path) -> str:
    """How the names of a file's unfinished ones begin that were made on this machine."""
    return f".{path.name[:LONGEST]}.{machine()}-"


def unfinished_name(path: Path) -> str:
    """The name of an unfinished file of this process, but for its number."""
    return f"{unfinished_prefix(path)}{os.getpid()}-{owner_files.started(os.getpid())}-"


@functools.cache
def machine() -> str:
    """A short word for this machine, or container."""
    return f"{zlib.crc32(owner_files.host().encode()):08x}"


def runs(pid: int, begun: str) -> bool:
    """Whether a process of this machine is there that began at a time."""
    return owner_files.alive(pid) and owner_files.started(pid) == begun


def keep_closed(path: Path, handle: int) -> None:
    """Take from a new file what the one it replaces does not allow."""
    with contextlib.suppress(FileNotFoundError):
        before = path.stat()
        mode = stat.S_IMODE(os.fstat(handle).st_mode)
        if stat.S_ISREG(before.st_mode) and mode & ~before.st_mode:
            os.chmod(handle, mode & before.st_mode)


def as_umask_says(path: Path, mode: int = 0o666) -> None:
    """Give a file the mode that it would have had, had it not been made for its owner alone."""
    path.chmod(mode & ~umask())


def umask() -> int:
    """What this process takes from the modes of new files."""
    with MASK_LOCK, contextlib.suppress(OSError, ValueError, StopIteration):
        with open("/proc/self/status", encoding="utf-8", errors="replace") as lines:  # noqa: PTH123
            word = next(line for line in lines if line.startswith("Umask:"))
        return int(word.split()[1], 8)
    with MASK_LOCK:  # elsewhere it is only told where it is set
        mask = os.umask(0o077)
        os.umask(mask)
    return mask
