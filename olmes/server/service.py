"""The server's parts, put together: what every route works with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from anyio import CapacityLimiter, to_thread
from fastapi import Request

from olmes.client.types import Arrival, Primary, RunSummary
from olmes.server.access.audit import Caller
from olmes.server.background import Background
from olmes.server.events import Hub
from olmes.server.intake.run_files import open_sealed, take_in
from olmes.server.observe import ServerMetrics, log
from olmes.server.pages.look_lines import look_lines
from olmes.server.pages.report_pages import ready
from olmes.server.pages.server_pages import headline
from olmes.server.refusals import RefusedError
from olmes.server.settings import Settings
from olmes.server.store.artifacts import sealed_name
from olmes.server.store.ledgers import read_ledger
from olmes.server.store.sample_parts import drop_parcels, ready_to_read
from olmes.server.store.store import Store
from olmes.server.store.table_rows import RunRow
from olmes.server.store.uploads import Upload, Uploads
from olmes.server.workers import WorkerPool

INTAKE_SECONDS = 600.0
PAGE_SECONDS = 120.0
RENDERING = 2
"""Processes that make pages: what takes long leaves one to the rest. Samples are read by another."""
RECORDS = 2
"""Whole records that are read at a time: one may have 16 MB."""


class Service:
    """A store that is served."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = Store(settings)
        self.uploads = Uploads(settings, self.store.database)
        self.hub = Hub()
        self.numbers = ServerMetrics()
        self.background = Background(self.numbers)
        self.intake = WorkerPool(1, seconds=INTAKE_SECONDS)
        self.rendering = WorkerPool(RENDERING, seconds=PAGE_SECONDS, keep=1, ready=ready)
        self.reading = WorkerPool(1, seconds=PAGE_SECONDS, keep=1, ready=ready_to_read)
        self.records = CapacityLimiter(RECORDS)
        self.locks: dict[str, asyncio.Lock] = {}
        self.last_announced = 0
        self.on_run: list[Callable[[str], None]] = []

    async def commit(self, upload: Upload, caller: Caller) -> tuple[RunRow, bool]:
        """Make an upload a run, whole and visible at once.

        Returns:
            The run, and whether it is new.

        Raises:
            RefusedError: the upload is not in order, and is dropped unless bytes are missing.
        """
        files = await to_thread.run_sync(self.uploads.sync, upload)
        try:
            new = await self.add(files, upload.hashes, caller, upload=upload)
        except RefusedError as refused:
            if refused.status in (409, 413, 422):
                await to_thread.run_sync(self.uploads.drop, upload.id)
            self.numbers.uploaded.labels("refused").inc()
            raise
        await to_thread.run_sync(self.uploads.clear, upload.id)
        run = await to_thread.run_sync(self.store.by_hash, upload.content_hash)
        if run is None:
            raise RefusedError(409, "the run was removed or replaced in the meantime.", "id")
        self.numbers.uploaded.labels("added" if new else "present").inc()
        return run, new

    async def add(
        self,
        files: Mapping[str, Path],
        hashes: Mapping[str, str],
        caller: Caller,
        *,
        upload: Upload | None = None,
        replace: bool = False,
    ) -> bool:
        """Take in the files of a run; False if its content was here before.

        Raises:
            RefusedError: as `take_in` and `Store.add`.
        """
        intake = await self.intake.run(take_in, self.settings, files, hashes)
        new = await to_thread.run_sync(
            lambda: self.store.add(
                intake,
                caller,
                replace=upload.replace if upload else replace,
                upload=upload.id if upload else "",
            )
        )
        await self.announce()
        return new

    async def extend_ledger(self, path: Path, caller: Caller) -> list[str]:
        """Take in a ledger; the runs whose samples it opened.

        Raises:
            RefusedError: its chain does not hold, or a file that it opens is not in order.
        """
        entries = await self.intake.run(read_ledger, path)
        closed = await to_thread.run_sync(self.store.unsealed_runs, entries)
        opened: dict[tuple[int, str], str] = {}
        for one in closed:
            for task, sealed in one.run.sealed.items():
                packed = sealed_name(sealed.sha256)
                metric = one.run.tasks[task].primary
                opened[one.seq, task] = await self.intake.run(
                    open_sealed, self.settings, packed, metric
                )
        await to_thread.run_sync(self.store.extend_ledger, entries, opened, caller)
        await self.announce()
        return [one.run.id for one in closed]

    async def announce(self) -> None:
        """Tell listeners of every run that came since the last time, whoever brought it."""
        for seq, run in await to_thread.run_sync(self.arrivals, self.last_announced):
            if seq > self.last_announced:
                self.last_announced = seq
                self.hub.arrived(seq, run)
                for listener in self.on_run:
                    listener(run["id"])

    def arrivals(self, seq: int, limit: int = 1000) -> list[tuple[int, Arrival]]:
        """Runs that came after another, each with its `seq`."""
        rows = self.store.runs_since(seq, limit)
        numbers = self.store.primaries([row.seq for row in rows])
        looks = look_lines(self.store, rows)
        return [(row.seq, arrival(row, numbers[row.seq], looks.get(row.seq, ""))) for row in rows]

    def lock(self, upload: str) -> asyncio.Lock:
        """One request at a time works on an upload."""
        if len(self.locks) > 1000:
            self.locks = {key: lock for key, lock in self.locks.items() if lock.locked()}
        return self.locks.setdefault(upload, asyncio.Lock())

    async def tidy(self) -> None:
        """Remove the samples of no run, once, while the server is up already."""
        await to_thread.run_sync(drop_parcels, self.settings)
        try:
            swept = await to_thread.run_sync(self.store.sweep)
        except Exception as error:  # an object store that is away, say; the next start tries again
            log.warning("old samples were not swept", extra={"facts": {"why": str(error)}})
        else:
            log.info("swept", extra={"facts": {"artifacts": swept}})

    def close(self) -> None:
        """End the workers and the connections."""
        self.intake.close()
        self.rendering.close()
        self.reading.close()
        self.store.database.close()


def summary(run: RunRow, tasks: Mapping[str, Primary]) -> RunSummary:
    """A run in a list, with the primary metrics of its tasks."""
    return RunSummary(
        id=run.id,
        content_hash=run.content_hash,
        created=run.created,
        arrived=run.arrived,
        uploaded_by=run.uploaded_by,
        complete=run.complete,
        model=run.model,
        fingerprint=run.fingerprint,
        family=run.family,
        step=run.step,
        held_out=run.held_out,
        opened=run.opened,
        demo_data=run.demo_data,
        standard=run.standard,
        limited=run.limited,
        items=run.items,
        samples=run.samples,
        suite=run.suite_mean,
        tasks=dict(tasks),
    )


def arrival(run: RunRow, tasks: Mapping[str, Primary], look: str) -> Arrival:
    """A run as listeners get it: its summary, and what the list of runs writes."""
    head = headline(run, tasks)
    return Arrival(
        **summary(run, tasks),
        look=look,
        what=head.what,
        score=head.score,
        interval=head.interval,
        thoughts=head.thoughts,
    )


def service_of(request: Request) -> Service:
    """The service a request is made to."""
    service: Service = request.app.state.service
    return service


def caller_key(request: Request) -> str:
    """By what callers take turns: a token's name, or the address where there is none."""
    caller = caller_of(request)
    return caller.address if caller.name == "local" else caller.name


def caller_of(request: Request) -> Caller:
    """Who makes a request."""
    caller: Caller = request.state.caller
    return caller
