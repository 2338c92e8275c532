"""Worker processes: what is heavy or meets hostile files runs beside the server, not in it.

A reader's request then never waits for somebody else's upload, and a worker that takes too long is
ended and replaced.
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

from olmes.server.refusals import RefusedError

P = ParamSpec("P")
T = TypeVar("T")
TASKS_A_WORKER = 200
"""After which a worker is replaced, so that what it holds in memory is given back."""


class WorkerPool:
    """A pool of processes that are started when there is work."""

    def __init__(self, count: int, *, seconds: float) -> None:
        self.count = count
        self.seconds = seconds
        self.free = asyncio.Semaphore(count)
        self.pool: ProcessPoolExecutor | None = None

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in a worker process.

        Raises:
            RefusedError: it took too long or the process died (of memory, say); and what it raises.
        """
        # One at a time for each process, so that the time limit counts work and not the wait for it.
        async with self.free:
            return await self._run(partial(function, *args, **kwargs))

    async def _run(self, work: Callable[[], T]) -> T:
        pool, task = self._submit(work)
        try:
            return await asyncio.wait_for(asyncio.shield(task), self.seconds)
        except TimeoutError:
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
            self.end(pool)
            raise RefusedError(422, f"it took longer than {self.seconds:g} seconds.") from None
        except BrokenProcessPool:
            self.end(pool)
            raise RefusedError(503, "the work was interrupted; try again.") from None
        except asyncio.CancelledError:
            if task.cancelled():  # with the pool, and not whoever waits for it
                raise RefusedError(503, "the work was interrupted; try again.") from None
            raise

    def _submit(self, work: Callable[[], T]) -> tuple[ProcessPoolExecutor, asyncio.Future[T]]:
        """Give a work to a pool; to a new one where the last one's processes died of themselves."""
        for last in (False, True):
            pool = self.pool = self.pool or start(self.count)
            try:
                return pool, asyncio.wrap_future(pool.submit(work))
            except Exception as error:  # it takes nothing any more
                self.end(pool)
                if last or not isinstance(error, BrokenProcessPool):
                    raise
        raise AssertionError("unreachable")

    def end(self, pool: ProcessPoolExecutor) -> None:
        """Kill a pool's processes; the next work starts others."""
        if self.pool is pool:
            self.pool = None
        # The pool has no public way to end a process that does not come back.
        for process in list((getattr(pool, "_processes", None) or {}).values()):
            process.kill()
        pool.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """End the processes once their work is done."""
        if self.pool is not None:
            self.pool.shutdown(wait=True, cancel_futures=True)
            self.pool = None


def start(count: int) -> ProcessPoolExecutor:
    """A pool of processes that know nothing of the server's threads and connections."""
    return ProcessPoolExecutor(
        count,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=prepare,
        max_tasks_per_child=TASKS_A_WORKER,
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
