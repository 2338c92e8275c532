"""What depends on the whole store: made anew when the store has changed, and shown as it was till then.

Where the newer one cannot be made, the one before is shown with the word that it is stale; the failure
is logged and counted, and the server tries again by itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from olmes.server.background import Background
from olmes.server.pages.stale import Behind
from olmes.server.refusals import RefusedError

PATIENCE = 0.1
"""Seconds a reader waits for the newest before the one before is shown."""
BOARDS = ("leaderboard", "leaderboard.json", "checkpoints")
"""What is of the whole store, and no question of one reader."""
MOST = 100
"""Things kept."""
RETRIED = 5.0
"""Seconds between two looks at what could not be made."""

Make = Callable[[], Awaitable[Any]]


class Newest:
    """The newest state of boards and comparisons.

    Args:
        generation: gives the store's generation.
        once: begins a work under a name, or finds the one that is under way.
        background: where failures are noted.
    """

    def __init__(
        self,
        generation: Callable[[], Awaitable[int]],
        once: Callable[[str, Make], asyncio.Task[Any]],
        background: Background,
    ) -> None:
        self.generation = generation
        self.once = once
        self.background = background
        self.latest: dict[str, tuple[int, float, Any]] = {}
        """Generation, time and result by name."""
        self.behind: dict[str, Behind] = {}
        """What is shown though the store has changed since."""
        self.failing: dict[str, tuple[Make, Behind]] = {}
        """Boards that could not be made."""

    async def get(self, name: str, make: Make) -> Any:
        """What has a name, in its newest state or, while that is made, in the one before.

        Raises:
            Exception: it could not be made, and there is none before.
        """
        generation = await self.generation()
        known = self.latest.get(name)
        if known and known[0] == generation:
            self.behind.pop(name, None)
            return known[-1]
        if known is None:
            return await asyncio.shield(self._begin(name, make, generation))
        _, made, shown = known
        behind = self.behind.setdefault(name, Behind(made, time.monotonic()))
        if time.monotonic() < behind.again:
            return shown
        task = self._begin(name, make, generation)
        await asyncio.wait([task], timeout=PATIENCE)
        done = task.done() and not task.cancelled()
        # A failure is the reader's only where there is nothing to show instead.
        if done and (task.exception() is None or name not in self.latest):
            return task.result()
        return shown

    def _begin(self, name: str, make: Make, generation: int) -> asyncio.Task[Any]:
        async def made() -> Any:
            try:
                found = await make()
            except Exception as error:
                self._failed(name, make, error)
                raise
            if len(self.latest) > MOST:
                self.latest.clear()
            self.latest[name] = (generation, time.time(), found)
            self._well(name)
            return found

        return self.once(name, made)

    def _well(self, name: str) -> None:
        self.behind.pop(name, None)
        self.failing.pop(name, None)
        kind = kind_of(name)
        if kind and not any(kind_of(other) == kind for other in self.failing):
            self.background.went_well(kind)

    def _failed(self, name: str, make: Make, error: Exception) -> None:
        if isinstance(error, RefusedError) and error.status == 404:
            # What it was of is not here any more: no failure, and nothing to show.
            self.latest.pop(name, None)
            self._well(name)
            return
        known, kind = self.latest.get(name), kind_of(name)
        if not known and not kind:
            return  # what cannot be compared is the question's fault, not the server's
        _, made, _ = known or (0, time.time(), None)
        behind = self.behind.setdefault(name, Behind(made, time.monotonic()))
        behind.fail()
        if kind and len(self.failing) < MOST:
            self.failing[name] = make, behind
            self.background.failed(kind, error)

    async def retry(self) -> None:
        """Try once more what could not be made, where nobody has asked for it meanwhile."""
        for name, (make, behind) in list(self.failing.items()):
            if time.monotonic() >= behind.again:
                task = self._begin(name, make, await self.generation())
                await asyncio.wait([task])


def kind_of(name: str) -> str:
    """What the log, the metrics and `/healthz` call a board; '' for a question of one reader."""
    word = name.partition(" ")[0]
    return word if word in BOARDS else ""
