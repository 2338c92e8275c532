"""The bootstrap, for numbers that are no plain means: corpus-level metrics, ratios, medians."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Bootstrapped:
    """A number and what the bootstrap says of it."""

    value: float
    """The statistic of the items as they are."""
    stderr: float | None
    """Standard deviation of the statistic over resamples; None where a stratum has one cluster."""
    ci_low: float | None
    ci_high: float | None
    """95 % interval; None also where all resamples agree, which says nothing of other items."""
    bias: float | None
    """Mean over resamples less `value`."""
    n: int
    clusters: int
    method: str
    n_resamples: int
    seed: int


def bootstrap(
    statistic: Callable[[Sequence[T]], float],
    items: Sequence[T],
    *,
    clusters: Sequence[Hashable] | None = None,
    strata: Sequence[Hashable] | None = None,
    n_resamples: int = 2_000,
    method: Literal["percentile", "bca"] = "bca",
    seed: int = 0,
) -> Bootstrapped:
    """The error and the interval of any statistic of items, by drawing the items anew.

    Whole clusters are drawn with replacement, within each stratum (Davison & Hinkley 1997, sections
    3.2 and 3.8), as many as there are. The standard error is the standard deviation over resamples
    as it stands: dividing it by sqrt(n_resamples) would make it the error of the simulation. BCa
    (Efron 1987) corrects the interval for bias and skewness; it leaves out each cluster once.

    Args:
        statistic: items in, number out; it is given items of a resample, some of them repeatedly.
        items: (n,), of any kind.
        clusters: label of what an item shares with others, (n,).
        strata: label of the sub-task within which to draw, (n,); for macro averages.
        n_resamples: resamples drawn.
        method: of the interval.
        seed: of the draws.

    Raises:
        ValueError: there are no items, or a sequence has another length.
    """
    if not items:
        raise ValueError("no items")
    groups: dict[Hashable, dict[Hashable, list[T]]] = {}
    labels = range(len(items)) if clusters is None else clusters
    places = [None] * len(items) if strata is None else strata
    for item, cluster, place in zip(items, labels, places, strict=True):
        groups.setdefault(place, {}).setdefault(cluster, []).append(item)
    pools = [list(group.values()) for group in groups.values()]
    value = float(statistic(items))
    count = sum(len(pool) for pool in pools)
    if any(len(pool) < 2 for pool in pools):
        return Bootstrapped(
            value, None, None, None, None, len(items), count, method, n_resamples, seed
        )
    low, high, draws = drawn(statistic, pools, n_resamples, method, seed)
    mean, spread = float(draws.mean()), float(draws.std(ddof=1))
    # Equal draws differ in their last bits when summed in another order.
    if spread <= 1e-12 * max(1.0, abs(value)):
        return Bootstrapped(
            value, 0.0, None, None, mean - value, len(items), count, method, n_resamples, seed
        )
    return Bootstrapped(
        value, spread, low, high, mean - value, len(items), count, method, n_resamples, seed
    )


def drawn(
    statistic: Callable[[Sequence[T]], float],
    pools: Sequence[Sequence[Sequence[T]]],
    n_resamples: int,
    method: str,
    seed: int,
) -> tuple[float, float, Any]:
    """Ends of the interval and the statistic of each resample, by scipy over cluster numbers."""
    import warnings

    import numpy as np
    from scipy import stats

    def of_clusters(*chosen: Any) -> float:
        resample = [
            item
            for pool, numbers in zip(pools, chosen, strict=True)
            for number in numbers
            for item in pool[int(number)]
        ]
        return float(statistic(resample))

    with warnings.catch_warnings():
        # Draws that all agree make BCa undefined; the caller sees to that case.
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        found = stats.bootstrap(
            tuple(np.arange(len(pool)) for pool in pools),
            of_clusters,
            n_resamples=n_resamples,
            vectorized=False,
            method="BCa" if method == "bca" else "percentile",
            rng=np.random.default_rng(seed),
        )
    interval = found.confidence_interval
    return float(interval.low), float(interval.high), found.bootstrap_distribution
