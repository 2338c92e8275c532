"""What a folder's file system can do, as far as databases must know."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

NETWORK = re.compile(
    r"(nfs4?|cifs|smb3|smbfs|ncpfs|afs|9p|virtiofs|vboxsf|prl_fs|vmhgfs|lustre|gpfs|mmfs|beegfs|fhgfs"
    r"|ceph|glusterfs|panfs|wekafs|pvfs2|orangefs|ocfs2|gfs2|pmemfs|quobyte|davfs2?|fuse"
    r"|fuse\.(?!fuse-overlayfs|fuseblk|ntfs).*)$"
)
"""Kinds of file systems that several machines may share. A write-ahead log does not work there: its
index is memory, which only processes of one machine share (sqlite.org/wal.html)."""
MOUNTS = Path("/proc/self/mountinfo")
ESCAPED = re.compile(r"\\(\d{3})")


def shared_kind(folder: Path) -> str:
    """The kind of a folder's file system where machines share it; '' for a local or unknown one."""
    try:
        kind = kind_of(Path(os.path.realpath(folder)), MOUNTS.read_text("utf-8", "replace"))
    except OSError:  # not Linux
        return ""
    return kind if NETWORK.match(kind) else ""


def kind_of(folder: Path, mounts: str) -> str:
    """The kind of the file system that a folder is on, by the kernel's list of mounts."""
    found, longest = "", -1
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split()
        if len(fields) < 5 or not after:
            continue
        point = Path(ESCAPED.sub(lambda match: chr(int(match[1], 8)), fields[4]))
        # Of two mounts at one place the later one is seen.
        if folder.is_relative_to(point) and len(point.parts) >= longest:
            found, longest = after.split()[0], len(point.parts)
    return found


def locks_ranges(folder: Path) -> bool:
    """Whether files of a folder can be locked as SQLite locks them (POSIX record locks).

    Raises:
        OSError: the folder cannot be written.
    """
    if os.name == "nt":
        return True
    import fcntl

    with tempfile.TemporaryFile(dir=folder) as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # nobody else can hold this file
            return False
    return True
