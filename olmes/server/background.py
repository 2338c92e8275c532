"""What the server does beside answering: tasks that live through any failure and say so."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import anyio
from anyio.abc import TaskGroup

from olmes.server.observe import ServerMetrics, log

SOONEST, LATEST = 1.0, 60.0
"""Seconds until a task that failed is tried again: doubled from failure to failure."""
MOST, LONGEST = 100, 2000
"""Causes that are remembered, and characters of each."""


class Background:
    """Tasks that are done again and again, whatever happens to one of them.

    A failure is counted, and logged once for each cause until the task goes well; it is tried again
    after a pause. Until it has gone well once more it is in `failing`, which `/healthz` shows.
    """

    def __init__(self, numbers: ServerMetrics) -> None:
        self.numbers = numbers
        self.failing: dict[str, str] = {}
        """Why each task that failed last did, by its name."""
        self.said: dict[str, set[str]] = {}
        """The causes that were logged since it last went well."""

    def start(
        self, group: TaskGroup, name: str, work: Callable[[], Awaitable[None]], *, every: float
    ) -> None:
        """Do a work now, and again `every` seconds after each time it ended.

        Args:
            group: the tasks of the server's life.
            name: what the log, the metrics and `/healthz` call it.
            work: does it once.
            every: seconds; 0 for work that waits by itself.
        """
        group.start_soon(self._forever, name, work, every, name=name)

    async def _forever(self, name: str, work: Callable[[], Awaitable[None]], every: float) -> None:
        pause = SOONEST
        while True:
            began = time.monotonic()
            try:
                await work()
            except asyncio.CancelledError as error:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                # Not this task was cancelled but something it waited for.
                failure: Exception | None = RuntimeError(
                    f"what it waited for was cancelled {error}"
                )
            except Exception as error:
                failure = error
            else:
                failure = None
            if failure is None:
                self.went_well(name)
                pause = SOONEST
                await anyio.sleep(every)
            else:
                self.failed(name, failure)
                if time.monotonic() - began > LATEST:
                    pause = SOONEST
                await anyio.sleep(pause)
                pause = min(2 * pause, LATEST)

    def failed(self, name: str, error: Exception) -> None:
        """Note that a task failed."""
        why = f"{type(error).__name__}: {error}"[:LONGEST]
        said = self.said.setdefault(name, set())
        self.failing[name] = why
        self.numbers.failures.labels(name).inc()
        if why not in said:
            if len(said) < MOST:
                said.add(why)
            log.error("a task failed", extra={"facts": {"task": name}}, exc_info=error)

    def went_well(self, name: str) -> None:
        """Note that a task went well."""
        self.said.pop(name, None)
        if self.failing.pop(name, None):
            log.warning("a task goes well again", extra={"facts": {"task": name}})
