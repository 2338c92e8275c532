"""Databases where a write-ahead log, or any lock, does not work."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from olmes.requests.response_cache import ResponseCache
from olmes.tools import file_systems, notices, sqlite_journal
from olmes.tools.file_systems import NETWORK, kind_of, locks_ranges
from olmes.types import Response
from tests.olmes.tools.refusing_library import build_shim

MOUNTS = r"""22 1 8:1 / / rw - ext4 /dev/sda1 rw
30 22 0:40 / /home rw - nfs4 server:/home rw
31 30 8:2 / /home/me/local rw - xfs /dev/sdb rw
32 22 0:41 / /with\040blank rw - lustre x rw
33 22 0:42 / /scratch rw - tmpfs tmpfs rw
34 22 0:43 / /scratch rw - fuse.sshfs host: rw
"""
CACHE = """
import sys
from pathlib import Path
from olmes.requests.response_cache import ResponseCache
from olmes.types import Response
cache = ResponseCache(Path(sys.argv[1]))
cache.put("a" * 64, Response(text="kept"))
print(cache.trouble or cache.get("a" * 64).text)
"""


def test_the_kind_of_a_folder_is_that_of_the_mount_it_is_in() -> None:
    for folder, kind in {
        "/home/you/.cache": "nfs4", "/home/me/local/x": "xfs", "/homes": "ext4", "/": "ext4",
        "/with blank/x": "lustre", "/scratch/x": "fuse.sshfs",
    }.items():  # fmt: skip
        assert kind_of(Path(folder), MOUNTS) == kind
    shared = ["nfs", "nfs4", "cifs", "smb3", "lustre", "gpfs", "beegfs", "ceph", "9p", "fuse.s3fs"]
    local = ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "apfs", "zfs", "fuse.fuse-overlayfs"]
    assert all(map(NETWORK.match, shared))
    assert not any(map(NETWORK.match, local))


def mode(path: Path) -> str:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("PRAGMA journal_mode").fetchone()[0])


def test_a_shared_folder_has_a_rollback_journal_and_it_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "responses.sqlite"
    monkeypatch.setattr(notices, "SAID", set())
    ResponseCache(path).close()
    assert mode(path) == "wal"
    assert capsys.readouterr().err == ""
    # What the kernel says is patched: no network folder can be mounted by a test.
    monkeypatch.setattr(sqlite_journal, "shared_kind", lambda _: "nfs4")
    for _ in range(2):
        cache = ResponseCache(path)
        cache.put("k", Response(text="kept"))
        assert cache.get("k") == Response(text="kept")
        cache.close()
    assert mode(path) == "delete"
    assert capsys.readouterr().err.count("nfs4 is a file system that several machines share") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="LD_PRELOAD is Linux's")
def test_a_log_whose_index_cannot_be_shared_is_given_up(tmp_path: Path) -> None:
    path, shim = tmp_path / "responses.sqlite", build_shim(tmp_path)
    ResponseCache(path).close()  # it has a log from another machine
    assert mode(path) == "wal"
    refused = {"LD_PRELOAD": str(shim), "MMAP_ERRNO": str(errno.ENODEV)}
    ended = subprocess.run(
        [sys.executable, "-c", CACHE, str(path)], capture_output=True, text=True, check=True,
        env={**os.environ, **refused}, timeout=100,
    )  # fmt: skip
    assert ended.stdout == "kept\n"
    assert "has no write-ahead log" in ended.stderr
    assert mode(path) == "delete"


@pytest.mark.skipif(sys.platform != "linux", reason="LD_PRELOAD is Linux's")
@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK], ids=str)
def test_without_locks_the_cache_is_off_and_says_why(number: int, tmp_path: Path) -> None:
    refused = {"LD_PRELOAD": str(build_shim(tmp_path)), "FCNTL_ERRNO": str(number)}
    ended = subprocess.run(
        [sys.executable, "-c", CACHE, str(tmp_path / "x.sqlite")], capture_output=True, text=True,
        check=True, env={**os.environ, **refused}, timeout=100,
    )  # fmt: skip
    assert "has no locks; $OLMES_CACHE names another" in ended.stdout
    assert ended.stdout.strip() in ended.stderr
    assert locks_ranges(tmp_path)


def test_where_the_kernel_says_nothing_a_folder_is_local(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_systems, "MOUNTS", tmp_path / "missing")
    assert file_systems.shared_kind(tmp_path) == ""
