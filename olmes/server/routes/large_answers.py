"""Answers of any size: in memory while they are small, else in a file that is sent piece by piece.

So a slow reader of a large answer holds none of it in memory.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from fastapi import Response
from fastapi.responses import StreamingResponse

from olmes.server.store.sample_parts import SMALL

PIECE = 1 << 18


class LargeAnswer:
    """The body of an answer, as it comes together.

    Args:
        folder: where the file lies, without a name, while it is needed.
    """

    def __init__(self, folder: Path) -> None:
        # Closed when it was sent.
        self.file = tempfile.SpooledTemporaryFile(SMALL, dir=str(folder))  # noqa: SIM115

    def write(self, piece: bytes) -> None:
        """Add bytes."""
        self.file.write(piece)

    def take(self, path: Path) -> None:
        """Add what a file holds, and remove it."""
        with path.open("rb") as stream:
            path.unlink()
            shutil.copyfileobj(stream, self.file, PIECE)

    def response(self, media_type: str = "application/json") -> Response:
        """The answer."""
        size = self.file.tell()
        self.file.seek(0)
        if size <= SMALL:
            with self.file:
                return Response(self.file.read(), media_type=media_type)
        return StreamingResponse(
            self._pieces(), media_type=media_type, headers={"content-length": str(size)}
        )

    def _pieces(self) -> Iterator[bytes]:
        with self.file:
            while piece := self.file.read(PIECE):
                yield piece
