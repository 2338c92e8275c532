"""How fast a server is asked: how many requests at once, and how long until the next try.

Knows nothing of HTTP: it hears of answers and of overload.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from dataclasses import dataclass

FIRST_LIMIT = 8
"""Requests at once to begin with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait and how often to try, in seconds where not said otherwise."""

    tries: int = 6
    """Times a request is sent before it is given up. Being refused for the rate (429) and not getting a
    connection are not counted: they say nothing about the request."""
    first_wait: float = 1.0
    """Longest wait before the second try; doubled with each further one."""
    longest_wait: float = 60.0
    connect: float = 10.0
    """Until a connection is open."""
    answer: float = 600.0
    """From the first byte sent to the last one read, however slowly they come."""
    request: float = 3600.0
    """For one request, from its first failure on, with all further tries and waits."""
    silence: float = 60.0
    """Without any answer to any request, after which the server counts as gone."""
    misses: int = 8
    """Failed connections in a row that there must be as well."""

    def wait(self, failures: int) -> float:
        """Seconds before the next try: exponential back-off with full jitter.

        The jitter is uniform from 0 (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture
        Blog, 2015), so that requests that failed together do not come back together.
        """
        longest = min(self.longest_wait, self.first_wait * 2.0 ** min(failures - 1, 30))
        return random.uniform(0.0, longest)  # noqa: S311 (no secret)


class Pace:
    """The number of requests under way at once: measured, not configured.

    As TCP does with its congestion window: the limit grows by one with each answer until the server
    is first overloaded, and by one with each full round of answers from then on; it is halved when
    the server is overloaded, once for all the requests that were under way together.

    Requests enter in the order in which they came. For one event loop.

    Args:
        most: the limit is never above this.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = float(min(FIRST_LIMIT, most))
        self.under_way = 0
        self.round = 0
        self.resume_at = 0.0
        self.line: deque[asyncio.Future[None]] = deque()

    async def enter(self) -> int:
        """Wait until one more request may be sent; gives the round it entered in."""
        ticket = asyncio.get_running_loop().create_future()
        self.line.append(ticket)
        self.admit()
        await ticket
        return self.round

    def admit(self) -> None:
        """Let as many requests enter as the limit has room for."""
        if self.line and (pause := self.resume_at - time.monotonic()) > 0:
            asyncio.get_running_loop().call_later(pause, self.admit)
            return
        while self.line and self.under_way < int(self.limit):
            ticket = self.line.popleft()
            if not ticket.cancelled():
                self.under_way += 1
                ticket.set_result(None)

    def leave(self) -> None:
        """Note that a request is over."""
        self.under_way -= 1
        self.admit()

    def answered(self) -> None:
        """Note an answer: the limit grows."""
        self.limit = min(self.most, self.limit + (1.0 if self.round == 0 else 1.0 / self.limit))
        self.admit()

    def overloaded(self, entered: int) -> None:
        """Note that the server was overloaded, by a request that entered in that round."""
        if entered == self.round:
            self.limit = max(1.0, self.limit / 2)
            self.round += 1

    def pause(self, seconds: float) -> None:
        """Let no request enter for so long: a rate limit holds for all of them."""
        self.resume_at = max(self.resume_at, time.monotonic() + seconds)
