"""Whether models stand in the same order on two suites."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RankAgreement:
    """Kendall's tau of two rows of scores, and how much of it other items could change."""

    tau: float
    """Tau-b of the scores as measured."""
    ci_low: float | None
    """Of the tau of the true scores, at least 95 %; None where the scores' errors are not known."""
    ci_high: float | None
    pairs: int
    same: int
    """Pairs of models that differ beyond chance on both suites, in the same order."""
    reversed: int
    """And in reverse order. The rest is not told apart on one suite or the other."""


def rank_agreement(
    first: Sequence[float],
    second: Sequence[float],
    covariances: tuple[Array, Array] | None = None,
    *,
    n_resamples: int = 4_000,
    seed: int = 0,
) -> RankAgreement | None:
    """Kendall's tau-b, with the bounds that the pairs told apart put on it.

    A pair counts as told apart where its difference exceeds its own error by a factor that none of
    all the pairs' errors on either suite exceeds in 95 % of draws of the items (a parametric bootstrap
    of the largest, from the paired and clustered covariances; Romano & Wolf 2005). With 95 % certainty
    all pairs told apart then stand as they do in truth, and the others may stand either way:
    (2 same - pairs)/pairs <= tau <= (pairs - 2 reversed)/pairs. A bootstrap of tau itself would not
    do: noise is in it twice, and draws it towards 0 where models are close.

    Args:
        first: scores on the one suite, (k,).
        second: scores of the same models on the other, (k,).
        covariances: of the choice of items, (k, k) each; the two suites share no items.
        n_resamples: draws.
        seed: of the draws.

    Returns:
        None for fewer than 2 models, and where one side's scores are all the same.

    Raises:
        ValueError: the lengths differ.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} scores against {len(second)}")
    if len(set(first)) < 2 or len(set(second)) < 2:
        return None
    from scipy.stats import kendalltau

    tau, pairs = float(kendalltau(first, second).statistic), math.comb(len(first), 2)
    if covariances is None:
        return RankAgreement(tau, None, None, pairs, 0, 0)
    import numpy as np

    draw = np.random.default_rng(seed)
    sides = [
        standardized(np.array(scores, dtype=float), covariance, draw, n_resamples)
        for scores, covariance in zip((first, second), covariances, strict=True)
    ]
    largest = np.maximum(*(drawn for _, drawn in sides))
    bar = float(np.quantile(largest, 0.95))
    signs = [np.where(np.abs(own) > bar, np.sign(own), 0.0) for own, _ in sides]
    agree = signs[0] * signs[1]
    same, other = int((agree > 0).sum()), int((agree < 0).sum())
    low, high = (2 * same - pairs) / pairs, (pairs - 2 * other) / pairs
    return RankAgreement(tau, min(low, tau), max(high, tau), pairs, same, other)


def standardized(
    scores: Array, covariance: Array, draw: np.random.Generator, draws: int
) -> tuple[Array, Array]:
    """Each pair's difference over its error, and in each draw the largest such of noise alone.

    Pairs without an error of their own are not told apart: no spread says nothing of other items.
    """
    import numpy as np

    one, other = np.triu_indices(len(scores), 1)
    variance = covariance.diagonal()
    squares = variance[one] + variance[other] - 2 * covariance[one, other]
    some = squares > 1e-12 * max(1e-300, float(variance.max()))
    errors = np.sqrt(np.where(some, squares, 1.0))
    noise = draw.multivariate_normal(np.zeros(len(scores)), covariance, draws, method="eigh")
    between = np.abs(noise[:, one] - noise[:, other]) / errors * some
    return (scores[one] - scores[other]) / errors * some, between.max(axis=1)
