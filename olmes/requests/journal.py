"""The journal of a run: each finished response, appended at once, so that a killed run resumes.

`journal.jsonl` in the run's folder, one line a response: `{"item": ..., "response": {...}}`. A line is
written in one call and flushed to the operating system, so `kill -9` loses at most the line being
written; such a torn last line is cut off when the journal is opened again. The journal of a run under
seal has its responses packed (`{"item": ..., "packed": ...}`), so that nobody reads them by chance.

A line that is damaged anywhere else loses its own response and no other: it is told by its number,
stays where it is, and what is asked again is appended behind it.

Responses are not held in memory: of those an earlier process finished the journal knows the offsets.
"""

from __future__ import annotations

import contextlib
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NotRequired, TypedDict

from olmes.errors import OlmesError
from olmes.requests.journal_lines import read_item, scan
from olmes.requests.stored_response import DamagedError, fits, pack
from olmes.tools.jsonl import compact_json, line_of
from olmes.tools.locks import HeldError, Lock
from olmes.tools.notices import say_once
from olmes.types import Request, Response, ResponseJson

FILE_NAME = "journal.jsonl"
MOST_NAMED = 5
"""Damaged lines whose numbers are told."""


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
        self.sizes: dict[int, int] = {}
        """By offset: the size of an entry that does not end where its line does."""
        self.offsets: dict[int, int] = self.recover()
        """Where the entry of an item begins, by the hash of its key: an eighth of the keys' memory."""

    @property
    def responses(self) -> FinishedResponses:
        """What an earlier process finished, by item key; what is appended is not in it."""
        return FinishedResponses(self)

    @property
    def empty(self) -> bool:
        """Whether it holds no response, of this process or of another."""
        return self.stream.closed or os.fstat(self.stream.fileno()).st_size == 0

    def recover(self) -> dict[int, int]:
        """Find what an earlier process finished, say what is damaged, cut off a torn last line."""
        found: dict[int, int] = {}
        lost: dict[str, list[int]] = defaultdict(list)
        end, ended = 0, True
        for line in scan(self.stream):
            for place in line.places:
                found[hash(place.item)] = place.offset
                if place.offset + place.size != line.end:
                    self.sizes[place.offset] = place.size
            if line.ended or line.places:
                end, ended = line.end, line.ended
                if line.trouble:
                    lost[line.trouble].append(line.number)
        self.stream.truncate(end)
        if not ended:
            self.stream.write(b"\n")
            self.stream.flush()
        for trouble, numbers in lost.items():
            say_once(asked_again(self.path, trouble, numbers))
        return found

    def append(self, item: str, response: Response) -> None:
        """Append one finished response."""
        line: JournalLine = {"item": item}
        if self.packed:
            line["packed"] = pack(response)
        else:
            line["response"] = response.to_json()
        # A log-probability may be NaN, which `compact_json` cannot write.
        weighed = response.logprobs or response.rewards
        self.stream.write(line_of(line) if weighed else compact_json(line) + b"\n")
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

    def response(self, item: str, request: Request) -> Response | None:
        """The response to an item, unless there is none or it cannot be one to the request."""
        found = self.get(item)
        if found is None or fits(request, found):
            return found
        say_once(f"a response in {self.journal.path} is not one to its request and is asked again.")
        return None

    def read(self, key: int) -> tuple[str, Response]:
        """The item and the response in the place of a hash."""
        offset = self.journal.offsets[key]
        self.journal.stream.seek(offset)
        size = self.journal.sizes.get(offset)
        try:
            stream = self.journal.stream
            return read_item(stream.readline() if size is None else stream.read(size))
        except DamagedError:
            raise KeyError(key) from None  # damaged since it was found

    def __getitem__(self, item: str) -> Response:
        name, response = self.read(hash(item))
        # Another key may have the same hash.
        if name != item:
            raise KeyError(item)
        return response

    def __iter__(self) -> Iterator[str]:
        return (self.read(key)[0] for key in self.journal.offsets)

    def __len__(self) -> int:
        return len(self.journal.offsets)


def journaled_items(folder: Path) -> set[str]:
    """The items that a run's journal has a response to; it is neither locked nor changed."""
    try:
        with (folder / FILE_NAME).open("rb") as stream:
            return {place.item for line in scan(stream) for place in line.places}
    except OSError:
        return set()


def asked_again(path: Path, trouble: str, numbers: list[int]) -> str:
    """The sentence about lines that hold no response which can be read."""
    if len(numbers) == 1:
        return f"line {numbers[0]} of {path} is {trouble} and is asked again."
    named = ", ".join(map(str, numbers[:MOST_NAMED]))
    more = f" and {len(numbers) - MOST_NAMED} more" if len(numbers) > MOST_NAMED else ""
    return f"lines {named}{more} of {path} are {trouble} and are asked again."
