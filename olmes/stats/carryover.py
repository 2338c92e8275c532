"""Whether gains on the development suite carry over to the unseen one, over checkpoints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from olmes.stats.trends import trend_of_scores

ORDERS = 40_320
"""Orders counted or drawn: all of them for up to 8 checkpoints (8!)."""


@dataclass(frozen=True, slots=True)
class RankCorrelation:
    """A rank correlation and its two-sided p-value."""

    value: float
    p_value: float
    exact: bool
    """Whether every order was counted; else orders were drawn."""


@dataclass(frozen=True, slots=True)
class CarryOver:
    """Unseen scores against dev scores, one point a checkpoint."""

    checkpoints: int
    reason: str
    """Why there are no numbers; '' where there are."""
    slope: float | None = None
    """Points gained on unseen for a point gained on dev, by least squares."""
    ci_low: float | None = None
    ci_high: float | None = None
    """95 %, Student's t with k - 2 degrees of freedom; too near 0 by the noise of the dev scores."""
    reliability: float | None = None
    """Share of the variance of dev scores that is not noise; None where the noise was not given."""
    corrected_slope: float | None = None
    """slope / reliability; None where the reliability is below 0.5: too little to correct with."""
    corrected_low: float | None = None
    corrected_high: float | None = None
    spearman: RankCorrelation | None = None
    kendall: RankCorrelation | None = None


def carry_over(
    dev: Sequence[float], unseen: Sequence[float], *, dev_noise: float | None = None
) -> CarryOver:
    """The slope of unseen on dev scores over checkpoints, and their rank correlations.

    Noise in the dev scores draws the least-squares slope towards 0, by the factor
    reliability = 1 - noise²/variance of the dev scores; dividing slope and interval by it undoes that
    on average (Fuller 1987, section 1.2; noise of the two suites is independent, since they share no
    items). Checkpoints of one training follow each other; the t interval takes them for independent
    points about the line.

    Args:
        dev: scores on the development suite, (k,).
        unseen: scores of the same checkpoints on the unseen suite, (k,).
        dev_noise: standard deviation of a dev score's noise relative to the other checkpoints'
            (`checkpoint_noise`), not its standard error: what the shared items do to all checkpoints
            alike does not blur the slope.

    Returns:
        With fewer than 3 checkpoints, or dev scores all the same: no numbers, and the reason.

    Raises:
        ValueError: the lengths differ.
    """
    k = len(dev)
    if len(unseen) != k:
        raise ValueError(f"{k} dev scores, but {len(unseen)} unseen ones")
    if k < 3:
        return CarryOver(k, f"a slope with an interval needs at least 3 checkpoints, not {k}")
    if len(set(dev)) < 2:
        return CarryOver(k, "all checkpoints have the same dev score")
    line = trend_of_scores(dev, unseen)
    reliability = None if dev_noise is None else reliability_of(dev, dev_noise)
    trusted = reliability is not None and reliability >= 0.5

    def corrected(end: float | None) -> float | None:
        return end / reliability if trusted and reliability and end is not None else None

    return CarryOver(
        k,
        "",
        line.slope,
        line.ci_low,
        line.ci_high,
        reliability,
        corrected(line.slope),
        corrected(line.ci_low),
        corrected(line.ci_high),
        rank_correlation(dev, unseen, "spearman"),
        rank_correlation(dev, unseen, "kendall"),
    )


def reliability_of(scores: Sequence[float], noise: float) -> float:
    """1 - noise²/variance, not below 0."""
    middle = math.fsum(scores) / len(scores)
    variance = math.fsum((score - middle) ** 2 for score in scores) / (len(scores) - 1)
    return max(0.0, 1 - noise * noise / variance)


def rank_correlation(
    x: Sequence[float],
    y: Sequence[float],
    kind: Literal["spearman", "kendall"],
    *,
    seed: int = 0,
) -> RankCorrelation | None:
    """Spearman's rho or Kendall's tau-b with a permutation p-value; None where one side is constant.

    Every order is counted up to 8 points, so that the p-value is exact, ties included; beyond,
    40,320 orders are drawn and the observed one counts among them. Of 3 points no order is rarer
    than 1 in 3 two-sided: p = 0.33 at best; 5 points are the fewest that can give p < 0.05.

    Raises:
        ValueError: the lengths differ.
    """
    if len(x) != len(y):
        raise ValueError(f"{len(x)} points against {len(y)}")
    if len(set(x)) < 2 or len(set(y)) < 2:
        return None
    import numpy as np
    from scipy import stats

    second = contrasts(stats.rankdata(y), kind)
    scale = float((contrasts(stats.rankdata(x), kind) ** 2).sum() * (second**2).sum()) ** 0.5

    def correlation(ranks: Any, axis: int) -> Any:
        products = contrasts(np.moveaxis(ranks, axis, -1), kind) * second
        return products.reshape(*ranks.shape[:-1], -1).sum(axis=-1) / scale

    found = stats.permutation_test(
        (stats.rankdata(x),),
        correlation,
        permutation_type="pairings",
        vectorized=True,
        n_resamples=ORDERS,
        batch=10_000,
        rng=np.random.default_rng(seed),
    )
    exact = math.factorial(len(x)) <= ORDERS
    return RankCorrelation(float(found.statistic), min(1.0, float(found.pvalue)), exact)


def contrasts(ranks: Any, kind: str) -> Any:
    """What a rank correlation is the correlation of: ranks about their mean, or signs of pairs.

    Ranks (..., k) become (..., k) for Spearman's and (..., k, k) for Kendall's.
    """
    import numpy as np

    if kind == "spearman":
        return ranks - ranks.mean(axis=-1, keepdims=True)
    return np.sign(ranks[..., :, None] - ranks[..., None, :])
