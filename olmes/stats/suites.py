"""Means over tasks, and differences of numbers that have no items in common."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from olmes.stats.estimates import Estimate, with_interval
from olmes.stats.pairing import PairedDifference


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference with its standard error and 95 % interval."""

    value: float
    stderr: float | None
    ci_low: float | None
    ci_high: float | None


def suite_mean(tasks: Mapping[str, Estimate]) -> Estimate | None:
    """The unweighted mean of tasks; its error is sqrt(Σ SE²)/T. None without tasks.

    The tasks are fixed and share no items, so their errors are independent. Where every value lies
    in [0, 1] the interval is Wilson's at the sample size that the error is worth.
    """
    if not tasks:
        return None
    values = [task.value for task in tasks.values()]
    errors = [task.stderr for task in tasks.values()]
    n = sum(task.n for task in tasks.values())
    value = math.fsum(values) / len(values)
    known = [error for error in errors if error is not None]
    if len(known) < len(errors):
        return Estimate(value, None, None, None, n)
    stderr = math.sqrt(math.fsum(error**2 for error in known)) / len(values)
    return with_interval(value, stderr, n, is_share=all(0 <= v <= 1 for v in values))


def suite_difference(tasks: Mapping[str, PairedDifference]) -> Difference | None:
    """The difference of two suite means, each task paired by its items. None without tasks.

    The tasks' intervals are combined by squaring and adding (below), over T.
    """
    if not tasks:
        return None
    count = len(tasks)
    value = math.fsum(task.difference for task in tasks.values()) / count
    errors = [task.stderr for task in tasks.values()]
    known = [error for error in errors if error is not None]
    if len(known) < count:
        return Difference(value, None, None, None)
    down, up = [], []
    for task in tasks.values():
        if task.ci_low is None or task.ci_high is None:
            return Difference(value, None, None, None)
        down.append(task.difference - task.ci_low)
        up.append(task.ci_high - task.difference)
    stderr = math.sqrt(math.fsum(error**2 for error in known)) / count
    return Difference(
        value, stderr, value - root_sum_square(down) / count, value + root_sum_square(up) / count
    )


def generalization_gap(dev: Estimate, unseen: Estimate) -> Difference:
    """Dev less unseen, two numbers over different items.

    Its error is sqrt(SE² + SE²). Its interval squares and adds the distances to the ends of the two
    intervals (Newcombe 1998, method 10; Zou & Donner 2008), so that it keeps their asymmetry near 0
    and 1: low = d - sqrt((dev - dev_low)² + (unseen_high - unseen)²).
    """
    value = dev.value - unseen.value
    stderr = None
    if dev.stderr is not None and unseen.stderr is not None:
        stderr = math.hypot(dev.stderr, unseen.stderr)
    if dev.ci_low is None or dev.ci_high is None or unseen.ci_low is None or unseen.ci_high is None:
        return Difference(value, stderr, None, None)
    low = value - math.hypot(dev.value - dev.ci_low, unseen.ci_high - unseen.value)
    high = value + math.hypot(dev.ci_high - dev.value, unseen.value - unseen.ci_low)
    return Difference(value, stderr, low, high)


def root_sum_square(distances: Sequence[float]) -> float:
    """sqrt(Σ x²), of one side of intervals that are independent of each other."""
    return math.sqrt(math.fsum(max(0.0, distance) ** 2 for distance in distances))
