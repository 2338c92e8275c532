"""The ledger of a store: every look at held-out tasks, one line each, chained by hashes.

`ledger.jsonl` beside the runs is only ever appended to. Each line holds the hash of the line before
it, so that a line that was changed, moved or taken out shows. Lines cut off at the end show where
a run of the store names them (`olmes.seal.verify`).
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from olmes.errors import OlmesError
from olmes.hashing import content_hash
from olmes.journal import lock
from olmes.jsonl import dumps

FILE_NAME = "ledger.jsonl"
START = "0" * 64
"""What the first line holds for the hash of the line before it."""

Entry = dict[str, Any]
"""A line: `number`, `time`, `event`, `run` and more by event, `previous`, `hash`."""


class Ledger:
    """The ledger of a store, which is a folder of runs."""

    def __init__(self, store: Path) -> None:
        self.path = store / FILE_NAME

    def entries(self) -> list[Entry]:
        """Every line, first to last, as far as it is JSON; a missing ledger has none."""
        return [entry for entry, _ in self.checked()]

    def problems(self) -> list[str]:
        """A sentence for each line that does not fit into the chain."""
        return [problem for _, problem in self.checked() if problem]

    def checked(self) -> Iterator[tuple[Entry, str]]:
        """Every line with what is wrong with it, '' where nothing is."""
        try:
            lines = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return
        previous = START
        for number, line in enumerate(lines[:-1], start=1):
            try:
                entry = json.loads(line)
            except ValueError:
                entry = None
            if not isinstance(entry, dict):
                yield {}, f"line {number} is not an entry"
                previous = ""
                continue
            yield entry, wrong_with(entry, number, previous)
            previous = str(entry.get("hash"))
        if lines[-1]:
            yield {}, f"line {len(lines)} is torn; the process that wrote it was killed"

    def append(self, event: str, run: str, facts: Mapping[str, Any]) -> Entry:
        """Add a line, and return it once it is on disk.

        Raises:
            OlmesError: the chain is broken, or the store cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a+b") as stream, locked(stream):
                cut_torn_line(stream)
                checked = list(self.checked())
                if problem := next((problem for _, problem in checked if problem), ""):
                    raise OlmesError(
                        f"{self.path} was tampered with ({problem}); restore it from a copy, "
                        "or begin another store with --out."
                    )
                entries = [one for one, _ in checked]
                entry = {
                    "number": len(entries) + 1,
                    "time": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
                    "event": event,
                    "run": run,
                    **facts,
                    "previous": entries[-1]["hash"] if entries else START,
                }
                entry["hash"] = content_hash(entry)
                stream.seek(0, os.SEEK_END)
                stream.write(dumps(entry).encode("utf-8") + b"\n")
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise OlmesError(
                f"{self.path} cannot be written ({error}); a look at held-out tasks must be "
                "written down first, so mend the folder or name another with --out."
            ) from None
        return entry


def wrong_with(entry: Entry, number: int, previous: str) -> str:
    """What is wrong with a line in its place; '' where nothing is."""
    if content_hash({key: value for key, value in entry.items() if key != "hash"}) != entry.get(
        "hash"
    ):
        return f"line {number} was changed: its content does not have its hash"
    if entry.get("number") != number:
        return f"line {number} has the number {entry.get('number')}: lines were removed or moved"
    if entry.get("previous") != previous:
        return f"line {number} does not follow the line before it"
    return ""


def cut_torn_line(stream: BinaryIO) -> None:
    """Remove a last line that a killed process left without its end."""
    stream.seek(0)
    content = stream.read()
    stream.truncate(content.rfind(b"\n") + 1)


@contextlib.contextmanager
def locked(stream: BinaryIO) -> Iterator[None]:
    """Hold the file's lock, waiting for other writers (each needs milliseconds)."""
    if os.name == "nt":
        lock(stream.fileno())
        yield
        return
    import fcntl

    fcntl.flock(stream, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(stream, fcntl.LOCK_UN)
