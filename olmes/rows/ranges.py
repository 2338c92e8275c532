"""A number of things in parts of one size."""

from __future__ import annotations


def ranges(count: int, size: int) -> list[tuple[int, int]]:
    """0 to `count` in parts of `size`."""
    return [(start, min(count, start + size)) for start in range(0, count, size)]
