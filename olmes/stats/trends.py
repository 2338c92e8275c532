"""The slope of a score over the steps of training."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from olmes.stats.estimates import negligible, t95
from olmes.stats.strata import stratified_mean


@dataclass(frozen=True, slots=True)
class Trend:
    """A slope in units of the score for one step, with its 95 % interval."""

    slope: float
    stderr: float | None
    ci_low: float | None
    ci_high: float | None
    p_value: float | None
    """Two-sided, of a slope of 0, by Student's t."""
    checkpoints: int
    n: int | None
    """Items whose slopes were averaged; None where only the scores were known."""
    source: str
    """`items`: the error of the choice of items. `scores`: the scatter of scores about the line."""


def trend(
    steps: Sequence[float],
    values: Sequence[Sequence[float]],
    *,
    clusters: Sequence[Hashable] | None = None,
    strata: Sequence[Hashable] | None = None,
    sizes: Sequence[float] | None = None,
) -> Trend:
    """The slope over checkpoints from the values of the same items at each of them.

    Each item has its own least-squares slope, Σ(x - x̄)y/Σ(x - x̄)²; their mean is the slope of the
    mean scores, and their error over items keeps what an item has in common with itself at all
    checkpoints (a summary-measures analysis: Frison & Pocock 1992). The interval says how far other
    items would have moved the slope of these very checkpoints; it does not speak of another training
    run, for which `trend_of_scores` looks at the scatter.

    Args:
        steps: of the checkpoints, (k,).
        values: items by checkpoints, (n, k).
        clusters: label of what an item shares with others, (n,).
        strata: label of the sub-task, (n,), for the slope of a macro average.
        sizes: parts of an item, (n,).

    Raises:
        ValueError: a row has another length than `steps`, or all steps are the same.
    """
    x = centred(steps)
    squares = math.fsum(step * step for step in x)
    slopes = [
        math.fsum(step * value for step, value in zip(x, row, strict=True)) / squares
        for row in values
    ]
    mean = stratified_mean(slopes, clusters=clusters, strata=strata, sizes=sizes)
    return trend_with(mean.value, mean.stderr, mean.df, len(steps), len(slopes), "items")


def trend_of_scores(steps: Sequence[float], scores: Sequence[float]) -> Trend:
    """The slope from one score a checkpoint, by least squares with k - 2 degrees of freedom.

    Its interval comes from the scatter about the line, whatever caused it. With two checkpoints
    there is no scatter, and no interval.

    Raises:
        ValueError: the lengths differ, or all steps are the same.
    """
    x = centred(steps)
    squares = math.fsum(step * step for step in x)
    slope = math.fsum(step * y for step, y in zip(x, scores, strict=True)) / squares
    if len(x) < 3:
        return trend_with(slope, None, None, len(x), None, "scores")
    mean = math.fsum(scores) / len(scores)
    residuals = (y - mean - slope * step for step, y in zip(x, scores, strict=True))
    df = len(x) - 2
    scatter = math.sqrt(math.fsum(r * r for r in residuals) / df)
    if negligible(scatter, max(map(abs, scores))):
        scatter = 0.0
    return trend_with(slope, scatter / math.sqrt(squares), df, len(x), None, "scores")


def centred(steps: Sequence[float]) -> list[float]:
    """Steps less their mean.

    Raises:
        ValueError: they are all the same, or there is none.
    """
    if len(set(steps)) < 2:
        raise ValueError("a slope needs two different steps")
    middle = math.fsum(steps) / len(steps)
    return [step - middle for step in steps]


def trend_with(
    slope: float,
    stderr: float | None,
    df: float | None,
    checkpoints: int,
    n: int | None,
    source: str,
) -> Trend:
    """A trend with its interval and p-value, by Student's t."""
    if stderr is None or df is None:
        return Trend(slope, stderr, None, None, None, checkpoints, n, source)
    if stderr == 0:
        # Items that all move alike, or scores on a line, say nothing of other ones.
        return Trend(slope, stderr, None, None, None, checkpoints, n, source)
    from scipy.special import stdtr

    half = t95(df) * stderr
    p_value = 2 * float(stdtr(df, -abs(slope) / stderr))
    return Trend(slope, stderr, slope - half, slope + half, p_value, checkpoints, n, source)
