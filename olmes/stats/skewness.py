"""The interval of a mean of numbers that lie more to one side. Plain Python, for every run."""

from __future__ import annotations

import math
from collections.abc import Sequence


def skewness(residuals: Sequence[float]) -> float:
    """The sample skewness, corrected for its number; 0 where fewer than 3 residuals, or none differ."""
    n = len(residuals)
    squares = math.fsum(one * one for one in residuals) / n
    if n < 3 or squares == 0:
        return 0.0
    cubes = math.fsum(one * one * one for one in residuals) / n
    return cubes / (squares * math.sqrt(squares)) * math.sqrt(n * (n - 1)) / (n - 2)


def skewed_ends(value: float, stderr: float, t: float, skew: float, n: int) -> tuple[float, float]:
    """Value ± t SE, with the end on the longer side moved out for skewness.

    Hall 1992, on removing skewness by transformation: with a = skewness/sqrt(n) and Student's T,
    T + a T²/3 + a² T³/27 + a/6 has none to that order; it is q where (1 + a T/3)³ = 1 + a (q - a/6),
    which is solved for q = ± t. Of numbers such as lengths, whose few very large ones are missing from
    most small samples, Student's interval alone is too short on that side. The other end stays.

    Args:
        value: the mean.
        stderr: of it.
        t: the quantile.
        skew: of the numbers, or of what clusters differ by.
        n: how many there are of these.
    """
    a = skew / math.sqrt(n)
    half = t * stderr
    if abs(a) < 1e-9:
        return value - half, value + half
    below, above = ((3 / a) * (math.cbrt(1 + a * (q - a / 6)) - 1) for q in (-t, t))
    return min(value - half, value - above * stderr), max(value + half, value - below * stderr)
