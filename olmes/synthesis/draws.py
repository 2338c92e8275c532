"""What is drawn in a synthesis: the same for the same seed and place, whatever was drawn before."""

from __future__ import annotations

from random import Random


def draw(seed: int, *place: object) -> Random:
    """A source of random numbers of its own for each place."""
    return Random("/".join(map(str, (seed, *place))))  # noqa: S311 (nothing secret)
