"""Before the schema of a store with data is changed: a copy of it as it was, beside it.

The change itself is one transaction on either database, so that a start that was killed within it is
healed by the next one. The copy is for whoever wants the older olmes back.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, inspect, text

from olmes.server.observe import log
from olmes.tools.places import writing

NOTHING_LOST = frozenset({"alembic_version", "state", "uploads"})
"""Tables whose rows nobody would miss."""


def before_upgrade(connection: Connection, revision: str, wanted: str) -> None:
    """Keep what is there before it is changed, and say so.

    Args:
        connection: within the transaction that will change the schema, so that nobody else writes.
        revision: of the store's schema.
        wanted: what it is brought to.

    Raises:
        OlmesError: there is no room for the copy, or its place cannot be written.
    """
    if not has_data(connection):
        return
    change = f"the store's schema is brought from {revision} to {wanted}"
    file = connection.engine.url.database
    if connection.dialect.name != "sqlite" or not file:
        log.warning(
            f"{change}, in one transaction; only a back-up that the olmes before made "
            "(`olmes backup make`) leads back"
        )
        return
    copy = copy_beside(Path(file), revision)
    log.warning(f"{change}; a copy of it as it was is {copy}", extra={"facts": {"copy": str(copy)}})


def has_data(connection: Connection) -> bool:
    """Whether a store holds anything."""
    names = set(inspect(connection).get_table_names()) - NOTHING_LOST
    quoted = connection.dialect.identifier_preparer.quote
    asked = (text(f"SELECT 1 FROM {quoted(name)} LIMIT 1") for name in sorted(names))  # noqa: S608
    return any(connection.execute(one).first() is not None for one in asked)


def copy_beside(file: Path, revision: str) -> Path:
    """Copy an SQLite database that nobody writes meanwhile, with what its log holds, into one file.

    Returns:
        The copy, `NAME-schema-REVISION.db`; one of an earlier try is replaced.

    Raises:
        OlmesError: there is no room for it, or its place cannot be written.
    """
    copy = file.with_name(f"{file.stem}-schema-{revision}{file.suffix}")
    unfinished = copy.with_name(f"{copy.name}.writing")
    with writing(file.parent, "make the copy and the change elsewhere and move the store back"):
        try:
            unfinished.unlink(missing_ok=True)
            # Not readable for others from the first byte on: it holds the hashes of tokens.
            os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            shutil.copymode(file, unfinished)
            source = sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True, timeout=60)
            with (
                contextlib.closing(source),
                contextlib.closing(sqlite3.connect(unfinished)) as target,
            ):
                source.backup(target)
            sync(unfinished)
            unfinished.replace(copy)
            sync(file.parent)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
    return copy


def sync(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
