"""Means with their standard errors and 95 % intervals.

Formulas: Miller 2024, "Adding Error Bars to Evals" (arXiv 2411.00640), sections 2.1 and 2.2; Wilson
1927 for shares, with an effective sample size where items are clustered or averaged over sub-tasks.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

Z95 = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean, how sure it is, and of how many items."""

    value: float
    stderr: float | None
    """Standard error of the mean; None where one item alone cannot tell."""
    ci_low: float | None
    ci_high: float | None
    n: int

    def to_json(self) -> dict[str, Any]:
        """A JSON object with every field."""
        return asdict(self)


def wilson(share: float, n: float) -> tuple[float, float]:
    """The 95 % Wilson score interval of a share of `n` (effective) items."""
    z2 = Z95 * Z95
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    # At the ends the exact bound is the end itself; rounding must not push it outside.
    low = 0.0 if share <= 0 else max(0.0, centre - half)
    high = 1.0 if share >= 1 else min(1.0, centre + half)
    return low, high


def with_interval(value: float, stderr: float | None, n: int, *, is_share: bool) -> Estimate:
    """An estimate with its 95 % interval.

    A share gets Wilson's interval at the sample size that its standard error is worth,
    p(1 - p)/SE² (at p = 0 or 1, where the error vanishes, at n); anything else value ± 1.96 SE.
    """
    if is_share:
        spread = value * (1 - value)
        effective = spread / stderr**2 if stderr and spread > 0 else float(n)
        low, high = wilson(value, effective)
    elif stderr is None:
        return Estimate(value, None, None, None, n)
    else:
        low, high = value - Z95 * stderr, value + Z95 * stderr
    return Estimate(value, stderr, low, high, n)


def ratio(
    totals: Sequence[float], sizes: Sequence[float], *, is_share: bool, n: int | None = None
) -> Estimate:
    """Σ totals / Σ sizes over clusters, with the cluster-robust standard error.

    Cluster c has total t and size m; with r = Σt/Σm the error is
    sqrt(C/(C-1) Σ (t - r m)²) / Σm, which for clusters of size 1 is the standard error of the mean
    (Miller 2024, eq. 4, with the small-sample factor). `n` is the number of parts, Σ sizes when
    it is not given.
    """
    size = sum(sizes)
    value = sum(totals) / size
    clusters = len(totals)
    count = round(size) if n is None else n
    if clusters < 2:
        return with_interval(value, None, count, is_share=is_share)
    squares = sum((t - value * m) ** 2 for t, m in zip(totals, sizes, strict=True))
    stderr = math.sqrt(clusters / (clusters - 1) * squares) / size
    return with_interval(value, stderr, count, is_share=is_share)


def mean(values: Sequence[float], clusters: Sequence[Hashable] | None = None) -> Estimate:
    """The mean of `values`; with `clusters` (one label a value) its error is clustered."""
    is_share = all(0 <= value <= 1 for value in values)
    if clusters is None:
        return ratio(values, [1.0] * len(values), is_share=is_share)
    totals: dict[Hashable, float] = {}
    sizes: dict[Hashable, float] = {}
    for label, value in zip(clusters, values, strict=True):
        totals[label] = totals.get(label, 0.0) + value
        sizes[label] = sizes.get(label, 0.0) + 1
    return ratio(list(totals.values()), list(sizes.values()), is_share=is_share)


def macro(groups: Mapping[str, Estimate], pooled: Estimate, *, is_share: bool) -> Estimate:
    """The unweighted mean of group means; its error is sqrt(Σ SE²)/G.

    A group of one item has no error of its own: the standard deviation of all items together
    (`pooled`, the estimate over them) stands in for it, which errs on the wide side.
    """
    count = len(groups)
    value = sum(group.value for group in groups.values()) / count
    deviation2 = None if pooled.stderr is None else pooled.stderr**2 * pooled.n
    squares = 0.0
    for group in groups.values():
        if group.stderr is not None and group.n > 1:
            squares += group.stderr**2
        elif deviation2 is not None:
            squares += deviation2 / group.n
        else:
            return with_interval(value, None, pooled.n, is_share=is_share)
    return with_interval(value, math.sqrt(squares) / count, pooled.n, is_share=is_share)
