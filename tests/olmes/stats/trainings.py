"""Trainings drawn at random, and whether the alarm rings in them: `regression_alarm` for many.

Items of 0/1 alone and alike, so that a comparison is McNemar's exact test; `test_stats_alarm.py`
holds the arithmetic against `regression_alarm` itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, ndtri, stdtr

from olmes.stats.alarm import comparisons

Array: TypeAlias = NDArray[np.float64]


def answers(
    draw: np.random.Generator,
    chances: Array,
    n: int,
    *,
    correlation: float = 0.0,
    neighbours: float = 0.0,
) -> Array:
    """Right or wrong, (n, k): items differ in difficulty, and neighbouring checkpoints are alike.

    Args:
        draw: of everything.
        chances: true scores of the checkpoints, (k,).
        n: items.
        correlation: of two checkpoints' values over the items, at a score of one half.
        neighbours: autocorrelation from one checkpoint to the next of what is left.
    """
    shared = np.sin(np.pi * correlation / 2)  # of the normals behind values cut at one half
    k = len(chances)
    own = draw.standard_normal((n, k))
    for at in range(1, k):
        own[:, at] = neighbours * own[:, at - 1] + np.sqrt(1 - neighbours**2) * own[:, at]
    latent = np.sqrt(shared) * draw.standard_normal((n, 1)) + np.sqrt(1 - shared) * own
    return np.asarray(latent < ndtri(chances), dtype=float)


def best_before(means: Array) -> NDArray[np.intp]:
    """Place of the best of the checkpoints before each but the first, (k - 1,)."""
    return np.array([int(means[:at].argmax()) for at in range(1, len(means))])


def one_sided(before: Array, after: Array) -> Array:
    """p-values of a fall from columns to columns: half of McNemar's, or one less half, (k,)."""
    losses = ((before == 1) & (after == 0)).sum(axis=0)
    gains = ((before == 0) & (after == 1)).sum(axis=0)
    pairs = losses + gains
    both = np.minimum(1.0, 2 * bdtr(np.minimum(losses, gains), np.maximum(pairs, 1), 0.5))
    both = np.where(pairs == 0, 1.0, both)
    found: Array = np.where(losses > gains, both / 2, 1 - both / 2)
    return found


def of_the_mean(before: Array, after: Array, tasks: int) -> Array:
    """The same of the mean of several tasks of as many items each: Student's t, one sided, (k,)."""
    differences = (after - before).reshape(tasks, -1, before.shape[1])
    n = differences.shape[1]
    variances = differences.var(axis=1, ddof=1) / n
    stderr2 = variances.sum(axis=0) / tasks**2
    freedom = stderr2**2 / ((variances / tasks**2) ** 2 / (n - 1)).sum(axis=0)
    mean, count = differences.mean(axis=(0, 1)), tasks * n
    squares = count * (count - 1) * stderr2 + count * mean**2
    centre = mean * count / (count + 2)
    half = np.sqrt(((squares + 2) / (count + 2) - centre**2) / (count + 2))
    return np.array(stdtr(freedom, centre / half))


def rings(
    found: Array, *, tasks: int = 1, planned: int | None = None, looks: slice = slice(None)
) -> bool:
    """Whether any series of a training rings at one of its looks: each task, and their mean.

    Args:
        found: values of the items of all tasks one after the other, (tasks x n, k).
        tasks: how many; with more than one their mean is a series too.
        planned: as for `comparisons`.
        looks: which of the k - 1 looks are asked about.
    """
    k = found.shape[1]
    series = tasks + (tasks > 1)
    times = np.array([comparisons(at, series=series, planned=planned) for at in range(2, k + 1)])

    def least(values: Array, p_of: Callable[[Array, Array], Array]) -> Array:
        after = values[:, 1:]
        best, previous = values[:, best_before(values.mean(axis=0))], values[:, :-1]
        return np.minimum(p_of(best, after), p_of(previous, after))

    p_values = [least(own, one_sided) for own in np.split(found, tasks)]
    if tasks > 1:
        p_values.append(least(found, lambda before, after: of_the_mean(before, after, tasks)))
    return bool(((np.array(p_values) * times)[:, looks] < 0.05).any())


def unpaired_rings(found: Array, *, planned: int | None = None) -> bool:
    """The same of one series, from its scores and their errors alone (`unpaired_p`)."""
    means, n = found.mean(axis=0), len(found)
    times = np.array([comparisons(at, planned=planned) for at in range(2, len(means) + 1)])

    def p_of(before: Array, after: Array) -> Array:
        pooled = (before + after) / 2
        drop = before - after
        return np.asarray(stdtr(2 * n - 2, -drop / np.sqrt(pooled * (1 - pooled) * 2 / n + 1e-12)))

    least = np.minimum(p_of(means[best_before(means)], means[1:]), p_of(means[:-1], means[1:]))
    return bool((least * times < 0.05).any())
