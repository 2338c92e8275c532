"""Worker processes: what is heavy or meets hostile files runs beside the server, not in it.

A reader's request then never waits for somebody else's upload, callers are served by turns, and a
worker that takes too long or has grown too large is ended and replaced.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from importlib.abc import MetaPathFinder
from typing import ParamSpec, TypeVar

import psutil

from olmes.server.access.turns import Turns
from olmes.server.refusals import RefusedError

P = ParamSpec("P")
T = TypeVar("T")
MOST_MEMORY = 160 << 20
"""Bytes of resident memory beyond which a worker is replaced once its work is done."""
IDLE = 30.0
"""Seconds without work after which a process that is not kept ends."""
GIVES_BACK = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 20),
    "MALLOC_ARENA_MAX": "2",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}
"""Settings of a worker's environment by which what was large is given back to the system at once."""


def prepared() -> None:
    """What makes a worker ready that needs nothing before its first work."""


class WorkerPool:
    """Processes that are started when there is work.

    Args:
        count: of the processes, at most; one more is started when work has to wait.
        seconds: that one piece of work may take.
        keep: processes that stay when there is no work.
        ready: called in every process but the first before it is given work.
    """

    def __init__(
        self,
        count: int,
        *,
        seconds: float,
        keep: int = 0,
        ready: Callable[[], object] = prepared,
    ) -> None:
        self.seconds = seconds
        self.keep = keep
        self.ready = ready
        self.turns = Turns(1)
        first, *self.unstarted = self.all = [Worker() for _ in range(count)]
        self.workers = [first]
        """Those that wait for work; the one that worked last is the next."""
        self.closed = False
        self.starting: set[asyncio.Task[None]] = set()

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in a worker process, for the server itself.

        Raises:
            RefusedError: it took too long or the process died (of memory, say); and what it raises.
        """
        return await self.run_for("", partial(function, *args, **kwargs))

    async def run_for(self, who: str, work: Callable[[], T], *, again: bool = False) -> T:
        """Do a piece of work for a caller.

        Args:
            who: as for `Turns.begin`.
            work: what is called; it and its result travel between processes.
            again: as for `Turns.begin`.

        Raises:
            RefusedError: as for `run`; or too much of the caller's waits already.
        """
        if not self.turns.free and self.unstarted:
            self.start(self.unstarted.pop())
        # One at a time for each process, so that the time limit counts work and not the wait for it.
        await self.turns.begin(who, again=again)
        worker = self.workers.pop()
        worker.rests(None)
        try:
            return await worker.run(work, self.seconds)
        finally:
            if worker.is_over() and not self.closed:
                self.start(worker)
            else:
                self.take(worker)

    def warm(self) -> None:
        """Start the first process before there is work for it, if it is not there."""
        if self.turns.free == 1 and len(self.workers) == 1 and self.workers[0].pool is None:
            self.turns.free = 0
            worker = self.workers.pop()
            worker.rests(None)
            self.start(worker)

    def start(self, worker: Worker) -> None:
        """Start a process beside the work; it is given some when it is ready."""

        async def started() -> None:
            try:
                await worker.start(self.ready, self.seconds)
            finally:
                self.take(worker)

        task = asyncio.create_task(started())
        self.starting.add(task)
        task.add_done_callback(self.starting.discard)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())

    def take(self, worker: Worker) -> None:
        """A worker is there for the next work."""
        self.workers.append(worker)
        self.turns.end()
        if not self.closed:
            loop = asyncio.get_running_loop()
            worker.rests(loop.call_later(IDLE, self.put_away, worker))

    def put_away(self, worker: Worker) -> None:
        """End a process that had nothing to do for long."""
        if len(self.all) - len(self.unstarted) <= self.keep or worker.pool is None:
            return
        worker.end(worker.pool)
        if len(self.unstarted) < len(self.all) - 1:
            # As it was before there was work for so many.
            self.workers.remove(worker)
            self.turns.free -= 1
            self.unstarted.append(worker)

    def close(self) -> None:
        """End the processes once their work is done."""
        self.closed = True
        for task in list(self.starting):
            task.cancel()
        for worker in self.all:
            worker.rests(None)
            worker.close()


class Worker:
    """One process, which ends when it is too slow or too large."""

    def __init__(self) -> None:
        self.pool: ProcessPoolExecutor | None = None
        self.until: asyncio.TimerHandle | None = None
        """When it is put away, unless it is given work."""

    def rests(self, until: asyncio.TimerHandle | None) -> None:
        """It has no work from now on, or has some (None)."""
        if self.until:
            self.until.cancel()
        self.until = until

    async def start(self, ready: Callable[[], object], seconds: float) -> None:
        """Start the process, and wait until it is ready."""
        with contextlib.suppress(RefusedError):  # who gives it work is told
            await self.run(ready, seconds)

    async def run(self, work: Callable[[], T], seconds: float) -> T:
        """Call a function in the process.

        Raises:
            RefusedError: as `WorkerPool.run`.
        """
        pool, task = self._submit(work)
        # What becomes of it when nobody waits any longer is nobody's failure.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            return await asyncio.wait_for(asyncio.shield(task), seconds)
        except TimeoutError:
            self.end(pool)
            raise RefusedError(422, f"it took longer than {seconds:g} seconds.") from None
        except asyncio.CancelledError:
            if task.cancelled():  # with the pool, and not whoever waits for it
                raise RefusedError(503, "the work was interrupted; try again.") from None
            # Nobody waits for it, and the next work must not wait behind it.
            self.end(pool)
            raise
        except BrokenProcessPool:
            self.end(pool)
            raise RefusedError(503, "the work was interrupted; try again.") from None

    def _submit(self, work: Callable[[], T]) -> tuple[ProcessPoolExecutor, asyncio.Future[T]]:
        """Give work to a pool; to a new one where the last one's processes died of themselves."""
        for _ in range(2):
            pool = self.pool = self.pool or start()
            try:
                return pool, asyncio.wrap_future(pool.submit(work))
            except BrokenProcessPool:
                self.end(pool)
        raise RefusedError(503, "worker processes die at once; try again.")

    def is_over(self) -> bool:
        """Whether the process has ended or is to be replaced: so much it holds in memory."""
        if self.pool is not None and memory(self.pool) > MOST_MEMORY:
            self.end(self.pool)
        return self.pool is None

    def end(self, pool: ProcessPoolExecutor) -> None:
        """Kill the process, whose memory is free at once; the next work starts another."""
        self.pool = None
        # The pool has no public way to end a process that does not come back.
        for process in processes(pool):
            process.kill()
        pool.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """End the process once its work is done."""
        if self.pool is not None:
            self.pool.shutdown(wait=True, cancel_futures=True)
            self.pool = None


def processes(pool: ProcessPoolExecutor) -> list[multiprocessing.Process]:
    """The processes of a pool."""
    return list((getattr(pool, "_processes", None) or {}).values())


def memory(pool: ProcessPoolExecutor) -> int:
    """Bytes that the processes of a pool hold in memory."""
    total = 0
    for process in processes(pool):
        try:
            total += psutil.Process(process.pid).memory_info().rss
        except psutil.Error:  # it has just ended
            continue
    return total


def start() -> ProcessPoolExecutor:
    """A process that knows nothing of the server's threads and connections."""
    for name, value in GIVES_BACK.items():
        os.environ.setdefault(name, value)
    return ProcessPoolExecutor(
        1, mp_context=multiprocessing.get_context("spawn"), initializer=prepare
    )


def prepare() -> None:
    """Make a worker end with the server, and only with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    sys.meta_path.insert(0, WithoutPandas())


class WithoutPandas(MetaPathFinder):
    """Says that pandas is not installed.

    pyarrow imports it to know its missing values, of which there are none here: 70 MB for nothing.
    """

    def find_spec(self, name: str, path: object, target: object = None) -> None:  # noqa: ARG002
        """Where a module is: the next finder says it."""
        if name == "pandas":
            raise ModuleNotFoundError("workers do without pandas", name=name)
