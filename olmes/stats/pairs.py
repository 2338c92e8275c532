"""Every pair of many runs on the same items, as `compare` would have it with `test="t"`."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from olmes.stats.moments import Evidence, moments_of
from olmes.stats.pairing import EQUAL_WEIGHTS, PairedDifference, difference_of, quick_test
from olmes.stats.strata import Groups

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Places = NDArray[np.intp]


def all_pairs(
    values: Sequence[Sequence[float]],
    *,
    clusters: Sequence[Hashable] | None = None,
    strata: Sequence[Hashable] | None = None,
    sizes: Sequence[float] | None = None,
    margin: float | None = None,
    higher_is_better: bool = True,
    is_share: bool | None = None,
) -> dict[tuple[int, int], PairedDifference]:
    """Compare every pair of runs on the same items: `compare` with `test="t"`, for a hundred of them.

    The sums over items are made for one run against all later ones at once; from them on, each pair
    goes the way of `compare`.

    Args:
        values: items by runs, (n, k).
        clusters: label of what an item shares with others, (n,).
        strata: label of the sub-task, (n,).
        sizes: parts of an item, (n,).
        margin: as for `compare`.
        higher_is_better: as for `compare`.
        is_share: as for `compare`; by default, whether all values of a pair could be shares.

    Returns:
        By the places (i, j) of two runs, i < j: run i, the candidate, less run j, the baseline.

    Raises:
        ValueError: there are no items or no runs, or a sequence has another length.
    """
    import numpy as np

    table = np.array(values, dtype=float)
    if table.ndim != 2 or not table.size:
        raise ValueError("no items or no runs")
    n, k = table.shape
    layout = Layout.of(n, clusters, strata, sizes)
    alone = layout if clusters is None else Layout.of(n, None, strata, sizes)
    evidence = Evidence(alone.effective_clusters, layout.effective_clusters, layout.spare_clusters)
    means = layout.means(table)
    binary = np.atleast_1d(np.isin(table, (0.0, 1.0)).all(axis=0))
    shares = np.atleast_1d(((table >= 0) & (table <= 1)).all(axis=0))
    scales = np.abs(table).max(axis=0)
    alike = layout.alike
    found: dict[tuple[int, int], PairedDifference] = {}
    for i in range(k - 1):
        differences = table[:, [i]] - table[:, i + 1 :]
        errors = layout.errors(differences)
        single = errors if alone is layout else alone.errors(differences)
        wins, losses = (differences > 0).sum(axis=0), (differences < 0).sum(axis=0)
        drops = layout.means(differences)
        for place, j in enumerate(range(i + 1, k)):
            scale = float(max(scales[i], scales[j]))
            moments = moments_of(
                float(drops[place]),
                errors.at(place),
                single.at(place),
                evidence,
                binary=bool(binary[i] and binary[j]),
                scale=scale,
            )
            won, lost = int(wins[place]), int(losses[place])
            found[i, j] = difference_of(
                moments,
                quick_test(moments, won, lost, alike=alike),
                n=n,
                clusters=layout.clusters,
                values=(float(means[j]), float(means[i])),
                flips=(won, lost),
                margin=margin,
                is_share=bool(shares[i] and shares[j]) if is_share is None else is_share,
                higher_is_better=higher_is_better,
            )
    return found


@dataclass(frozen=True, slots=True)
class Errors:
    """Standard errors of several means over the same items, with their degrees of freedom."""

    stderr: Array | None
    """None where there is one cluster."""
    df: Array

    def at(self, place: int) -> tuple[float, float] | None:
        """Those of one mean."""
        return None if self.stderr is None else (float(self.stderr[place]), float(self.df[place]))


@dataclass(frozen=True, slots=True)
class Layout:
    """Items in the order of their clusters, and these in the order of their strata."""

    order: Places
    """Of the items."""
    masses: Array
    """Of the items in that order, (n,)."""
    first_items: Places
    """The place of each cluster's first item, (C,)."""
    parts: Array
    """The size of each cluster, (C,)."""
    first_clusters: Places
    """The place of each stratum's first cluster, (G,)."""
    counts: Places
    """Clusters of each stratum, (G,)."""
    portions: Array
    """The weight of each stratum in the mean, (G,)."""

    @classmethod
    def of(
        cls,
        n: int,
        clusters: Sequence[Hashable] | None,
        strata: Sequence[Hashable] | None,
        sizes: Sequence[float] | None,
    ) -> Layout:
        """The layout of n items.

        Raises:
            ValueError: there are more or fewer labels or sizes than items.
        """
        import numpy as np

        groups = Groups.of(n, clusters, strata)
        masses = np.ones(n) if sizes is None else np.array(sizes, dtype=float)
        if len(masses) != n:
            raise ValueError(f"{n} values, but {len(masses)} labels or sizes")
        index, places = np.array(groups.index), np.array(groups.places)
        order = np.lexsort((index, places[index]))
        _, first_items = np.unique(index[order], return_index=True)
        first_items = np.sort(first_items)
        counts = np.bincount(places, minlength=groups.strata)
        first_clusters = np.concatenate(([0], counts.cumsum()[:-1]))
        parts = np.add.reduceat(masses[order], first_items)
        portions = np.array(groups.weights)
        return cls(order, masses[order], first_items, parts, first_clusters, counts, portions)

    @property
    def clusters(self) -> int:
        """How many there are."""
        return len(self.parts)

    @property
    def spare_clusters(self) -> int:
        """How many there are beyond one a stratum; at least 1."""
        return max(1, self.clusters - len(self.counts))

    @property
    def weights(self) -> Array:
        """The weight of each cluster in the mean, (C,); their sum is 1."""
        import numpy as np

        whole = np.add.reduceat(self.parts, self.first_clusters) / self.portions
        weights: Array = self.parts / np.repeat(whole, self.counts)
        return weights

    @property
    def alike(self) -> bool:
        """Whether every item stands alone and weighs the same."""
        weights = self.weights
        single = self.clusters == len(self.order)
        return single and float(weights.max() - weights.min()) < EQUAL_WEIGHTS

    @property
    def effective_clusters(self) -> float:
        """As many clusters of equal weight would be worth: 1/Σ w² (Kish 1965)."""
        return 1 / float((self.weights**2).sum())

    def totals(self, columns: Array) -> Array:
        """Of each cluster, (C, q), from values of items, (n, q)."""
        import numpy as np

        weighed = columns[self.order] * self.masses[:, None]
        totals: Array = np.add.reduceat(weighed, self.first_items, axis=0)
        return totals

    def means(self, columns: Array) -> Array:
        """The mean of the strata's means of each column, (q,)."""
        import numpy as np

        sums = np.add.reduceat(self.totals(columns), self.first_clusters, axis=0)
        sizes = np.add.reduceat(self.parts, self.first_clusters)
        means: Array = (self.portions / sizes) @ sums
        return means

    def errors(self, columns: Array) -> Errors:
        """Clustered standard errors of the means of columns, as `stratified_mean` has them."""
        import numpy as np

        q = columns.shape[1]
        if self.clusters < 2:
            return Errors(None, np.zeros(q))
        totals, sizes = self.totals(columns), np.add.reduceat(self.parts, self.first_clusters)
        middle = np.add.reduceat(totals, self.first_clusters, axis=0) / sizes[:, None]
        residuals = totals - np.repeat(middle, self.counts, axis=0) * self.parts[:, None]
        squares = np.add.reduceat(residuals**2, self.first_clusters, axis=0)
        factor = self.counts / np.maximum(1, self.counts - 1)
        variances = factor[:, None] * squares / sizes[:, None] ** 2
        freedoms = (self.counts - 1.0)[:, None].repeat(q, axis=1)
        if (lone := self.counts == 1).any():
            whole = self.parts.sum()
            rest = totals - totals.sum(axis=0) / whole * self.parts[:, None]
            pooled = self.clusters / (self.clusters - 1) * (rest**2).sum(axis=0) / whole
            variances[lone] = pooled / sizes[lone][:, None]
            freedoms[lone] = self.clusters - 1
        variances *= self.portions[:, None] ** 2
        total, spread = variances.sum(axis=0), (variances**2 / freedoms).sum(axis=0)
        some = spread > 0
        df = np.full(q, float(self.spare_clusters))
        df[some] = total[some] ** 2 / spread[some]
        return Errors(np.sqrt(total), df)
