"""Who may read a store: its owner alone, or the group that the owner lets into the store's folder.

A folder that was made for a group (`750`, `770`) is shared with it. What a plain `mkdir` gives (`755`)
is no such word: nothing in it is for others.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from olmes.tools.durable_files import make_folder

ALONE = 0o077
"""What is taken from group and others."""


def umask_in(folder: Path) -> int:
    """What is taken from the modes of files and folders that a store makes in a folder."""
    mode = folder.stat().st_mode
    return ALONE if mode & 0o007 else 0o007 | (~mode & 0o070)


def private_folder(folder: Path) -> None:
    """Make a store's folder for its owner alone; one that is there stays as it was made.

    Raises:
        OSError: it cannot be made.
    """
    if not folder.is_dir():
        make_folder(folder, 0o777 & ~ALONE)


def inner_folder(folder: Path) -> Path:
    """Make a folder in a store's, as private as that one; what an older olmes made is closed.

    Raises:
        OSError: it cannot be made.
    """
    mask = umask_in(folder.parent)
    make_folder(folder, 0o777 & ~mask)
    close_to_others(folder, mask)
    return folder


def private_file(path: Path) -> None:
    """Make an empty file in a store's folder, as private as that one; one that is there is closed.

    Raises:
        OSError: it cannot be made.
    """
    mask = umask_in(path.parent)
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o666 & ~mask))
    close_to_others(path, mask)


def close_to_others(path: Path, mask: int) -> None:
    """Take from a file or folder what `mask` takes, as far as it is this user's."""
    with contextlib.suppress(FileNotFoundError, PermissionError):
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & mask:
            path.chmod(mode & ~mask)
