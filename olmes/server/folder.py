"""A folder of runs, served as it is: records found there are taken in, and new ones as they come."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from anyio import to_thread

from olmes.client.client import files_of
from olmes.errors import OlmesError
from olmes.records.record import RUN_FILE, record_folders
from olmes.server.access.audit import LOCAL
from olmes.server.failures import passing
from olmes.server.intake.run_files import run_content_hash
from olmes.server.observe import log
from olmes.server.refusals import RefusedError
from olmes.server.service import Service
from olmes.server.store.replacement import source_of
from olmes.tools.hashing import file_sha256

INTERVAL = 2.0
"""Seconds between two looks at the folder."""
SOONEST, LATEST = 2.0, 30.0
"""Seconds until what the machine did not let in is tried again: doubled from time to time."""
LEDGER = "ledger.jsonl"
WAITING = "runs of the folder"
"""What `/healthz` calls runs that are tried again."""

Mark = tuple[tuple[str, int, int], ...]
"""Name, time and size of the files by which a change is noticed."""


@dataclass(slots=True)
class Found:
    """A run of the folder, or its ledger, as it was at the last try."""

    mark: Mark
    """Of the file alone, once it was taken in."""
    whole: Mark = ()
    """Of everything that belongs to it, where it was refused: any of it may have been the reason."""
    why: str = ""
    """Why it is not here; '' where it is."""
    again: float = 0.0
    """When it is tried again though nothing has changed; 0 for never."""
    pause: float = SOONEST


class FolderIndex:
    """Takes in what lies in a folder.

    What is refused for what it says is said once, and looked at again when something of it changes.
    What the machine, the database or a worker did not let in is tried again by itself. Neither keeps
    the others out.
    """

    def __init__(self, service: Service, folder: str) -> None:
        self.service = service
        self.folder = Path(folder)
        self.known: dict[Path, Found] = {}

    async def once(self) -> None:
        """Take in what is new or changed since the last look.

        Raises:
            OSError: the folder is there and cannot be read.
        """
        for path in await to_thread.run_sync(self.due):
            await self.try_one(path, self.take)
        ledger = self.folder / LEDGER
        if await to_thread.run_sync(self.is_due, ledger):
            await self.try_one(ledger, self.take_ledger)
        if not any(one.again for one in self.known.values()):
            self.service.background.went_well(WAITING)

    async def try_one(self, path: Path, take: Callable[[Path], Awaitable[None]]) -> None:
        """Take in one thing, and keep why where it cannot be."""
        before = self.known.get(path)
        found = Found(await to_thread.run_sync(mark_of, path))
        # Before it is read: what changes while it is has to be seen the next time.
        whole = await to_thread.run_sync(whole_mark, path)
        try:
            await take(path)
        except Exception as error:
            found.why = words(error)
            if passing(error):
                found.pause = min(2 * before.pause, LATEST) if before and before.again else SOONEST
                found.again = time.monotonic() + found.pause
                self.service.background.failed(WAITING, error)
            else:
                found.whole = whole
            if before is None or before.why != found.why:
                self.say(path, error, found)
        self.known[path] = found

    def say(self, path: Path, error: Exception, found: Found) -> None:
        """Put into the log why something is not here: once, until the reason is another one."""
        expected = isinstance(error, (OlmesError, RefusedError, OSError))
        again = "it is tried again" if found.again else "it is looked at again when it changes"
        what = "the ledger" if path.name == LEDGER else "a run of the folder"
        name = path.parent.name
        log.warning(
            f"{what} was left out",
            extra={"facts": {"run": name, "why": found.why, "next": again}},
            exc_info=None if expected else error,
        )

    def due(self) -> list[Path]:
        """Records that are new, written anew or to be tried again, the oldest first."""
        found = []
        with contextlib.suppress(FileNotFoundError), os.scandir(self.folder):
            pass  # a search passes over what may not be read
        there = [folder / RUN_FILE for folder in record_folders(self.folder)]
        for gone in self.known.keys() - {*there, self.folder / LEDGER}:
            del self.known[gone]
        for path in there:
            if self.is_due(path):
                found.append((mark_of(path), str(path), path))
        return [path for *_, path in sorted(found)]

    def is_due(self, path: Path) -> bool:
        """Whether a file is there and has to be looked at."""
        mark = mark_of(path)
        if not mark:
            self.known.pop(path, None)
            return False
        known = self.known.get(path)
        if known is None or known.mark != mark:
            return True
        if known.again:
            return time.monotonic() >= known.again
        return bool(known.why) and known.whole != whole_mark(path)

    async def take(self, path: Path) -> None:
        """Take in a run that was not taken from there before, in the place of one that was.

        What became of that one here since, by a removal or a replacement, stands until the folder's
        record is written anew.
        """
        most = self.service.settings.limits.record
        if (await to_thread.run_sync(path.stat)).st_size > most:
            raise RefusedError(413, f"{path.name} is larger than {most:,} bytes.")
        files = await to_thread.run_sync(files_of, path.parent)
        hashes = {}
        for name, file in files.items():
            hashes[name] = await to_thread.run_sync(file_sha256, file)
        source, content_hash = source_of(path.parent), run_content_hash(hashes)
        store = self.service.store
        gone = await to_thread.run_sync(store.by_hash, content_hash) is None
        if not gone or await to_thread.run_sync(store.taken_from, source) != content_hash:
            await self.service.add(files, hashes, LOCAL, source=source)

    async def take_ledger(self, path: Path) -> None:
        """Take in the ledger of the folder."""
        await self.service.extend_ledger(path, LOCAL)


def words(error: Exception) -> str:
    """Why something could not be taken in."""
    if isinstance(error, RefusedError):
        return error.message
    if isinstance(error, OlmesError):
        return str(error)
    # A database says its whole statement after the first line.
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def mark_of(path: Path) -> Mark:
    """When a file was written, and its size; empty for what is no file one could read.

    A pipe under the name of a record would keep whoever opens it waiting for ever.
    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as error:
        return ((path.name, -1, error.errno or 0),)
    if not stat.S_ISREG(status.st_mode):
        return ()
    return ((path.name, status.st_mtime_ns, status.st_size),)


def whole_mark(path: Path) -> Mark:
    """The marks of everything that a run is made of, and of its ledger."""
    return tuple(one for file in sorted(belonging(path)) for one in mark_of(file))


def belonging(path: Path) -> Iterator[Path]:
    """The files that decide whether a run, or a ledger, is taken in."""
    yield path
    if path.name != LEDGER:
        yield path.parent.parent / LEDGER
        for folder in ("samples", "sealed"):
            try:
                yield from (path.parent / folder).iterdir()
            except OSError:
                continue
