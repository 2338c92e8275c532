"""The ledger of a store: every look at held-out tasks, one line each, chained by hashes.

`ledger.jsonl` beside the runs is only ever appended to. Each line holds the hash of the line before
it, so that a line that was changed, moved or taken out shows. A chain alone does not show that lines
were cut off at its end: `ledger.head` names the last one, and so do the runs (`olmes.seal.verify`).
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from olmes.errors import OlmesError
from olmes.records.ledger_results import LEDGER_FILE
from olmes.tools import json_text
from olmes.tools.durable_files import make_folder, remove_unfinished, write_atomically, write_line
from olmes.tools.hashing import content_hash
from olmes.tools.jsonl import dumps
from olmes.tools.locks import locked

FILE_NAME = LEDGER_FILE
HEAD_NAME = "ledger.head"
START = "0" * 64
"""What the first line holds for the hash of the line before it."""

ANOTHER_STORE = "begin another store with --out, in which the looks so far still count"

HEAD = ("number", "hash")
"""What `ledger.head` repeats of the last line."""

Entry = dict[str, Any]
"""A line: `number`, `time`, `event`, `run` and more by event, `previous`, `hash`."""


class Ledger:
    """The ledger of a store, which is a folder of runs."""

    def __init__(self, store: Path) -> None:
        self.path = store / FILE_NAME
        self.head = store / HEAD_NAME

    def entries(self) -> list[Entry]:
        """Every line, first to last, as far as it is JSON; a missing ledger has none."""
        return [entry for entry, _ in self.checked()]

    def problems(self) -> list[str]:
        """A sentence for each line that does not fit into the chain, and for one cut off its end."""
        checked = list(self.checked())
        return [*filter(None, [problem for _, problem in checked]), *self.cut_off(checked)]

    def cut_off(self, checked: Sequence[tuple[Entry, str]]) -> list[str]:
        """What `ledger.head` says against the lines there are, which are given as checked.

        It is written after its line, so that it may be one behind where a process was killed: of the
        first line it then says that there is none.
        """
        try:
            head = json.loads(self.head.read_bytes())
            number, digest = int(head["number"]), str(head["hash"])
        except FileNotFoundError:
            return [f"{HEAD_NAME} is missing, which names the last line"] if checked else []
        except (ValueError, TypeError, KeyError):
            return [f"{HEAD_NAME} is not a line's number and hash"]
        if 0 < number <= len(checked) and checked[number - 1][0].get("hash") == digest:
            return []
        if number == 0 and digest == START and len(checked) <= 1:
            return []
        return [
            f"line {number} is not the one that {HEAD_NAME} names: lines were cut off or changed"
        ]

    def checked(self) -> Iterator[tuple[Entry, str]]:
        """Every line with what is wrong with it, '' where nothing is."""
        try:
            *lines, rest = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return
        if whole(rest):
            lines, rest = [*lines, rest], b""
        previous = START
        for number, line in enumerate(lines, start=1):
            entry = parsed(line)
            if entry is None:
                yield {}, f"line {number} is not an entry"
                previous = ""
                continue
            yield entry, wrong_with(entry, number, previous)
            previous = str(entry.get("hash"))
        if rest:
            yield {}, f"line {len(lines) + 1} is torn; the process that wrote it was killed"

    def append(self, event: str, run: str, facts: Mapping[str, Any]) -> Entry:
        """Add a line, and return it once it is on disk.

        Raises:
            OlmesError: the chain is broken, or the store cannot be written.
        """
        try:
            make_folder(self.path.parent)
            # Without a buffer: what a full disk refuses must not be written later, behind another's.
            with self.path.open("a+b", buffering=0) as stream, locked(stream, self.path):
                mend_end(stream)
                if os.fstat(stream.fileno()).st_size == 0 and not self.head.exists():
                    # So that a head is missing only where somebody removed it.
                    self.write_head({"number": 0, "hash": START})
                self.check()
                entries = self.entries()
                entry = {
                    "number": len(entries) + 1,
                    "time": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
                    "event": event,
                    "run": run,
                    **facts,
                    "previous": entries[-1]["hash"] if entries else START,
                }
                entry["hash"] = hash_of(entry)
                write_line(stream, dumps(entry).encode("utf-8") + b"\n")
                self.write_head(entry)
        except OSError as error:
            raise OlmesError(
                f"{self.path} cannot be written ({error}); a look at held-out tasks must be "
                "written down first, so fix the folder or name another with --out."
            ) from None
        return entry

    def check(self) -> None:
        """Refuse a ledger that nothing can be added to, before there is anything to add.

        Raises:
            OlmesError: the chain is broken.
        """
        if problems := self.problems():
            raise OlmesError(
                f"{self.path} was tampered with ({problems[0]}); restore it from a copy, "
                f"or {ANOTHER_STORE}."
            )

    def write_head(self, entry: Entry) -> None:
        """Name a line as the last."""
        write_atomically(self.head, dumps({key: entry[key] for key in HEAD}) + "\n")

    def mend(self) -> None:
        """Bring to an end what a killed process left: half a line, or a head that is one behind.

        Raises:
            OSError: there is such a thing, and the store cannot be written.
        """
        if ends_torn(self.path) or self.unnamed():
            with self.path.open("r+b", buffering=0) as stream, locked(stream, self.path):
                mend_end(stream)
                if last := self.unnamed():
                    self.write_head(last)
        remove_unfinished(self.head)

    def unnamed(self) -> Entry | None:
        """The last line of a whole ledger where `ledger.head` names the one before it."""
        checked = list(self.checked())
        if not checked or any(problem for _, problem in checked):
            return None
        last = checked[-1][0]
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            head = json.loads(self.head.read_bytes())
            if (head["number"], head["hash"]) == (last["number"] - 1, last["previous"]):
                return last
        return None


def ends_torn(path: Path) -> bool:
    """Whether a file's last line has no end; a missing file has no line."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return False
    return bool(content) and not content.endswith(b"\n")


def wrong_with(entry: Entry, number: int, previous: str) -> str:
    """What is wrong with a line in its place; '' where nothing is."""
    if hash_of(entry) != entry.get("hash"):
        return f"line {number} was changed: its content does not have its hash"
    if entry.get("number") != number:
        return f"line {number} has the number {entry.get('number')}: lines were removed or moved"
    if entry.get("previous") != previous:
        return f"line {number} does not follow the line before it"
    return ""


def parsed(line: bytes) -> Entry | None:
    """A line's entry; None where it is none."""
    try:
        entry = json_text.parse(line, any_number=True)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def whole(line: bytes) -> bool:
    """Whether a line is an entry with its hash."""
    entry = parsed(line)
    return entry is not None and entry.get("hash") == hash_of(entry)


def hash_of(entry: Entry) -> str:
    """The hash of a line's content."""
    return content_hash({key: value for key, value in entry.items() if key != "hash"})


def mend_end(stream: BinaryIO) -> None:
    """Remove a last line that a killed process left half; end one that lacks its line break alone."""
    stream.seek(0)
    content = stream.read()
    end = content.rfind(b"\n") + 1
    if whole(content[end:]):
        write_line(stream, b"\n")
    elif end < len(content):
        stream.truncate(end)
