"""How often somebody may ask: a bucket of requests a caller, filled at a steady rate."""

from __future__ import annotations

import time
from collections import OrderedDict

MOST_CALLERS = 10_000
"""Callers that are remembered; the one not seen for longest is forgotten first."""


class RateLimit:
    """Lets `rate` requests a second through for each key, and `burst` at once."""

    def __init__(self, rate: float, burst: float) -> None:
        self.rate = rate
        self.burst = burst
        self.buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, key: str, cost: float = 1.0) -> float:
        """Count a request.

        Returns:
            0 if it may pass; else the seconds after which it may.
        """
        if self.rate <= 0:
            return 0.0
        clock = time.monotonic()
        left, last = self.buckets.pop(key, (self.burst, clock))
        left = min(self.burst, left + (clock - last) * self.rate)
        passes = left >= cost
        self.buckets[key] = (left - cost if passes else left, clock)
        if len(self.buckets) > MOST_CALLERS:
            self.buckets.popitem(last=False)
        return 0.0 if passes else (cost - left) / self.rate
