"""A file that is one JSON array of rows."""

from __future__ import annotations

import json
from pathlib import Path

from olmes.errors import OlmesError
from olmes.rows.source import Numbered, Source
from olmes.tools import jsonl
from olmes.tools.hashing import file_sha256


class JsonArray(Source):
    """An array of rows, which is read whole."""

    def __init__(self, path: Path) -> None:
        self.path, self.name, self.folder = path, str(path), path.parent

    def content(self) -> str:
        """SHA-256 of its bytes."""
        return file_sha256(self.path)

    def pieces(self) -> list[tuple[int, int]]:
        """The whole."""
        return [(0, 0)]

    def read(self, piece: tuple[int, int]) -> Numbered:  # noqa: ARG002
        """Every row.

        Raises:
            OlmesError: it is no JSON array.
        """
        try:
            rows = json.loads(b"".join(jsonl.read_lines(self.path)).decode(jsonl.UTF8))
        except (ValueError, RecursionError) as error:
            raise OlmesError(
                f"{self.path}: not JSON ({error}); write one row a line into a .jsonl file."
            ) from None
        size = self.path.stat().st_size // max(1, len(rows))
        for number, row in enumerate(rows, start=1):
            yield number, row, size

    def numbers(self) -> int:
        """Rows."""
        return sum(1 for _ in self.read((0, 0)))
