"""A folder of runs, served as it is: records found there are taken in, and new ones as they come."""

from __future__ import annotations

from pathlib import Path

from anyio import to_thread

from olmes.client.client import files_of
from olmes.errors import OlmesError
from olmes.records.record import RUN_FILE, record_folders
from olmes.server.access.audit import LOCAL
from olmes.server.intake.run_files import run_content_hash
from olmes.server.observe import log
from olmes.server.refusals import RefusedError
from olmes.server.service import Service
from olmes.server.store.replacement import source_of
from olmes.tools.hashing import file_sha256

INTERVAL = 2.0
"""Seconds between two looks at the folder."""


class FolderIndex:
    """Takes in what lies in a folder."""

    def __init__(self, service: Service, folder: str) -> None:
        self.service = service
        self.folder = Path(folder)
        self.seen: dict[Path, tuple[int, int]] = {}
        self.ledger_seen = (0, 0)

    async def once(self) -> None:
        """Take in what is new or changed since the last look."""
        for path in await to_thread.run_sync(self.changed):
            try:
                await self.take(path.parent)
            except (OlmesError, RefusedError, OSError, KeyError, TypeError) as error:
                # Half a copy or a strange ledger, say: said once, looked at again when changed.
                facts = {"run": path.parent.name, "why": getattr(error, "message", str(error))}
                log.warning("a run of the folder was left out", extra={"facts": facts})
        ledger = self.folder / "ledger.jsonl"
        if ledger.is_file() and (mark := stamp(ledger)) != self.ledger_seen:
            self.ledger_seen = mark
            try:
                await self.service.extend_ledger(ledger, LOCAL)
            except RefusedError as error:
                log.warning("the ledger was left out", extra={"facts": {"why": error.message}})

    def changed(self) -> list[Path]:
        """Records that are new or written anew, the oldest first."""
        found = []
        for path in (folder / RUN_FILE for folder in record_folders(self.folder)):
            try:
                mark = stamp(path)
            except FileNotFoundError:
                continue
            if self.seen.get(path) != mark:
                self.seen[path] = mark
                found.append((mark, path))
        return [path for _, path in sorted(found)]

    async def take(self, folder: Path) -> None:
        """Take in a run that was not taken from there before, in the place of one that was.

        What became of that one here since, by a removal or a replacement, stands until the folder's
        record is written anew.
        """
        files = await to_thread.run_sync(files_of, folder)
        hashes = {}
        for name, path in files.items():
            hashes[name] = await to_thread.run_sync(file_sha256, path)
        source, content_hash = source_of(folder), run_content_hash(hashes)
        store = self.service.store
        gone = await to_thread.run_sync(store.by_hash, content_hash) is None
        if not gone or await to_thread.run_sync(store.taken_from, source) != content_hash:
            await self.service.add(files, hashes, LOCAL, source=source)


def stamp(path: Path) -> tuple[int, int]:
    """When a file was written, and its size."""
    status = path.stat()
    return status.st_mtime_ns, status.st_size
