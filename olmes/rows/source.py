"""What every source of rows can do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

Numbered = Iterator[tuple[int, Any, int]]
"""Rows with their numbers and about how many bytes each has."""


class Source:
    """A source whose rows can be read in pieces."""

    name: str
    """As messages name it."""
    folder: Path | None = None
    """From where its rows name files."""

    def content(self) -> str:
        """Hex digits over what it holds, wherever it lies."""
        raise NotImplementedError

    def commit(self) -> str:
        """Of a data set of the hub, the commit that was fetched; '' for what has none."""
        return ""

    def pieces(self) -> list[tuple[int, int]]:
        """Parts of it, in order."""
        raise NotImplementedError

    def read(self, piece: tuple[int, int]) -> Numbered:
        """The rows of a part, with numbers that `number` knows.

        Raises:
            OlmesError: it cannot be read; the message names file and line.
        """
        raise NotImplementedError

    def number(self, piece: tuple[int, int], given: int) -> int:  # noqa: ARG002
        """The number of a row in the whole source, from 1, by the one that `read` gave it."""
        return given

    def numbers(self) -> int:
        """How many numbers its rows have: lines of a file, blank ones too."""
        raise NotImplementedError
