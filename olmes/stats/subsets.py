"""One run's score on some of its items beside its score on all of them."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from olmes.stats.estimates import negligible, t95
from olmes.stats.strata import StratifiedMean, satterthwaite, stratified_mean


@dataclass(frozen=True, slots=True)
class SubsetDifference:
    """How a score without some items differs from that of all items."""

    kept: int
    """Items that are left."""
    left_out: int
    whole: float
    """Of all items."""
    value: float
    """Of those that are left, less that of all."""
    stderr: float | None
    """None where all items are worth the same, which says nothing of other ones."""
    df: float | None
    """Degrees of freedom of the interval's Student's t."""
    ci_low: float | None
    ci_high: float | None


def subset_difference(
    values: Sequence[float],
    keep: Sequence[bool],
    *,
    clusters: Sequence[Hashable] | None = None,
    strata: Sequence[Hashable] | None = None,
    sizes: Sequence[float] | None = None,
) -> SubsetDifference | None:
    """The mean of some items less the mean of all, with its error from the same verdicts.

    Both means are of the same verdicts, so that what they have in common cancels. With s a cluster's
    influence on a mean (what it adds, less its weight times the mean of its stratum), d its influence
    on the mean of the kept items less that on the mean of all, and C clusters in a stratum, the error
    is sqrt(Σ C/(C - 1) Σ d²): linearization of a domain's mean (Särndal, Swensson & Wretman 1992,
    section 5.8), clustered within strata. Few items left out carry nearly all of Σ d²; the degrees of
    freedom are what that many are worth, (Σ d²)²/Σ d⁴ - 1 and at least 1, so that one item shows
    nothing for certain.

    Args:
        values: one an item, (n,).
        keep: whether it is left, (n,).
        clusters: label of what an item shares with others, (n,).
        strata: label of the sub-task, (n,): the means are then macro averages; a sub-task that loses
            all items is not in the second one.
        sizes: parts of an item, (n,).

    Returns:
        None where no item is left, or all are.

    Raises:
        ValueError: a sequence has another length.
    """
    count = len(values)
    if len(keep) != count:
        raise ValueError(f"{count} values, but {len(keep)} marks")
    left = sum(map(bool, keep))
    if not left or left == count:
        return None
    labels: Sequence[Hashable] = range(count) if clusters is None else clusters
    places = [i for i in range(count) if keep[i]]
    whole = stratified_mean(values, clusters=labels, strata=strata, sizes=sizes)
    part = stratified_mean(
        [values[i] for i in places],
        clusters=[labels[i] for i in places],
        strata=None if strata is None else [strata[i] for i in places],
        sizes=None if sizes is None else [sizes[i] for i in places],
    )
    of_all = influences(whole, keys(labels, strata))
    of_kept = influences(part, keys(labels, strata, places))
    difference = part.value - whole.value
    by_stratum: dict[Hashable, list[float]] = {}
    for key, influence in of_all.items():
        by_stratum.setdefault(key[0], []).append(of_kept.get(key, 0.0) - influence)
    variance, fourth = 0.0, 0.0
    for own in by_stratum.values():
        factor = len(own) / (len(own) - 1) if len(own) > 1 else 1.0
        variance += factor * math.fsum(d * d for d in own)
        fourth += factor**2 * math.fsum(d**4 for d in own)
    scale = max(map(abs, values))
    if len(of_all) < 2 or negligible(math.sqrt(variance), scale):
        return SubsetDifference(left, count - left, whole.value, difference, None, None, None, None)
    stderr, df = math.sqrt(variance), max(1.0, variance**2 / fourth - 1)
    half = t95(df) * stderr
    return SubsetDifference(
        left,
        count - left,
        whole.value,
        difference,
        stderr,
        df,
        difference - half,
        difference + half,
    )


def mean_subset_difference(
    differences: Sequence[SubsetDifference], *, tasks: int, whole: float, others: int = 0
) -> SubsetDifference:
    """The difference of a mean of tasks, of which some were left items out of.

    Args:
        differences: of those tasks, which have no item in common.
        tasks: how many the mean is of; the others do not change.
        whole: the mean over all items.
        others: items of the other tasks, all of which are left.
    """
    value = math.fsum(one.value for one in differences) / tasks
    kept = others + sum(one.kept for one in differences)
    left_out = sum(one.left_out for one in differences)
    known = [one for one in differences if one.stderr is not None and one.df is not None]
    if len(known) < len(differences) or not known:
        return SubsetDifference(kept, left_out, whole, value, None, None, None, None)
    variances = [(one.stderr or 0.0) ** 2 for one in known]
    stderr = math.sqrt(math.fsum(variances)) / tasks
    df = satterthwaite(variances, [one.df or 1.0 for one in known])
    half = t95(df) * stderr
    return SubsetDifference(kept, left_out, whole, value, stderr, df, value - half, value + half)


def keys(
    labels: Sequence[Hashable],
    strata: Sequence[Hashable] | None,
    places: Sequence[int] | None = None,
) -> list[tuple[Hashable, Hashable]]:
    """Stratum and label of each cluster, in the order of `StratifiedMean.shares`."""
    chosen = range(len(labels)) if places is None else places
    by_stratum: dict[Hashable, dict[Hashable, None]] = {}
    for i in chosen:
        by_stratum.setdefault(strata[i] if strata is not None else None, {})[labels[i]] = None
    return [(stratum, label) for stratum, own in by_stratum.items() for label in own]


def influences(
    mean: StratifiedMean, clusters: Sequence[tuple[Hashable, Hashable]]
) -> Mapping[tuple[Hashable, Hashable], float]:
    """What each cluster adds to a mean, less its weight times the mean of its stratum."""
    totals: dict[int, float] = {}
    weights: dict[int, float] = {}
    for share, weight, place in zip(mean.shares, mean.weights, mean.places, strict=True):
        totals[place] = totals.get(place, 0.0) + share
        weights[place] = weights.get(place, 0.0) + weight
    return {
        key: share - weight * totals[place] / weights[place]
        for key, share, weight, place in zip(
            clusters, mean.shares, mean.weights, mean.places, strict=True
        )
    }
