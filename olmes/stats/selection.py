"""The best of several checkpoints: what its score is worth once the choosing is allowed for."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from olmes.stats.estimates import wilson
from olmes.stats.nested import nested_mean
from olmes.stats.share_means import worth_of
from olmes.stats.strata import Groups

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class BestOf:
    """The checkpoint with the best score, and that score corrected for the choosing."""

    index: int
    score: float
    """As measured: too high on average, since it was chosen for being high."""
    corrected: float
    bias: float
    """What the choosing is estimated to have added; `score` - `corrected`."""
    stderr: float | None
    """Of the score of this checkpoint alone."""
    ci_low: float | None
    ci_high: float | None
    checkpoints: int
    n: int


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of checkpoints on the same items, and how they vary together with the items."""

    means: Array
    """(k,)"""
    covariance: Array
    """(k, k), clustered, of the choice of the items."""
    df: float

    @property
    def relative_noise(self) -> float:
        """Variance of a checkpoint's score about the mean of all checkpoints, by items alone."""
        k = len(self.means)
        trace, total = float(self.covariance.trace()), float(self.covariance.sum())
        return max(0.0, (trace - total / k) / (k - 1))


def best_of(
    values: Sequence[Sequence[float]],
    *,
    clusters: Sequence[Hashable] | None = None,
    strata: Sequence[Hashable] | None = None,
    sizes: Sequence[float] | None = None,
    higher_is_better: bool = True,
    is_share: bool | None = None,
    n_resamples: int = 4_000,
    seed: int = 0,
) -> BestOf:
    """The best checkpoint's score, less what choosing it on the same items adds.

    A bootstrap of the choice: noise e* is drawn from the paired, clustered covariance of the scores,
    j* = argmax(c + e*) is chosen, and the bias is the mean of e*[j*]. The centre c is not the scores
    as they are, whose spread holds noise already (at true ties that finds only 71 % of the bias), but
    the scores drawn together about their mean until their variance is what it is without noise,
    c = m̄ + sqrt(max(0, 1 - N/S)) (m - m̄), S the variance of the scores and N its part due to noise
    (Louis 1984; the problem: Efron 2011, Tibshirani & Tibshirani 2009).

    The interval of the score as it stands (`nested_mean`) bounds the truth from above, since choosing
    only ever adds, even where the correction takes off too much. From below it is bounded by that of
    the corrected score: of shares the end of Wilson's interval at the same effective number of items,
    of other numbers the same distance. With one checkpoint it is the score's own interval.

    Args:
        values: items by checkpoints, (n, k).
        clusters: label of what an item shares with others, (n,).
        strata: label of the sub-task, (n,).
        sizes: parts of an item, (n,).
        higher_is_better: which end is best.
        is_share: whether the values are shares; by default, whether those of the best could be.
        n_resamples: choices drawn.
        seed: of the draws.

    Raises:
        ValueError: there are no items or checkpoints, or rows differ in length.
    """
    import numpy as np

    scores = paired_scores(values, clusters=clusters, strata=strata, sizes=sizes)
    sign = 1.0 if higher_is_better else -1.0
    means = sign * scores.means
    k, index = len(means), int(means.argmax())
    column = [float(row[index]) for row in values]
    could_be = all(0 <= value <= 1 for value in column)
    is_share = could_be if is_share is None else is_share and could_be
    own = nested_mean(column, clusters=clusters, strata=strata, sizes=sizes, is_share=is_share)
    score = own.value
    if k == 1:
        return BestOf(index, score, score, 0.0, own.stderr, own.ci_low, own.ci_high, 1, len(values))
    if math.isnan(scores.df):
        return BestOf(index, score, score, 0.0, None, None, None, k, len(values))
    noise = np.random.default_rng(seed).multivariate_normal(
        np.zeros(k), scores.covariance, n_resamples, method="eigh"
    )
    chosen = (true_spread(means, scores.relative_noise) + noise).argmax(axis=1)
    bias = sign * max(0.0, float(noise[np.arange(n_resamples), chosen].mean()))
    corrected = score - bias
    if is_share:
        corrected = min(1.0, max(0.0, corrected))
    low, high = own.ci_low, own.ci_high
    if low is not None and high is not None:
        if higher_is_better:
            low = shifted(score, low, corrected, is_share=is_share)
        else:
            high = shifted(score, high, corrected, is_share=is_share)
    return BestOf(index, score, corrected, score - corrected, own.stderr, low, high, k, len(values))


def shifted(value: float, end: float, corrected: float, *, is_share: bool) -> float:
    """The end of an interval, had the value been the corrected one.

    A share keeps the number of items that its interval speaks of, so that the end stays within 0 and
    1; another number keeps the distance.
    """
    if corrected == value:
        return end
    if not is_share:
        return corrected + (end - value)
    worth = worth_of(value, end)
    if worth is None:
        return end
    return wilson(corrected, worth)[0 if end < value else 1]


def true_spread(means: Array, noise: float) -> Array:
    """Scores drawn together about their mean until their variance lacks that of the noise."""
    import numpy as np

    variance = float(np.var(means, ddof=1))
    left = max(0.0, 1 - noise / variance) if variance > 0 else 0.0
    middle = means.mean()
    drawn: Array = middle + math.sqrt(left) * (means - middle)
    return drawn


def paired_scores(
    values: Sequence[Sequence[float]],
    *,
    clusters: Sequence[Hashable] | None,
    strata: Sequence[Hashable] | None,
    sizes: Sequence[float] | None,
) -> Scores:
    """Means and covariance of checkpoints over the same items; `df` is nan with one cluster.

    What `stratified_mean` does to one column, for all of them at once: a training has a hundred.
    """
    import numpy as np

    table = np.array(values, dtype=float)
    if table.ndim != 2 or not table.size:
        raise ValueError("no items or no checkpoints")
    n, k = table.shape
    groups = Groups.of(n, clusters, strata)
    masses = np.ones(n) if sizes is None else np.array(sizes, dtype=float)
    if len(masses) != n:
        raise ValueError(f"{n} values, but {len(masses)} labels or sizes")
    places = np.array(groups.places)
    parts = np.bincount(groups.index, weights=masses)
    whole = (np.bincount(places, weights=parts) / np.array(groups.weights))[places]
    weights = parts / whole
    shares = np.zeros((len(places), k))
    np.add.at(shares, groups.index, table * masses[:, None])
    shares = (shares / whole[:, None]).T
    means = shares.sum(axis=1)
    covariance, spread = np.zeros((k, k)), np.zeros(k)
    for place in range(groups.strata):
        own = places == place
        count, freedom = int(own.sum()), int(own.sum()) - 1
        middle = shares[:, own].sum(axis=1) / weights[own].sum()
        if count == 1:
            # One cluster shows no spread of its own: its distance from the mean of all stands in.
            middle, count, freedom = means, len(places), max(1, len(places) - 1)
        residuals = shares[:, own] - np.outer(middle, weights[own])
        part = count / max(1, count - 1) * residuals @ residuals.T
        covariance += part
        spread += part.diagonal() ** 2 / freedom
    if len(places) < 2:
        return Scores(means, covariance, math.nan)
    # Satterthwaite's, of the column that has the fewest; without spread, as in `combined_error`.
    some = spread > 0
    freedoms = np.full(k, float(max(1, len(places) - groups.strata)))
    freedoms[some] = covariance.diagonal()[some] ** 2 / spread[some]
    return Scores(means, covariance, float(freedoms.min()))
