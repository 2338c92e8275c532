"""Whether the server is well, asked beside everything else: it answers while all threads are busy."""

from __future__ import annotations

import asyncio

from anyio import CapacityLimiter, to_thread
from sqlalchemy import select

from olmes import __version__
from olmes.client.types import Health
from olmes.server.background import Background
from olmes.server.refusals import RefusedError
from olmes.server.store.database import Database
from olmes.server.store.schema import state

PATIENCE = 2.0
"""Seconds that a database may take to answer before it is taken to be away."""


class HealthCheck:
    """Asks the database through a connection and a thread of its own, once however many ask.

    Args:
        store: where the database is.
        background: the tasks whose failures are shown.
    """

    def __init__(self, store: str, background: Background) -> None:
        self.database = Database(store)
        self.background = background
        self.limiter = CapacityLimiter(1)
        self.asking: asyncio.Task[None] | None = None

    async def answer(self) -> Health:
        """The state of the server.

        Raises:
            RefusedError: the database does not answer.
        """
        if self.asking is None or self.asking.done():
            self.asking = asyncio.create_task(self._ask())
            # Nobody may be left to hear why it failed.
            self.asking.add_done_callback(lambda task: task.cancelled() or task.exception())
        asking = self.asking
        await asyncio.wait([asking], timeout=PATIENCE)
        if not asking.done() or asking.cancelled() or asking.exception() is not None:
            raise RefusedError(503, "the database does not answer; try again.")
        failing = sorted(self.background.failing)
        return Health(status="degraded" if failing else "ok", version=__version__, failing=failing)

    async def _ask(self) -> None:
        await to_thread.run_sync(self._touch, limiter=self.limiter, abandon_on_cancel=True)

    def _touch(self) -> None:
        with self.database.reading() as connection:
            connection.execute(select(state.value)).first()

    def close(self) -> None:
        """Close its connection."""
        self.database.close()
