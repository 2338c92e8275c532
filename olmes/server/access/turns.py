"""Who is worked for next: callers by turns, however much one of them asks for at once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque

from olmes.server.refusals import RefusedError

MOST_WAITING = 200
"""Pieces of work that wait for one caller; the server's own are not counted."""


class Turns:
    """Lets so many work at once; those who wait go one caller after the other.

    Belongs to the server's event loop: no locks.
    """

    def __init__(self, at_once: int, most_waiting: int = MOST_WAITING) -> None:
        self.free = at_once
        self.most_waiting = most_waiting
        self.waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    async def begin(self, who: str, *, again: bool = False) -> None:
        """Wait for a turn; `end` gives it back.

        Args:
            who: the caller; '' for the server itself.
            again: whether it goes on with what it was let in for before.

        Raises:
            RefusedError: too much waits for this caller already.
        """
        if self.free:
            self.free -= 1
        else:
            await self._wait(who, again=again)

    async def _wait(self, who: str, *, again: bool) -> None:
        own = self.waiting.setdefault(who, deque())
        if who and not again and len(own) >= self.most_waiting:
            raise RefusedError(429, f"{len(own)} of your requests wait already; wait for them.")
        place = asyncio.get_running_loop().create_future()
        own.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.end()  # the turn came at the same moment
            raise

    def end(self) -> None:
        """A turn is over, or there is room for one more at once.

        The next is the caller whose last turn is the longest ago.
        """
        while self.waiting:
            who, own = next(iter(self.waiting.items()))
            place = own.popleft()
            if own:
                self.waiting.move_to_end(who)
            else:
                del self.waiting[who]
            if not place.done():
                place.set_result(None)
                return
        self.free += 1
