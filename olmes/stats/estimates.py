"""Means with their standard errors and 95 % intervals. Plain Python: it is on the path of every run.

Formulas: Miller 2024, "Adding Error Bars to Evals" (arXiv 2411.00640), sections 2.1 and 2.2; Wilson
1927 for shares, with an effective sample size where items are clustered or averaged over sub-tasks,
and Student's t for the number of clusters (Korn & Graubard 1998; compared by Franco et al. 2019).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from olmes.stats.skewness import skewed_ends, skewness

Z95 = 1.959963984540054
"""The normal quantile at 0.975; a number, because the module that computes it is slow to import."""

ROUNDING = 1e-12
"""What the sums of numbers that are all alike may differ by, relative to them."""

T95_BY_FREEDOM = (
    1.210364, 0.707666, 0.150627, -0.223402, -0.103577, 0.209475, -0.096014, 0.014025,
)  # fmt: skip
"""ln(t/1.96) df as a polynomial in 1/df, from 1 to infinity: a fit to the quantile's exact values."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean, how sure it is, and of how many items."""

    value: float
    stderr: float | None
    """Standard error of the mean; None where one item alone cannot tell."""
    ci_low: float | None
    ci_high: float | None
    n: int
    clusters: int | None = None
    """Clusters of those items; None where they were not counted."""


def t95(df: float) -> float:
    """Student's t quantile at 0.975 for `df` >= 1, fractions too, to 6 digits."""
    x = 1 / max(1.0, df)
    power, logarithm = x, 0.0
    for coefficient in T95_BY_FREEDOM:
        logarithm += coefficient * power
        power *= x
    return Z95 * math.exp(logarithm)


def negligible(error: float, scale: float) -> bool:
    """Whether an error is nothing but the rounding of numbers as large as `scale`."""
    return error <= ROUNDING * scale


def wilson(share: float, n: float) -> tuple[float, float]:
    """The 95 % Wilson score interval of a share of `n` (effective) items."""
    z2 = Z95 * Z95
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    # At the ends the exact bound is the end itself; rounding must not push it outside.
    low = 0.0 if share <= 0 else max(0.0, centre - half)
    high = 1.0 if share >= 1 else min(1.0, centre + half)
    return low, high


def with_interval(
    value: float,
    stderr: float | None,
    n: int,
    *,
    is_share: bool,
    effective: float | None = None,
    df: float | None = None,
) -> Estimate:
    """An estimate with its 95 % interval.

    A share gets Wilson's interval at its `effective` sample size. When that is not given it is the
    one that the standard error is worth, p(1 - p)/SE², and at p = 0 or 1, where the error vanishes,
    n. Anything else gets value ± t SE, t = 1.96 or Student's with `df` degrees of freedom, and no
    interval where the error is 0.
    """
    if is_share:
        if effective is None:
            spread = value * (1 - value)
            effective = spread / stderr**2 if stderr and spread > 0 else float(n)
        low, high = wilson(value, effective)
    elif not stderr:
        # Numbers that are all alike say nothing of other ones.
        return Estimate(value, stderr, None, None, n)
    else:
        half = (Z95 if df is None else t95(df)) * stderr
        low, high = value - half, value + half
    return Estimate(value, stderr, low, high, n)


def ratio(
    totals: Sequence[float], sizes: Sequence[float], *, is_share: bool, n: int | None = None
) -> Estimate:
    """Σ totals / Σ sizes over clusters, with the cluster-robust standard error.

    Cluster c has total t and size m; with r = Σt/Σm the error is
    sqrt(C/(C-1) Σ (t - r m)²) / Σm, which for clusters of size 1 is the standard error of the mean
    (Miller 2024, eq. 4, with the small-sample factor). The interval uses Student's t with C - 1
    degrees of freedom, but a share of 0/1 items that stand alone has Wilson's interval at n, which
    needs none; where the values are no shares, its longer side allows for their skewness. `n` is the
    number of parts, Σ sizes when it is not given.
    """
    size = sum(sizes)
    value = sum(totals) / size
    clusters = len(totals)
    count = round(size) if n is None else n
    stderr = None
    if clusters > 1:
        squares = sum((t - value * m) ** 2 for t, m in zip(totals, sizes, strict=True))
        stderr = math.sqrt(clusters / (clusters - 1) * squares) / size
        if negligible(stderr * size, max(abs(max(totals)), abs(min(totals))) * math.sqrt(clusters)):
            stderr = 0.0
    effective = effective_size(value, stderr, sizes) if is_share else None
    df = max(1, clusters - 1)
    found = with_interval(value, stderr, count, is_share=is_share, effective=effective, df=df)
    if not is_share and stderr:
        skew = skewness([t - value * m for t, m in zip(totals, sizes, strict=True)])
        low, high = skewed_ends(value, stderr, t95(df), skew, clusters)
        found = replace(found, ci_low=low, ci_high=high)
    return replace(found, clusters=clusters)


def effective_size(share: float, stderr: float | None, sizes: Sequence[float]) -> float:
    """How many independent 0/1 items a share over clusters is worth.

    n for 0/1 items that stand alone: there p(1 - p)/SE², less the small-sample factor n/(n - 1), is n.
    For clusters, and averages standing alone, p(1 - p)/SE² times (1.96/t)² with C - 1 degrees of
    freedom.
    """
    clusters = len(sizes)
    spread = share * (1 - share)
    if not stderr or spread <= 0:
        # All items of a cluster may be right or wrong together: where no error can be seen, only
        # whole clusters count as evidence (their effective number, Kish 1965).
        return sum(sizes) ** 2 / sum(size * size for size in sizes)
    worth = spread / stderr**2
    if all(size == 1 for size in sizes) and math.isclose(worth, clusters - 1):
        return float(clusters)
    return worth * (Z95 / t95(clusters - 1)) ** 2


def cluster_sums(
    values: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    sizes: Sequence[float] | None = None,
) -> tuple[list[float], list[float]]:
    """Totals and sizes of clusters, in order of first appearance; without labels each stands alone.

    `values` are means over `sizes` parts (1 when not given), so a total is Σ value x size.
    """
    weights = [1.0] * len(values) if sizes is None else [float(size) for size in sizes]
    if clusters is None:
        return [v * m for v, m in zip(values, weights, strict=True)], weights
    totals: dict[Hashable, float] = {}
    masses: dict[Hashable, float] = {}
    for label, value, weight in zip(clusters, values, weights, strict=True):
        totals[label] = totals.get(label, 0.0) + value * weight
        masses[label] = masses.get(label, 0.0) + weight
    return list(totals.values()), list(masses.values())


def mean(values: Sequence[float], clusters: Sequence[Hashable] | None = None) -> Estimate:
    """The mean of `values`; with `clusters` (one label a value) its error is clustered."""
    is_share = all(0 <= value <= 1 for value in values)
    totals, sizes = cluster_sums(values, clusters)
    return ratio(totals, sizes, is_share=is_share)
