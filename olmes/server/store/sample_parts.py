"""Samples as parts of an answer, made in a worker process: JSON, in a file where it is large."""

from __future__ import annotations

import contextlib
import functools
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from olmes.server.settings import Settings
from olmes.server.store.artifacts import Artifacts
from olmes.server.store.sample_reading import Room, SampleFilter, SampleReading

ANSWERS = "answers"
UNTAKEN = 3600.0
"""Seconds after which nobody takes it any more."""
SMALL = 1 << 20
"""Bytes that travel between processes as they are; more lies in a file meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplePart:
    """What was read in one go."""

    count: int
    """Samples."""
    size: int
    """Bytes of them."""
    searched: int
    """Rows that were read through."""
    following: int | None
    """The place to resume from; None at the end."""
    body: bytes
    """The samples as JSON, between commas; in a file where `path` is not ''."""
    path: str


def read_part(
    settings: Settings, artifact: str, wanted: SampleFilter, start: int, room: Room
) -> SamplePart:
    """Samples from a place on, as they are written in the file: nothing is parsed to be shown."""
    reading = SampleReading(artifacts_of(settings), artifact, wanted, start, room)
    parcel = Parcel(settings.work_folder / ANSWERS)
    count = size = 0
    try:
        for place, line in reading:
            before = b"," if count else b""
            parcel.add(b'%b{"place":%d,"row":' % (before, place), line, b"}")
            count += 1
            size += len(line)
        body, path = parcel.close()
    except BaseException:
        parcel.drop()
        raise
    return SamplePart(
        count=count,
        size=size,
        searched=reading.searched,
        following=reading.following,
        body=body,
        path=path,
    )


@functools.cache
def artifacts_of(settings: Settings) -> Artifacts:
    """A store's samples, for as long as the process lives."""
    return Artifacts(settings.artifacts_place)


def ready_to_read() -> None:
    """Import what a worker needs, before somebody waits for it."""
    import fsspec  # noqa: F401
    import pyarrow.parquet  # noqa: F401


def drop_parcels(settings: Settings) -> None:
    """Remove what was handed over by a process and never taken, because the server was killed."""
    with contextlib.suppress(FileNotFoundError):
        for path in (settings.work_folder / ANSWERS).iterdir():
            if time.time() - path.stat().st_mtime > UNTAKEN:
                path.unlink(missing_ok=True)


class Parcel:
    """Bytes that are handed to another process: in memory while they are few, else in a file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pieces: list[bytes] = []
        self.size = 0
        self.path = ""

    def add(self, *pieces: bytes) -> None:
        """Add to it."""
        self.pieces += pieces
        self.size += sum(map(len, pieces))
        if self.size > SMALL:
            self._to_file()

    def close(self) -> tuple[bytes, str]:
        """The bytes, or the path of the file they are in."""
        if self.path:
            self._to_file()
        return b"".join(self.pieces), self.path

    def _to_file(self) -> None:
        if not self.path:
            self.folder.mkdir(parents=True, exist_ok=True)
            handle, self.path = tempfile.mkstemp(dir=self.folder)
            os.close(handle)
        with Path(self.path).open("ab") as stream:
            stream.writelines(self.pieces)
        self.pieces, self.size = [], 0

    def drop(self) -> None:
        """Give it up."""
        if self.path:
            Path(self.path).unlink(missing_ok=True)
