"""Bounds of time on a machine that may stand still for seconds."""

from __future__ import annotations

import time
from collections.abc import Callable


def least_seconds(work: Callable[[], object], bound: float) -> float:
    """How long some work takes: the least of up to three tries, the first below `bound` at once."""
    took = []
    for _ in range(3):
        began = time.monotonic()
        work()
        took.append(time.monotonic() - began)
        if took[-1] < bound:
            break
    return min(took)
