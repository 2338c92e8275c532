"""The journal of a run: each finished response, appended at once, so that a killed run goes on.

`journal.jsonl` in the run's folder, one line a response: `{"item": ..., "response": {...}}`. A line is
written in one call and flushed to the operating system, so `kill -9` loses at most the line being
written; such a torn last line is cut off when the journal is opened again. The journal of a run under
seal holds its responses packed (`{"item": ..., "packed": ...}`), so that nobody reads them by chance.
"""

from __future__ import annotations

import base64
import json
import os
import zlib
from pathlib import Path
from typing import Any

from olmes.errors import OlmesError
from olmes.jsonl import dumps
from olmes.types import Response

FILE_NAME = "journal.jsonl"


class Journal:
    """Finished responses by item key. One process at a time; the second is refused."""

    def __init__(self, folder: Path, *, packed: bool = False) -> None:
        self.packed = packed
        self.path = folder / FILE_NAME
        folder.mkdir(parents=True, exist_ok=True)
        self.stream = self.path.open("a+b")
        try:
            lock(self.stream.fileno())
        except OSError:
            self.stream.close()
            raise OlmesError(
                f"another process is writing {folder}; wait for it, or choose another --out."
            ) from None
        self.responses = self.recover()

    def recover(self) -> dict[str, Response]:
        """Read what an earlier process finished, and cut off a torn last line."""
        self.stream.seek(0)
        found: dict[str, Response] = {}
        good = 0
        for line in self.stream:
            try:
                row = json.loads(line)
            except ValueError:
                break
            if not line.endswith(b"\n"):
                break
            found[row["item"]] = Response.from_json(unpacked(row))
            good += len(line)
        self.stream.truncate(good)
        return found

    def append(self, item: str, response: Response) -> None:
        """Write down one finished response."""
        self.responses[item] = response
        row: dict[str, Any] = {"item": item, "response": response.to_json()}
        if self.packed:
            squeezed = zlib.compress(dumps(row.pop("response")).encode())
            row["packed"] = base64.b64encode(squeezed).decode("ascii")
        self.stream.write(dumps(row).encode() + b"\n")
        self.stream.flush()

    def close(self, *, remove: bool = False) -> None:
        """Close the journal; `remove` it when the record holds everything in it."""
        if remove:
            self.path.unlink(missing_ok=True)
        self.stream.close()


def unpacked(row: dict[str, Any]) -> dict[str, Any]:
    """The response of a line of the journal."""
    if "packed" in row:
        row = {"response": json.loads(zlib.decompress(base64.b64decode(row["packed"])))}
    response: dict[str, Any] = row["response"]
    return response


def lock(descriptor: int) -> None:
    """Take an exclusive lock that ends with the process, however it ends.

    Raises:
        OSError: another process holds it.
    """
    if os.name == "nt":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        return
    import fcntl

    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
