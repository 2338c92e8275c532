"""Worker processes: what is heavy or meets hostile files runs beside the server, not in it.

A reader's request then never waits for somebody else's upload, callers are served by turns, and a
worker that takes too long or has grown too large is ended and replaced.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import ParamSpec, TypeVar

import psutil

from olmes.server.access.turns import Turns
from olmes.server.refusals import RefusedError

P = ParamSpec("P")
T = TypeVar("T")
MOST_MEMORY = 200 << 20
"""Bytes of resident memory beyond which a worker is replaced once its work is done."""


class WorkerPool:
    """Processes that are started when there is work.

    Args:
        count: of the processes.
        seconds: that one piece of work may take.
        ready: called in a process that replaces one, so that the next work need not wait for it.
    """

    def __init__(
        self, count: int, *, seconds: float, ready: Callable[[], object] | None = None
    ) -> None:
        self.seconds = seconds
        self.turns = Turns(count)
        self.workers = [Worker(ready) for _ in range(count)]

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in a worker process, for the server itself.

        Raises:
            RefusedError: it took too long or the process died (of memory, say); and what it raises.
        """
        return await self.run_for("", partial(function, *args, **kwargs))

    async def run_for(self, who: str, work: Callable[[], T], *, again: bool = False) -> T:
        """Do a piece of work for a caller.

        Args:
            who: as for `Turns.turn`.
            work: what is called; it and its result travel between processes.
            again: as for `Turns.turn`.

        Raises:
            RefusedError: as for `run`; or too much of the caller's waits already.
        """
        # One at a time for each process, so that the time limit counts work and not the wait for it.
        async with self.turns.turn(who, again=again):
            # The one used last: the others are started only when there is work for several.
            worker = self.workers.pop()
            try:
                return await worker.run(work, self.seconds)
            finally:
                self.workers.append(worker)

    def close(self) -> None:
        """End the processes once their work is done."""
        for worker in self.workers:
            worker.close()


class Worker:
    """One process, replaced when it is too slow, too large or dead."""

    def __init__(self, ready: Callable[[], object] | None) -> None:
        self.ready = ready
        self.pool: ProcessPoolExecutor | None = None

    async def run(self, work: Callable[[], T], seconds: float) -> T:
        """Call a function in the process.

        Raises:
            RefusedError: as `WorkerPool.run`.
        """
        if self.pool is None:
            self.pool = start()
        pool = self.pool
        task = asyncio.wrap_future(pool.submit(work))
        try:
            found = await asyncio.wait_for(asyncio.shield(task), seconds)
        except TimeoutError:
            self.end(pool, task)
            raise RefusedError(422, f"it took longer than {seconds:g} seconds.") from None
        except asyncio.CancelledError:
            # Nobody waits for it, and the next work must not wait behind it.
            self.end(pool, task)
            raise
        except BrokenProcessPool:
            self.end(pool, task)
            raise RefusedError(503, "the work was interrupted; try again.") from None
        finally:
            if self.pool is pool and memory(pool) > MOST_MEMORY:
                self.replace(pool)
        return found

    def replace(self, pool: ProcessPoolExecutor) -> None:
        """Let a process go, and start another in its place."""
        pool.shutdown(wait=False)
        self.pool = None
        if self.ready:
            self.pool = start()
            self.pool.submit(self.ready)

    def end(self, pool: ProcessPoolExecutor, task: asyncio.Future[T]) -> None:
        """Kill a process; the next work starts another."""
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
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
