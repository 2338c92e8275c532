"""Reading a task's samples: filtered, searched, and only as many bytes and for as long as was allowed.

A row may have 16 MB, so that a number of rows says nothing of what reading them takes: rows are
unpacked a few at a time, and what is read goes where it is wanted before the next one is.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from olmes.server.intake.sample_rows import checked_row, holds
from olmes.server.store.artifacts import Artifacts, lines_of_group

MOST_SEARCHED = 20_000
"""Rows that one request reads through; the next resumes after them."""
MOST_BYTES = 8 << 20
"""Bytes of rows in one answer; a row that has more by itself is answered alone."""
LIGHT = ("subtask", "flags", "value", "doc_id")
"""The columns that are filtered by, as `SampleFilter.takes` takes them."""
UNWRITTEN = ("none", "nan", "inf")
"""What a value that is no text reads as where its JSON has other letters: null, and no JSON at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleFilter:
    """Which samples are asked for."""

    subtask: str | None = None
    flag: str | None = None
    verdict: str | None = None
    """`right`, `partly`, `wrong` or `none`, by the primary metric."""
    doc_id: int | None = None
    words: str = ""
    """In any text of the row, without regard to case."""
    higher_is_better: bool = True
    """Of the primary metric."""

    def takes(self, subtask: str, flags: list[str], value: float | None, doc_id: int) -> bool:
        """Whether a row's columns pass."""
        if self.subtask is not None and not f"{subtask}:".startswith(f"{self.subtask}:"):
            return False
        if self.flag is not None and self.flag not in flags:
            return False
        if self.doc_id is not None and doc_id != self.doc_id:
            return False
        return self.verdict is None or verdict(value, self.higher_is_better) == self.verdict


def verdict(value: float | None, higher_is_better: bool) -> str:
    """What a value between 0 and 1 says of a response."""
    if value is None:
        return "none"
    good = value if higher_is_better else 1 - value
    return "right" if good >= 1 else "wrong" if good <= 0 else "partly"


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What one reading may take."""

    rows: int
    """Rows that are found."""
    size: int = MOST_BYTES
    """Bytes of rows that are found; the first one is found whatever its size."""
    searched: int = MOST_SEARCHED
    """Rows that are read through."""
    seconds: float = float("inf")


class SampleReading:
    """The rows of a samples file that pass a filter, from a place on.

    Attributes:
        following: the place to resume from when the rows were iterated over; None at the end.
        searched: rows that were read through.
    """

    def __init__(
        self, artifacts: Artifacts, artifact: str, wanted: SampleFilter, start: int, room: Room
    ) -> None:
        self.artifacts = artifacts
        self.artifact = artifact
        self.wanted = wanted
        self.start = start
        self.room = room
        self.following: int | None = None
        self.searched = 0

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Places and lines, one at a time."""
        found = size = 0
        until = time.monotonic() + self.room.seconds
        with self.artifacts.parquet(self.artifact) as file:
            rows = file.metadata.num_rows
            for place, line in self._candidates(file):
                if self.searched and time.monotonic() > until:
                    self.following = place
                    return
                self.searched += 1
                if self._takes(line):
                    size += len(line)
                    if found and size > self.room.size:
                        self.following = place
                        return
                    found += 1
                    yield place, line
                if found == self.room.rows or self.searched == self.room.searched:
                    self.following = place + 1 if place + 1 < rows else None
                    return

    def _candidates(self, file: Any) -> Iterator[tuple[int, bytes]]:
        """Rows whose columns pass, without a look at their texts."""
        first = 0
        for group in range(file.num_row_groups):
            facts = file.metadata.row_group(group)
            after = first + facts.num_rows
            if after > self.start:
                light = file.read_row_group(group, columns=list(LIGHT), use_threads=False)
                columns = (light.column(name).to_pylist() for name in LIGHT)
                taken = [
                    first + at >= self.start and self.wanted.takes(*row)
                    for at, row in enumerate(zip(*columns, strict=True))
                ]
                last = max((at for at, one in enumerate(taken) if one), default=-1)
                lines = lines_of_group(file, group) if last >= 0 else ()
                for at, line in enumerate(lines):
                    if taken[at]:
                        yield first + at, line
                    if at == last:
                        break
            first = after

    def _takes(self, line: bytes) -> bool:
        words = self.wanted.words.lower()
        if not words:
            return True
        return may_hold(line, words) and holds(checked_row(line, "row"), words)


def may_hold(line: bytes, words: str) -> bool:
    """Whether a line has to be read to know if one of its texts holds the words (in lower case).

    A line that is plain ASCII holds every run of letters of its texts as it is. What is written
    otherwise than it reads is left to the reader: letters beyond ASCII, escaped ones, and values
    that are no text.
    """
    runs = [run for run in re.findall(r"[a-z]+", words) if len(run) > 1]
    if not runs or not line.isascii() or b"\x7f" in line:
        return True
    if b"\\" in line:
        escapes = line.replace(b"\\\\", b"")
        if any(mark in escapes for mark in (b"\\u", b"\\b", b"\\f")):
            return True
    plain = line.lower()
    return all(run.encode() in plain or any(run in word for word in UNWRITTEN) for run in runs)
