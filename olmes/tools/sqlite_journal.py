"""Which journal an SQLite file has: a write-ahead log where that works, or else a rollback journal."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from olmes.tools.file_systems import shared_kind
from olmes.tools.notices import say_once

FAILED = frozenset(
    {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOLFS}
)
"""What a write-ahead log ends with on a file system that cannot have its shared index."""


def set_journal(connection: sqlite3.Connection, file: Path) -> None:
    """Give a database a write-ahead log, so that readers never wait; say where it has none.

    A file that has such a log already is changed back where it must have none; processes that have it
    open keep that from happening, and it stays as it is.

    Raises:
        sqlite3.Error: the file cannot be read or written at all.
    """
    if kind := shared_kind(file.parent):
        why = f"{kind} is a file system that several machines share"
    else:
        try:
            [mode] = connection.execute("PRAGMA journal_mode=WAL").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in FAILED:
                raise
            why = str(error)
        else:
            if mode in ("wal", "memory"):
                return
            why = "its file system cannot have one"
    # In exclusive mode the log's index is in this process alone: else what lies there is unreadable.
    connection.execute("PRAGMA locking_mode=EXCLUSIVE")
    try:
        [mode] = connection.execute("PRAGMA journal_mode=DELETE").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        return
    finally:
        connection.execute("PRAGMA locking_mode=NORMAL")
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()  # only now the lock ends
    say_once(
        f"{file} has no write-ahead log ({why}); its readers and writers wait for one another."
    )
