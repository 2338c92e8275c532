"""The server's parts, put together: what every route works with."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from pathlib import Path

from anyio import CapacityLimiter, to_thread
from anyio.abc import TaskGroup
from fastapi import Request

from olmes.client.types import Arrival, Opened, Primary, RunSummary, StaysClosed
from olmes.records.shown import MISSING
from olmes.server.access.audit import Caller
from olmes.server.background import Background
from olmes.server.events import Hub
from olmes.server.failures import passing
from olmes.server.health import HealthCheck
from olmes.server.intake.run_files import open_sealed, take_in
from olmes.server.observe import ServerMetrics, log
from olmes.server.pages.look_lines import look_lines
from olmes.server.pages.report_pages import ready
from olmes.server.pages.server_pages import headline
from olmes.server.refusals import RefusedError
from olmes.server.settings import Settings
from olmes.server.store.artifacts import sealed_name
from olmes.server.store.families import whole
from olmes.server.store.ledgers import read_ledger
from olmes.server.store.openings import Opening
from olmes.server.store.repair import damaged, open_again
from olmes.server.store.sample_parts import drop_parcels, ready_to_read
from olmes.server.store.store import Store
from olmes.server.store.table_rows import RunRow
from olmes.server.store.uploads import Upload, Uploads
from olmes.server.workers import WorkerPool

INTAKE_SECONDS = 600.0
PAGE_SECONDS = 120.0
ANNOUNCED = 5.0
"""Seconds between two looks for runs that nobody heard of."""
ANNOUNCE = "announce"
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
        self.health = HealthCheck(settings.store, self.background)
        self.intake = WorkerPool(1, seconds=INTAKE_SECONDS)
        # What is under seal is unpacked first; a file that takes its time there holds no other run.
        self.unpacking = WorkerPool(1, seconds=INTAKE_SECONDS)
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
        self.uploads.busy.add(upload.id)
        try:
            new = await self.add(files, upload.hashes, caller, upload=upload)
        except RefusedError as refused:
            if refused.status in (403, 409, 413, 422):
                await to_thread.run_sync(self.uploads.drop, upload.id)
            self.numbers.uploaded.labels("refused").inc()
            raise
        finally:
            self.uploads.busy.discard(upload.id)
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
        source: str = "",
    ) -> bool:
        """Take in the files of a run; False if its content was here before.

        Args:
            files: by name.
            hashes: SHA-256 by name.
            caller: who brings it.
            upload: what it came by.
            source: of the served folder that it lies in (`source_of`).

        Raises:
            RefusedError: as `take_in` and `Store.add`.
        """
        sealed = any(name.startswith("sealed/") for name in files)
        workers = self.unpacking if sealed else self.intake
        intake = await workers.run(take_in, self.settings, files, hashes)
        new = await to_thread.run_sync(
            lambda: self.store.add(
                intake,
                caller,
                replace=upload.replace if upload else bool(source),
                upload=upload.id if upload else "",
                source=source,
            )
        )
        if not new and intake.run.held_out:
            await self.open_again(intake.run.id)
        await self.announce_now()
        return new

    async def open_again(self, run: str) -> None:
        """Unpack once more what was opened and is damaged, out of the sealed files.

        Raises:
            RefusedError: a sealed file is not in order.
        """
        opened: dict[str, str] = {}
        for row, metric in await to_thread.run_sync(damaged, self.store, run):
            if row.opened:
                opened[row.task] = await self.unpacking.run(
                    open_sealed, self.settings, sealed_name(row.sha256), metric
                )
        if opened:
            await to_thread.run_sync(open_again, self.store, run, opened)

    async def extend_ledger(self, path: Path, caller: Caller) -> Opened:
        """Take in a ledger; the runs whose samples it opened, and those that stay closed all the same.

        Raises:
            RefusedError: its chain does not hold, or it is of other people's runs.
        """
        entries = await self.intake.run(read_ledger, path)
        named = await to_thread.run_sync(self.store.ledgers.openings, entries, caller)
        opened: dict[tuple[int, str], str] = {}
        closed: dict[str, str] = {}
        for one in named:
            try:
                samples = await self.open_samples(one)
            except RefusedError as refused:
                closed[one.run.id] = refused.message
            else:
                opened |= {(one.seq, task): artifact for task, artifact in samples.items()}
        await to_thread.run_sync(self.store.ledgers.extend, entries, opened, closed, caller)
        for run, why in closed.items():
            log.warning("a run stays closed", extra={"facts": {"run": run, "why": why}})
        await self.announce_now()
        return Opened(
            opened=[one.run.id for one in named if one.run.id not in closed],
            closed=[StaysClosed(id=run, why=why) for run, why in closed.items()],
        )

    async def open_samples(self, one: Opening) -> dict[str, str]:
        """Unpack what a run has under seal; the artifact of the open samples by task.

        Raises:
            RefusedError: it is not for the caller to open, or a file is not in order.
        """
        if one.why_not:
            raise RefusedError(403, one.why_not)
        opened = {}
        for task, sealed in one.run.sealed.items():
            if task in one.run.gated:
                continue
            packed, metric = sealed_name(sealed.sha256), one.run.tasks[task].primary
            opened[task] = await self.unpacking.run(
                open_sealed, self.settings, packed, metric, rows=sealed.rows
            )
        return opened

    async def announce_now(self) -> None:
        """`announce`, for whoever brought a run: it is here, also where others hear of it later."""
        try:
            await self.announce()
        except Exception as error:
            self.background.failed(ANNOUNCE, error)

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
        try:
            looks = look_lines(self.store, rows)
        except Exception as error:
            if passing(error):
                raise
            looks = {}
        return [(row.seq, announced(row, numbers[row.seq], looks.get(row.seq, ""))) for row in rows]

    def lock(self, upload: str) -> asyncio.Lock:
        """One request at a time works on an upload."""
        if len(self.locks) > 1000:
            self.locks = {key: lock for key, lock in self.locks.items() if lock.locked()}
        return self.locks.setdefault(upload, asyncio.Lock())

    async def tidy(self) -> None:
        """Remove the samples of no run, once, while the server is up already."""
        await to_thread.run_sync(drop_parcels, self.settings)
        swept = await to_thread.run_sync(self.store.sweep)
        log.info("swept", extra={"facts": {"artifacts": swept}})

    def start(self, group: TaskGroup) -> None:
        """Begin what is done beside the requests."""
        self.background.start(group, "sweep", self.tidy, every=math.inf)
        # What could not be said at once, and what came by another server of the same store.
        self.background.start(group, ANNOUNCE, self.announce, every=ANNOUNCED)

    async def sweep_uploads(self) -> None:
        """Drop the uploads that nobody goes on with."""
        if swept := await to_thread.run_sync(self.uploads.sweep):
            log.info("uploads swept", extra={"facts": {"uploads": swept}})

    def close(self) -> None:
        """End the workers and the connections, each whatever became of the others."""
        pools = (self.intake, self.unpacking, self.rendering, self.reading)
        for part in (*pools, self.store.database, self.health):
            try:
                part.close()
            except Exception as error:
                log.error("a part did not end in order", exc_info=error)


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
        step=run.step if run.step is None else whole(run.step),
        held_out=run.held_out,
        opened=run.opened,
        demo_data=run.demo_data,
        standard=run.standard,
        limited=run.limited,
        item_set=run.item_set,
        items=run.items,
        samples=run.samples,
        unscored=run.unscored,
        lacking=run.lacking,
        suite=run.suite_mean,
        tasks=dict(tasks),
    )


def announced(run: RunRow, tasks: Mapping[str, Primary], look: str) -> Arrival:
    """`arrival`; without numbers where they cannot be written, so that the others are heard of."""
    try:
        return arrival(run, tasks, look)
    except Exception as error:
        facts = {"run": run.id}
        log.error("a run cannot be shown as it arrives", extra={"facts": facts}, exc_info=error)
        return Arrival(
            **summary(run, {}), look="", what=run.suite, score=MISSING, interval="", thoughts=""
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
