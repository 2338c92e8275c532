"""Which journal an SQLite file has: a write-ahead log where that works, or else a rollback journal."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from olmes.tools.file_systems import shared_kind
from olmes.tools.notices import say_once

FAILED = frozenset(
    {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOLFS}
)
"""What a write-ahead log ends with on a file system that cannot have its shared index."""


def choose_journal(file: Path) -> None:
    """Give a database a write-ahead log, so that readers never wait; say where it cannot have one.

    The file keeps its kind of journal, so that this is called before it is opened, and once. A file
    that has a log already is changed back where it must have none; processes that have it open keep
    that from happening.

    Raises:
        sqlite3.Error: the file cannot be read or written at all.
    """
    kind = shared_kind(file.parent)
    why = f"{kind} is a file system that several machines share" if kind else log_trouble(file)
    if why and roll_back(file):
        say_once(f"{file} has no write-ahead log ({why}); its users wait for one another.")


def log_trouble(file: Path) -> str:
    """Give a database a write-ahead log; why it cannot have one, '' where it has.

    Raises:
        sqlite3.Error: the file cannot be read or written at all.
    """
    with contextlib.closing(sqlite3.connect(file, timeout=30, isolation_level=None)) as connection:
        try:
            [mode] = connection.execute("PRAGMA journal_mode=WAL").fetchone()
            connection.execute(
                "SELECT 1 FROM sqlite_master"
            ).fetchone()  # only this needs its index
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in FAILED:
                raise
            return str(error)
    return "" if mode == "wal" else "its file system cannot have one"


def roll_back(file: Path) -> bool:
    """Give a database a rollback journal; False where another process has it open with its log.

    In exclusive mode from the beginning: then the log's index is in this process alone, and a log can
    be read whose index cannot be shared.

    Raises:
        sqlite3.Error: the file cannot be read or written at all.
    """
    with contextlib.closing(sqlite3.connect(file, timeout=1, isolation_level=None)) as connection:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        try:
            connection.execute("PRAGMA journal_mode=DELETE").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            return False
    return True
