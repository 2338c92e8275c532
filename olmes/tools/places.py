"""What the machine refuses, in one sentence: a place that cannot be written, a full disk, no memory.

`writing` is put round what writes into a place that a user has named; the command line has
`trouble_of` for whatever else the machine refuses.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from olmes.errors import OlmesError
from olmes.tools.cache_folder import cache_folder

OUT = "name another folder with --out"
RESUMED = "what is finished is kept, and the same command resumes"
ROOM = 1 << 20
"""Bytes; a disk with less free room counts as full."""
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
REFUSED = {
    errno.EACCES: "permission denied",
    errno.EPERM: "not permitted",
    errno.EROFS: "its file system is read-only",
    errno.ENOTDIR: "a file lies where a folder is needed",
    errno.EEXIST: "a file lies where a folder is needed",
    errno.EISDIR: "a folder lies where a file is needed",
    errno.ENOENT: "it does not exist",
    errno.ELOOP: "its links go round in a circle",
    errno.ENAMETOOLONG: "the name is too long",
    errno.EINVAL: "its file system does not take the name or the operation",
    errno.EBUSY: "it is in use",
    errno.ETXTBSY: "it is in use",
    errno.EIO: "input/output error: check the disk",
    errno.ESTALE: "the network folder is stale: mount it again",
    errno.ENODEV: "its device is gone",
    errno.ENXIO: "its device is gone",
    errno.ETIMEDOUT: "its file system does not answer",
    errno.EHOSTDOWN: "its file system does not answer",
    errno.ENOTCONN: "its file system is not connected: mount it again",
    errno.ENOSYS: "its file system cannot do that",
    errno.ENOTSUP: "its file system cannot do that",
    errno.ENOLCK: "its file system has no locks",
    errno.EREMOTEIO if hasattr(errno, "EREMOTEIO") else errno.EIO: "input/output error",
}
"""Why a place cannot be written, or read."""
NAMELESS = frozenset({*FULL, errno.EFBIG, errno.EIO, errno.EROFS, errno.ESTALE, errno.EREMOTEIO})
"""What writing into an open file ends with; the error names no file then."""
MACHINE = {
    errno.EMFILE: "this process may not open more files; raise the limit with `ulimit -n`",
    errno.ENFILE: "this machine cannot open more files; end other programs",
    errno.ENOMEM: "this machine has no more memory; end other programs, or give less to do at once "
    "(--batch-size, --scoring-processes)",
    errno.EAGAIN: "this machine lets you start no more processes or threads; raise `ulimit -u`, or "
    "give fewer --scoring-processes",
}
SQLITE = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_READONLY: errno.EROFS,
    sqlite3.SQLITE_PERM: errno.EACCES,
    sqlite3.SQLITE_CANTOPEN: errno.EACCES,
    sqlite3.SQLITE_IOERR: errno.EIO,
    sqlite3.SQLITE_BUSY: errno.EBUSY,
}
"""What a database's error is among the system's, by the lower byte of its code."""
DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
"""What SQLite says of a file that is not, or not any more, a whole database."""


RUST = re.compile(r"\(os error (\d+)\)")
TORCH = ("PytorchStreamWriter failed writing", "unexpected pos")
"""How the libraries in other languages say it."""


@contextlib.contextmanager
def writing(place: Path, instead: str) -> Iterator[None]:
    """Whatever the machine refuses of a place becomes one sentence.

    An error that names a file elsewhere passes, and so does what is no fault of the machine.

    Args:
        place: a folder or file that is written, or below which is.
        instead: what to do: "name another folder with --out".

    Raises:
        OlmesError: the place cannot be written.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno in NAMELESS:
            where = full_one([place]) if error.errno in FULL else place
            said = refusal(
                error.errno, where, where, instead if where == place else instead_of(where)
            )
        elif error.errno is not None and is_below(file_of(error), place):
            said = refusal(error.errno, file_of(error), place, instead)
        else:
            raise
        raise OlmesError(said) from error
    except Exception as error:
        if (code := hidden_code(error)) is None:
            raise
        raise OlmesError(refusal(code, place, place, instead)) from error


def hidden_code(error: BaseException | None) -> int | None:
    """The system's number behind the error of a library that writes files by itself."""
    if isinstance(error, sqlite3.Error):
        return SQLITE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
    if found := RUST.search(str(error)):  # safetensors, tokenizers
        return int(found[1])
    return errno.ENOSPC if any(words in str(error) for words in TORCH) else None


def trouble_of(error: OSError, places: dict[Path, str]) -> str | None:
    """A sentence for what the machine refuses; None where the error is no fault of the machine.

    Args:
        error: what was raised.
        places: what to do by place: the folders and files that options name.
    """
    if error.errno in MACHINE:
        return f"{MACHINE[error.errno]}."
    if error.filename is None:
        if error.errno not in NAMELESS:
            return None
        where = full_one(list(places) or [Path.cwd()])
        return refusal(error.errno, where, where, places.get(where) or instead_of(where))
    file = file_of(error)
    if file is None or error.errno not in {*REFUSED, *NAMELESS}:
        return None
    if is_below(file, Path(__file__).parents[1]):  # a part of the program is missing
        return None
    for place, instead in places.items():
        if is_below(file, place):
            return refusal(error.errno, file, place, instead)
    return refusal(error.errno, file, file, instead_of(file))


def refusal(code: int | None, file: Path | None, place: Path, instead: str) -> str:
    """The sentence for an error's number.

    Args:
        code: the number.
        file: what it is about.
        place: what the user named.
        instead: what to do.
    """
    file = file or place
    if code in FULL:
        disk = "your quota is used up" if code == errno.EDQUOT else "no space is left"
        return f"{disk} on the disk of {place}; make room, or {instead}; {RESUMED}."
    if code == errno.EFBIG:
        return (
            f"a file in {place} would be larger than this process may write; raise `ulimit -f`, or "
            f"{instead}; {RESUMED}."
        )
    if code in (errno.ENOTDIR, errno.EEXIST):
        file = in_the_way(file)
    reason = REFUSED.get(code or 0) or os.strerror(code or 0)
    return f"{file} cannot be used ({reason}); fix that, or {instead}."


def instead_of(file: Path) -> str:
    """What to do about a file that no option names."""
    hub = os.environ.get("HF_HOME") or "~/.cache/huggingface"
    for place, variable in (
        (cache_folder(), "OLMES_CACHE"),
        (Path(os.environ.get("HF_HUB_CACHE") or hub).expanduser(), "HF_HOME"),
        (Path(hub).expanduser(), "HF_HOME"),
        (Path(tempfile.gettempdir()), "TMPDIR"),
    ):
        if is_below(file, place):
            return f"name another folder with ${variable}"
    return "choose another place"


def full_one(places: list[Path]) -> Path:
    """Which of some places lies on a full disk, or else a cache or temporary folder that does.

    The first, where none does: a quota shows in no figure.
    """
    for place in (*places, cache_folder(), Path(tempfile.gettempdir())):
        with contextlib.suppress(OSError):
            if shutil.disk_usage(nearest(place)).free < ROOM:
                return place
    return places[0]


def nearest(place: Path) -> Path:
    """The place, or the folder above it that is there."""
    for folder in (place.absolute(), *place.absolute().parents):
        if os.path.exists(folder):  # noqa: PTH110 (False, too, where one may not look)
            return folder
    return place


def in_the_way(file: Path) -> Path:
    """Which of a path's parts is a file, where folders are needed."""
    return next((one for one in reversed((file, *file.parents)) if os.path.isfile(one)), file)  # noqa: PTH113


def file_of(error: OSError) -> Path | None:
    """The file that an error names: of a renaming the new one."""
    name = error.filename2 or error.filename
    return Path(os.fsdecode(name)) if isinstance(name, (str, bytes, os.PathLike)) else None


def is_below(file: Path | None, place: Path) -> bool:
    """Whether a file is a place, lies in it, or is a folder above it that would have to be made."""
    if file is None:
        return False
    one, other = Path(os.path.abspath(file)), Path(os.path.abspath(place))  # noqa: PTH100
    missing = not os.path.exists(other)  # noqa: PTH110
    return one.is_relative_to(other) or (other.is_relative_to(one) and missing)
