"""The mean of items with sizes, clusters and strata: what comparisons and trends are made of."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from olmes.stats.estimates import cluster_sums, ratio


@dataclass(frozen=True, slots=True)
class StratifiedMean:
    """A mean over items, its error, and what a test of it needs."""

    value: float
    stderr: float | None
    """None where there is one cluster in all."""
    df: float | None
    """Degrees of freedom of the error (Satterthwaite 1946); C - 1 with one stratum."""
    shares: tuple[float, ...]
    """What each cluster adds to the mean; their sum is `value`."""
    weights: tuple[float, ...]
    """The weight of each cluster in the mean; their sum is 1."""
    places: tuple[int, ...]
    """Number of the stratum of each cluster."""

    @property
    def clusters(self) -> int:
        """How many clusters there are."""
        return len(self.weights)

    @property
    def error(self) -> tuple[float, float] | None:
        """The error with its degrees of freedom; None where there is one cluster in all."""
        return None if self.stderr is None or self.df is None else (self.stderr, self.df)

    @property
    def spare_clusters(self) -> int:
        """How many clusters there are beyond one a stratum; at least 1."""
        return max(1, self.clusters - len(set(self.places)))

    @property
    def effective_clusters(self) -> float:
        """As many clusters of equal weight would be worth: 1/Σ w² (Kish 1965)."""
        return 1 / sum(weight**2 for weight in self.weights)


class Part(NamedTuple):
    """The label of a stratum within one of several averages that are averaged themselves.

    In the mean of a suite a sub-task of a macro average is `Part(task, sub-task)`: the tasks weigh
    the same, and so do the sub-tasks of one task. Strata with other labels are one average each.
    """

    whole: Hashable
    part: Hashable


class Grouped(Part):
    """The label of a sub-task that adds to its task's macro average with others of its group.

    `Grouped(group, sub-task)`: the group's sub-tasks are averaged first, and their mean weighs as much
    as a sub-task of no group.
    """

    __slots__ = ()


def whole_of(label: Hashable) -> Hashable:
    """Which of several averages, averaged themselves, a stratum is of; None where there is one."""
    return label.whole if isinstance(label, Part) and not isinstance(label, Grouped) else None


def stratum_weights(labels: Sequence[Hashable]) -> list[float]:
    """The weight of each of some different strata in the mean; they add up to 1.

    The wholes weigh the same, and so do the parts of each, which may be wholes of others themselves.
    """
    paths = [path_of(label) for label in labels]
    beside: defaultdict[tuple[Hashable, ...], set[Hashable]] = defaultdict(set)
    for path in paths:
        for depth, step in enumerate(path):
            beside[path[:depth]].add(step)
    return [
        1 / math.prod(len(beside[path[:depth]]) for depth in range(len(path))) for path in paths
    ]


def path_of(label: Hashable) -> tuple[Hashable, ...]:
    """The wholes that a stratum is part of, the largest first, and its own name."""
    return (label.whole, *path_of(label.part)) if isinstance(label, Part) else (label,)


@dataclass(frozen=True, slots=True)
class Groups:
    """Which items make a cluster, and which clusters a stratum, by number."""

    index: list[int]
    """Of each item's cluster, (n,)."""
    places: list[int]
    """Of each cluster's stratum, (C,)."""
    weights: list[float]
    """Of each stratum in the mean, (G,)."""

    @property
    def strata(self) -> int:
        """How many there are."""
        return len(self.weights)

    @classmethod
    def of(
        cls, n: int, clusters: Sequence[Hashable] | None, strata: Sequence[Hashable] | None
    ) -> Groups:
        """Number the labels of n items in order of appearance; without clusters each stands alone.

        Raises:
            ValueError: there are more or fewer labels than items.
        """
        for given in (clusters, strata):
            if given is not None and len(given) != n:
                raise ValueError(f"{n} values, but {len(given)} labels or sizes")
        numbers: dict[Hashable, int] = {}
        labels = [None] * n if strata is None else strata
        of_items = [numbers.setdefault(label, len(numbers)) for label in labels]
        weights = stratum_weights(list(numbers))
        if clusters is None:
            return cls(list(range(n)), of_items, weights)
        seen: dict[tuple[int, Hashable], int] = {}
        index = [seen.setdefault(pair, len(seen)) for pair in zip(of_items, clusters, strict=True)]
        return cls(index, [place for place, _ in seen], weights)


def stratified_mean(
    values: Sequence[float],
    *,
    clusters: Sequence[Hashable] | None = None,
    strata: Sequence[Hashable] | None = None,
    sizes: Sequence[float] | None = None,
) -> StratifiedMean:
    """The mean of the strata's means, with the error clustered within strata.

    Without `strata` it is the mean of all items; with them, the macro average: an item of stratum g
    weighs size/(G x size of g). With stratum variances V its error is sqrt(ΣV)/G, with (ΣV)²/Σ(V²/df)
    degrees of freedom. A stratum of one cluster borrows the deviation of all items together. The mean
    of macro averages has strata of `Part`s, weights of 1/(averages x strata of g) in place of 1/G.

    Args:
        values: one a item, (n,); where `sizes` are given, an item's mean over its parts.
        clusters: label of what an item shares with others, (n,); in two strata a label is two clusters.
        strata: label of an item's sub-task, (n,).
        sizes: parts of an item, (n,); 1 when not given.

    Raises:
        ValueError: there is no value, or a sequence has another length.
    """
    count = len(values)
    for given in (clusters, strata, sizes):
        if given is not None and len(given) != count:
            raise ValueError(f"{count} values, but {len(given)} labels or sizes")
    if not count:
        raise ValueError("no values")
    masses = [1.0] * count if sizes is None else sizes
    portions = [1.0]
    if strata is None:
        sums = [cluster_sums(values, clusters, masses)]
    else:
        groups: dict[Hashable, list[int]] = {}
        for index, place in enumerate(strata):
            groups.setdefault(place, []).append(index)
        sums = [
            cluster_sums(
                [values[i] for i in own],
                None if clusters is None else [clusters[i] for i in own],
                [masses[i] for i in own],
            )
            for own in groups.values()
        ]
        portions = stratum_weights(list(groups))
    shares, weights, places = [], [], []
    for place, (totals, parts) in enumerate(sums):
        whole = sum(parts) / portions[place]
        places += [place] * len(parts)
        shares += [total / whole for total in totals]
        weights += [part / whole for part in parts]
    stderr, df = combined_error(sums, portions)
    return StratifiedMean(
        math.fsum(shares), stderr, df, tuple(shares), tuple(weights), tuple(places)
    )


def combined_error(
    sums: Sequence[tuple[Sequence[float], Sequence[float]]], portions: Sequence[float]
) -> tuple[float | None, float | None]:
    """Standard error and degrees of freedom of the mean of strata.

    Args:
        sums: (totals, sizes) of each stratum's clusters.
        portions: the weight of each stratum.
    """
    clusters = sum(len(totals) for totals, _ in sums)
    if clusters < 2:
        return None, None
    errors = [ratio(totals, parts, is_share=False).stderr for totals, parts in sums]
    deviation2 = pooled_deviation2(sums) if None in errors else 0.0
    variances, freedoms = [], []
    for (totals, parts), own, portion in zip(sums, errors, portions, strict=True):
        variances.append(portion**2 * (deviation2 / sum(parts) if own is None else own**2))
        freedoms.append(clusters - 1 if own is None else len(totals) - 1)
    total = math.fsum(variances)
    # Without any spread all degrees of freedom are as good: what is left after the strata's means.
    df = satterthwaite(variances, freedoms) if total > 0 else max(1, clusters - len(sums))
    return math.sqrt(total), float(df)


def satterthwaite(variances: Sequence[float], freedoms: Sequence[float]) -> float:
    """Degrees of freedom of a sum of independent variances (Satterthwaite 1946); all if it is 0."""
    spread = math.fsum(v * v / df for v, df in zip(variances, freedoms, strict=True))
    return math.fsum(variances) ** 2 / spread if spread > 0 else math.fsum(freedoms)


def pooled_deviation2(sums: Sequence[tuple[Sequence[float], Sequence[float]]]) -> float:
    """SE² x size of the mean over all strata's clusters together: what one part varies by."""
    totals = [total for own, _ in sums for total in own]
    parts = [part for _, own in sums for part in own]
    stderr = ratio(totals, parts, is_share=False).stderr
    return (stderr or 0.0) ** 2 * sum(parts)
