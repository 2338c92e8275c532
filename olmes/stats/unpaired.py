"""Whether one score lies below another, from the two numbers and their errors alone."""

from __future__ import annotations

import math

from olmes.stats.estimates import Z95, Estimate
from olmes.stats.share_means import worth_of


def unpaired_p(
    before: Estimate, after: Estimate, *, is_share: bool, higher_is_better: bool = True
) -> float:
    """One-sided p-value that `after` is no worse than `before`; 1 where an error is not known or 0.

    Of shares: the score test of two shares, with the variance they would have were they the same, each
    of as many independent 0/1 items as its interval is worth (`worth_of`). Thirty right of 30 are so
    no certainty. By Student's t with as many degrees of freedom less two, which keeps its level on few
    items (D'Agostino, Chase & Belanger 1988). Of anything else Welch's t, with the degrees of freedom
    that the intervals were made with.
    """
    from scipy.special import stdtr

    if not higher_is_better:
        before, after = turned(before, is_share), turned(after, is_share)
    drop = before.value - after.value
    # The ends that face each other are those that a fall must clear.
    if before.ci_low is None or after.ci_high is None:
        return 1.0
    below, above = before.value - before.ci_low, after.ci_high - after.value
    if below <= 0 or above <= 0:
        return 1.0
    if is_share:
        first = worth_of(before.value, before.ci_low)
        second = worth_of(after.value, after.ci_high)
        # An interval that was cut off at 0 or 1 does not say what it is worth.
        if first is None or second is None or first + second <= 2:
            return 1.0
        pooled = (before.value * first + after.value * second) / (first + second)
        stderr = math.sqrt(pooled * (1 - pooled) * (1 / first + 1 / second))
        return float(stdtr(first + second - 2, -drop / stderr)) if stderr > 0 else 1.0
    errors = [before.stderr or 0.0, after.stderr or 0.0]
    if 0.0 in errors:
        return 1.0
    halves = [shorter_side(before, below), shorter_side(after, above)]
    freedoms = [degrees(half / error) for half, error in zip(halves, errors, strict=True)]
    parts = [error**2 for error in errors]
    df = sum(parts) ** 2 / sum(part**2 / free for part, free in zip(parts, freedoms, strict=True))
    return float(stdtr(df, -drop / math.sqrt(sum(parts))))


def shorter_side(score: Estimate, otherwise: float) -> float:
    """The distance to the nearer end: Student's t errors, where skewness moved the other one out."""
    if score.ci_low is None or score.ci_high is None:
        return otherwise
    return min(score.value - score.ci_low, score.ci_high - score.value)


def turned(score: Estimate, is_share: bool) -> Estimate:
    """A score of which less is better, as one of which more is."""
    whole = 1.0 if is_share else 0.0
    return Estimate(
        whole - score.value,
        score.stderr,
        None if score.ci_high is None else whole - score.ci_high,
        None if score.ci_low is None else whole - score.ci_low,
        score.n,
    )


def degrees(quantile: float) -> float:
    """Degrees of freedom at which Student's t has its 0.975 quantile there."""
    from scipy.special import stdtridf

    if quantile <= Z95 * 1.0001:  # the normal's own, or within its rounding
        return 1e6
    return max(1.0, float(stdtridf(0.975, quantile)))
