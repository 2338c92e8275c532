"""The journal of a run: each finished response, appended at once, so that a killed run goes on.

`journal.jsonl` in the run's folder, one line a response: `{"item": ..., "response": {...}}`. A line is
written in one call and flushed to the operating system, so `kill -9` loses at most the line being
written; such a torn last line is cut off when the journal is opened again. The journal of a run under
seal holds its responses packed (`{"item": ..., "packed": ...}`), so that nobody reads them by chance.

Responses are not kept in memory: of those an earlier process finished the journal knows the places.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from olmes.errors import OlmesError
from olmes.tools.jsonl import compact_json, dumps, line_of
from olmes.tools.locks import lock
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
            lock(self.stream)
        except OSError:
            self.stream.close()
            raise OlmesError(
                f"another process is writing {folder}; wait for it, or choose another --out."
            ) from None
        self.places: dict[int, int] = self.recover()
        """Where the line of an item begins, by the hash of its key: an eighth of the keys' memory."""

    @property
    def responses(self) -> Finished:
        """What an earlier process finished, by item key; what is appended is not in it."""
        return Finished(self)

    def recover(self) -> dict[int, int]:
        """Find what an earlier process finished, and cut off a torn last line."""
        self.stream.seek(0)
        found: dict[int, int] = {}
        good = 0
        for line in self.stream:
            try:
                row = json.loads(line)
            except ValueError:
                break
            if not line.endswith(b"\n"):
                break
            found[hash(row["item"])] = good
            good += len(line)
        self.stream.truncate(good)
        return found

    def row(self, place: int) -> dict[str, Any]:
        """The line that begins at a place."""
        self.stream.seek(place)
        row: dict[str, Any] = json.loads(self.stream.readline())
        return row

    def append(self, item: str, response: Response) -> None:
        """Write down one finished response."""
        row: dict[str, Any] = {"item": item, "response": response.to_json()}
        if self.packed:
            squeezed = zlib.compress(dumps(row.pop("response")).encode())
            row["packed"] = base64.b64encode(squeezed).decode("ascii")
        # A weight that is not a number is nothing that the fast way can write.
        self.stream.write(line_of(row) if response.logprobs else compact_json(row) + b"\n")
        self.stream.flush()

    def close(self, *, remove: bool = False) -> None:
        """Close the journal; `remove` it when the record holds everything in it."""
        if remove:
            self.path.unlink(missing_ok=True)
        self.stream.close()


class Finished(Mapping[str, Response]):
    """The responses of a journal by item key, each read when it is asked for."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal

    def __getitem__(self, item: str) -> Response:
        row = self.journal.row(self.journal.places[hash(item)])
        # Another key may have the same hash.
        if row["item"] != item:
            raise KeyError(item)
        return Response.from_json(unpacked(row))

    def __iter__(self) -> Iterator[str]:
        return (self.journal.row(place)["item"] for place in self.journal.places.values())

    def __len__(self) -> int:
        return len(self.journal.places)


def unpacked(row: dict[str, Any]) -> dict[str, Any]:
    """The response of a line of the journal."""
    if "packed" in row:
        row = {"response": json.loads(zlib.decompress(base64.b64decode(row["packed"])))}
    response: dict[str, Any] = row["response"]
    return response
