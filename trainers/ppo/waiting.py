"""Waiting for generators: aloud, and not for one that is stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from olmes.trainers.together.ranks import say

W = TypeVar("W")
SPOKEN = 30.0
"""Seconds between two lines."""
STARTING = 300.0
"""Seconds that a generator may take until its first sign of life: it imports, and loads a model."""


class Sight:
    """How long a number that is counted up has stood still.

    Args:
        count: reads it; 0 before the first sign of life.
    """

    def __init__(self, count: Callable[[], int]) -> None:
        self.count = count
        self.begun = self.last = count()
        self.since = time.monotonic()

    def silent(self) -> float:
        """Seconds since the last sign of life."""
        now = self.count()
        if now != self.last:
            self.last, self.since = now, time.monotonic()
        return time.monotonic() - self.since

    @property
    def starting(self) -> bool:
        """Whether there was no sign yet."""
        return self.last == self.begun


class Waiting:
    """Who is waited for, and for how long.

    Args:
        limit: seconds without a sign of life after which a generator is replaced.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.began = self.line = 0.0
        self.begin()

    @property
    def spoken(self) -> float:
        """Seconds between two lines."""
        return min(SPOKEN, self.limit / 3)

    def begin(self) -> None:
        """A wait begins."""
        self.began = time.monotonic()
        self.line = self.began + self.spoken

    def look(self, waited_for: Sequence[tuple[str, Sight, W]]) -> list[W]:
        """Those to be replaced; says now and then who is waited for.

        Args:
            waited_for: each by its name, its signs of life, and itself.
        """
        silent = [(name, sight.silent(), sight.starting, one) for name, sight, one in waited_for]
        dead = []
        for name, seconds, starting, one in silent:
            if seconds > (max(self.limit, STARTING) if starting else self.limit):
                say(f"{name} has shown no sign of life for {seconds:.0f} s; it is replaced")
                dead.append(one)
        now = time.monotonic()
        if not dead and now >= self.line and silent:
            self.line = now + self.spoken
            whom = ", ".join(
                f"{name} ({'starting' if starting else f'last sign of life {seconds:.0f} s ago'})"
                for name, seconds, starting, _ in silent[:4]
            )
            more = f" and {len(silent) - 4} more" if len(silent) > 4 else ""
            say(f"waiting for rollouts of {whom}{more} since {now - self.began:.0f} s")
        return dead
