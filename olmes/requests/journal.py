"""The journal of a run: each finished response, appended at once, so that a killed run resumes.

`journal.jsonl` in the run's folder, one line a response: `{"item": ..., "response": {...}}`. A line is
written in one call and flushed to the operating system, so `kill -9` loses at most the line being
written; such a torn last line is cut off when the journal is opened again. The journal of a run under
seal has its responses packed (`{"item": ..., "packed": ...}`), so that nobody reads them by chance.

Responses are not held in memory: of those an earlier process finished the journal knows the offsets.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NotRequired, TypedDict

from olmes.errors import OlmesError
from olmes.tools.jsonl import compact_json, dumps, line_of
from olmes.tools.locks import HeldError, Lock
from olmes.types import Response, ResponseJson

FILE_NAME = "journal.jsonl"


class JournalLine(TypedDict):
    """One finished response: `packed` in the journal of a run under seal, else `response`."""

    item: str
    """The item's key."""
    response: NotRequired[ResponseJson]
    packed: NotRequired[str]
    """The response as JSON, compressed, in base64."""


class Journal:
    """Finished responses by item key. One process at a time; the second is refused."""

    def __init__(self, folder: Path, *, packed: bool = False) -> None:
        self.packed = packed
        self.path = folder / FILE_NAME
        folder.mkdir(parents=True, exist_ok=True)
        self.stream = self.path.open("a+b")
        try:
            self.lock = Lock.on(self.stream, self.path)
        except HeldError:
            self.stream.close()
            raise OlmesError(
                f"another process is writing {folder}; wait for it, or choose another --out."
            ) from None
        self.offsets: dict[int, int] = self.recover()
        """Where the line of an item begins, by the hash of its key: an eighth of the keys' memory."""

    @property
    def responses(self) -> FinishedResponses:
        """What an earlier process finished, by item key; what is appended is not in it."""
        return FinishedResponses(self)

    @property
    def empty(self) -> bool:
        """Whether it holds no response, of this process or of another."""
        return self.stream.closed or os.fstat(self.stream.fileno()).st_size == 0

    def recover(self) -> dict[int, int]:
        """Find what an earlier process finished, and cut off a torn last line."""
        self.stream.seek(0)
        found: dict[int, int] = {}
        good = 0
        for line in self.stream:
            try:
                row: JournalLine = json.loads(line)
            except ValueError:
                break
            if not line.endswith(b"\n"):
                break
            found[hash(row["item"])] = good
            good += len(line)
        self.stream.truncate(good)
        return found

    def line(self, offset: int) -> JournalLine:
        """The line that begins at an offset."""
        self.stream.seek(offset)
        line: JournalLine = json.loads(self.stream.readline())
        return line

    def append(self, item: str, response: Response) -> None:
        """Append one finished response."""
        line: JournalLine = {"item": item}
        if self.packed:
            compressed = zlib.compress(dumps(response.to_json()).encode())
            line["packed"] = base64.b64encode(compressed).decode("ascii")
        else:
            line["response"] = response.to_json()
        # A log-probability may be NaN, which `compact_json` cannot write.
        self.stream.write(line_of(line) if response.logprobs else compact_json(line) + b"\n")
        self.stream.flush()

    def close(self, *, remove: bool = False) -> None:
        """Close the journal; `remove` it when everything in it is in the record."""
        if remove:
            self.path.unlink(missing_ok=True)
        # Every line was flushed or has raised; what is still in the buffer of a full disk is torn.
        with contextlib.suppress(OSError):
            self.lock.release()


class FinishedResponses(Mapping[str, Response]):
    """The responses of a journal by item key, each read when it is asked for."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal

    def __getitem__(self, item: str) -> Response:
        line = self.journal.line(self.journal.offsets[hash(item)])
        # Another key may have the same hash.
        if line["item"] != item:
            raise KeyError(item)
        return response_of(line)

    def __iter__(self) -> Iterator[str]:
        return (self.journal.line(offset)["item"] for offset in self.journal.offsets.values())

    def __len__(self) -> int:
        return len(self.journal.offsets)


def response_of(line: JournalLine) -> Response:
    """The response of a line of the journal."""
    if "packed" in line:
        return Response.from_json(json.loads(zlib.decompress(base64.b64decode(line["packed"]))))
    return Response.from_json(line["response"])
