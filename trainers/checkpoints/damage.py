"""What of a queue's file cannot be read: a row is passed over, a damaged file said with the remedy."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from olmes.errors import OlmesError
from olmes.tools.notices import say_once
from olmes.tools.places import DAMAGED

T = TypeVar("T")


@contextmanager
def damage_told(file: Path) -> Iterator[None]:
    """Say what to do where the file turns out to be damaged.

    Raises:
        OlmesError: it is.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF not in DAMAGED:
            raise
        raise OlmesError(
            f"{file} is damaged ({error}); move it away and queue the checkpoints again with "
            "`olmes watch`: those that have a record are not scored again."
        ) from None


def readable_jobs(
    rows: Iterable[sqlite3.Row], parse: Callable[[sqlite3.Row], T], file: Path
) -> list[T]:
    """The jobs of rows; one that cannot be read is said and left out."""
    found = []
    for row in rows:
        try:
            found.append(parse(row))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OlmesError):
            say_once(
                f"job {row['number']} of {file} is damaged or of a newer olmes and is passed over."
            )
    return found
