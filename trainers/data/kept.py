"""Data sets that are made once and found again, under a key of everything they come from.

They lie in the cache as `training-data/KIND/KEY/`. Of the processes that share a cache the one that
gets the lock makes the data set, and the others wait until it is there; it does not matter which of
them train together, or whether they share a cache at all.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from olmes.errors import OlmesError
from olmes.tools.cache_folder import cache_folder
from olmes.tools.hashing import content_hash
from olmes.tools.jsonl import write_atomically
from olmes.tools.locks import Lock
from olmes.tools.places import writing
from olmes.trainers.data.pieces import Making, Notes, Pieces, Task, add, write_pieces

if TYPE_CHECKING:
    from datasets import Dataset

PLACE = "training-data"
"""In the cache folder."""
ABOUT = "about.json"
"""In a data set's folder, written last: what it holds."""
FIRST_LINE = 5.0
"""Seconds of work or waiting before anything is said of it."""
NEXT_LINE = 30.0
POLL = 0.1


@dataclass(frozen=True)
class Kept:
    """A data set that is there."""

    rows: Dataset
    notes: Notes
    """What was counted when it was made."""
    key: str
    """64 hex digits over everything it comes from."""


def kept(
    kind: str,
    source: Any,
    task: Callable[[], Task],
    making: Making,
    *,
    good: Callable[[Notes], bool] = lambda _: True,
) -> Kept:
    """The data set of a source: found, or made now.

    Args:
        kind: folder of its kind.
        source: JSON of everything that it comes from; its hash is the key.
        task: how it is made.
        making: by how many processes, and who is told.
        good: whether one that is found still holds, by its notes.

    Raises:
        OlmesError: it cannot be made of its data; the cache cannot be written; or the process that
            makes it shows no sign of life.
    """
    key = content_hash(source)
    place = cache_folder(PLACE, kind, key)
    with writing(place.parent, "name another folder with $OLMES_CACHE"):
        pieces = found(place, good)
        if pieces is None:
            pieces = made(place, task, making, good)
        elif len(pieces.files) > 1:  # enough to have taken a while
            making.say(f"{pieces.what}: found in the cache")
    return Kept(pieces.load(place, key), pieces.notes, key)


def found(place: Path, good: Callable[[Notes], bool]) -> Pieces | None:
    """A finished data set; None where there is none, or one that does not hold any more."""
    try:
        said = json.loads((place / ABOUT).read_text("utf-8"))
    except FileNotFoundError:
        return None
    notes: Notes = {}
    add(notes, said["notes"])
    if not good(notes) or not all(
        (place / name).is_file() and (place / name).stat().st_size == size
        for name, size in said["files"].items()
    ):
        return None
    return Pieces(said["what"], said["rows"], said["files"], notes)


def made(
    place: Path, task: Callable[[], Task], making: Making, good: Callable[[Notes], bool]
) -> Pieces:
    """Make a data set, or wait for whoever is at it.

    Raises:
        OlmesError: as `kept`.
    """
    progress = Progress(place, making)
    lock_file = place.with_name(f"{place.name}.lock")
    while (lock := Lock.take(lock_file)) is None:
        progress.watch()
        time.sleep(POLL)
    try:
        if (pieces := found(place, good)) is not None:
            return pieces
        return make(place, task(), making, progress)
    finally:
        lock.release()


def make(place: Path, task: Task, making: Making, progress: Progress) -> Pieces:
    """Make a data set beside its place, whole or not at all."""
    import datasets

    # A version that cuts the pieces otherwise must not take these for its own.
    layout = content_hash(list(task.pieces))[:8]
    beside = place.with_name(f"{place.name}.{layout}.making")
    beside.mkdir(parents=True, exist_ok=True)
    shown = datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        pieces = write_pieces(task, beside, making, progress.show)
    finally:
        if not shown:
            datasets.enable_progress_bars()
    write_atomically(beside / ABOUT, json.dumps(vars(pieces), ensure_ascii=False) + "\n")
    if place.exists():  # one that did not hold any more, or lost a file
        shutil.rmtree(place)
    beside.rename(place)
    progress.end()
    return pieces


class Progress:
    """How far a data set is, on the screen and, for processes that wait, in a file."""

    def __init__(self, place: Path, making: Making) -> None:
        self.file = place.with_name(f"{place.name}.progress")
        self.making = making
        self.began = self.written = time.monotonic()
        self.next = self.began + FIRST_LINE
        self.said = ""

    def show(self, line: str) -> None:
        """The work's own process: still alive, and so far."""
        now = time.monotonic()
        if now - self.written >= 1.0:
            self.written = now
            self.file.write_text(line, "utf-8")
        self.say(line, now)

    def say(self, line: str, now: float) -> None:
        """A line on the screen, seldom."""
        if now >= self.next:
            self.next = now + NEXT_LINE
            self.said = line
            self.making.say(line)

    def watch(self) -> None:
        """A process that waits: what the other one is at.

        Raises:
            OlmesError: it shows no sign of life.
        """
        now = time.monotonic()
        try:
            line, last = self.file.read_text("utf-8"), self.file.stat().st_mtime
        except FileNotFoundError:
            line, last = "preparing the data", 0.0
        silent = min(now - self.began, time.time() - last)
        if silent > 60 * self.making.wait_minutes:
            raise OlmesError(
                f"another process has been {line} and shows no sign of life since "
                f"{silent / 60:.0f} minutes; end it and start again."
            )
        self.say(f"another process of this machine: {line}", now)

    def end(self) -> None:
        """The work is done."""
        self.file.unlink(missing_ok=True)
