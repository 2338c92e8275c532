"""A database whose file is damaged: one sentence with the remedy, wherever it is found out."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

from sqlalchemy.exc import DBAPIError

from olmes.errors import OlmesError
from olmes.tools.places import DAMAGED

STATES = frozenset({"XX001", "XX002"})
"""What PostgreSQL says of damaged rows and indexes."""


class DamagedStoreError(OlmesError):
    """The database of a store cannot be read any more."""


@contextlib.contextmanager
def refusing_damage(place: str) -> Iterator[None]:
    """Say of a damaged database that it is one.

    Args:
        place: the database's file or URL, as it may be shown.

    Raises:
        DamagedStoreError: it is.
    """
    try:
        yield
    except (sqlite3.DatabaseError, DBAPIError) as error:
        inner = error.orig if isinstance(error, DBAPIError) else error
        code = getattr(inner, "sqlite_errorcode", 0) & 0xFF
        if code not in DAMAGED and getattr(inner, "sqlstate", None) not in STATES:
            raise
        raise DamagedStoreError(
            f"{place} is damaged ({inner}); restore a back-up into a new store: "
            "`olmes backup restore FOLDER --store NEW`."
        ) from error
