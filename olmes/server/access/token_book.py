"""The tokens that are worth something now, in memory: asked by every request, read from the store anew.

All of them at once: so an unknown token costs no more than a known one, whoever sends how many, and a
right one is never kept waiting by wrong ones.
"""

from __future__ import annotations

import time

import anyio
from anyio import to_thread
from sqlalchemy.exc import SQLAlchemyError

from olmes.server.access.tokens import Known, token_hash, valid_tokens
from olmes.server.observe import log
from olmes.server.refusals import RefusedError
from olmes.server.store.database import Database

FRESH = 2.0
"""Seconds for which what was read is believed: the longest a revoked token lives."""
PAUSE = 0.05
"""Seconds between two readings, however many unknown tokens ask for one."""


class TokenBook:
    """The tokens of a store. Belongs to the server's event loop."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.read_at = float("-inf")
        self.failing = False
        self.any_made = True
        self.by_hash: dict[str, Known] = {}
        self.names: frozenset[str] = frozenset()
        self.lock = anyio.Lock()
        # A thread of its own: who may come in does not wait for those who are in.
        self.limiter = anyio.CapacityLimiter(1)

    async def needed(self) -> bool:
        """Whether a token is needed: from the first one on that was ever made."""
        await self.read(time.monotonic() - FRESH)
        return self.any_made

    async def find(self, token: str) -> Known | None:
        """The token that a text is, unless it is unknown or revoked."""
        key = token_hash(token)
        await self.read(time.monotonic() - FRESH)
        if key not in self.by_hash:
            await self.read(time.monotonic())  # it may have been made since
        return self.by_hash.get(key)

    async def read(self, since: float) -> None:
        """Read the store unless that was done since a time of the monotonic clock.

        Raises:
            RefusedError: the database does not answer.
        """
        if self.read_at >= since:
            return
        async with self.lock:
            if self.read_at >= since:
                return
            await anyio.sleep(max(0.0, self.read_at + PAUSE - time.monotonic()))
            began = time.monotonic()
            try:
                found, any_made = await to_thread.run_sync(
                    valid_tokens, self.database, limiter=self.limiter
                )
            except SQLAlchemyError as error:
                if not self.failing:
                    log.error("the tokens cannot be read", extra={"facts": {"error": str(error)}})
                self.failing = True
                raise RefusedError(503, "the database does not answer; try again.") from None
            self.by_hash, self.any_made = found, any_made
            self.names = frozenset(known.name for known in found.values())
            self.read_at, self.failing = began, False
