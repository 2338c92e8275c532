"""The jobs of a queue as far as their rows can be read: one that cannot be is said and left out."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from olmes.errors import OlmesError
from olmes.tools.notices import say_once

T = TypeVar("T")


def readable_jobs(
    rows: Iterable[sqlite3.Row], parse: Callable[[sqlite3.Row], T], queue: Path
) -> list[T]:
    """The jobs of some rows of the queue in a folder."""
    found = []
    for row in rows:
        try:
            found.append(parse(row))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OlmesError):
            say_once(
                f"job {row['number']} of the queue in {queue} is damaged or of a newer olmes and is "
                "passed over."
            )
    return found
