"""Means over tasks, and differences of numbers that have no items in common."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from olmes.stats.estimates import Estimate, t95
from olmes.stats.pairing import PairedDifference
from olmes.stats.share_means import ShareOf, lower_end, upper_end, worth_of
from olmes.stats.strata import satterthwaite
from olmes.stats.verdicts import Verdict, verdict_of, verdict_sentence
from olmes.types import JsonObject


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference with its standard error and 95 % interval."""

    value: float
    stderr: float | None
    ci_low: float | None
    ci_high: float | None


@dataclass(frozen=True, slots=True)
class SuiteDifference(Difference):
    """The difference of two suite means over the same items, candidate less baseline."""

    df: float | None
    """Degrees of freedom of the interval's Student's t, on the side of 0."""
    p_value: float
    """Two-sided, of a difference of 0; 1 where a task has no interval."""
    tasks: int
    """How many the mean is of."""
    margin: float
    """Differences below it do not matter, in the unit of the tasks."""
    is_share: bool
    higher_is_better: bool

    @property
    def verdict(self) -> Verdict:
        """Better, worse, tied or not enough data, as of one task (`verdict_of`)."""
        return verdict_of(
            self.ci_low,
            self.ci_high,
            self.p_value,
            self.margin,
            higher_is_better=self.higher_is_better,
        )

    @property
    def sentence(self) -> str:
        """The verdict with its numbers, in percentage points for shares."""
        return verdict_sentence(
            self.verdict,
            self.value,
            self.ci_low,
            self.ci_high,
            self.p_value,
            is_share=self.is_share,
            of="1 task" if self.tasks == 1 else f"mean of {self.tasks} tasks",
        )

    def to_json(self) -> JsonObject:
        """A JSON object with every field, the verdict and the sentence."""
        return asdict(self) | {"verdict": self.verdict, "sentence": self.sentence}


def suite_mean(tasks: Mapping[str, Estimate], *, is_share: bool | None = None) -> Estimate | None:
    """The unweighted mean of tasks; its error is sqrt(Σ SE²)/T. None without tasks.

    The tasks are fixed and share no items, so their errors are independent. The interval of shares is
    that of a mean of shares (`share_means`), each worth as many items as its own interval says toward
    that end; of other numbers it squares and adds the distances to the ends of the tasks' intervals
    (Zou & Donner 2008). The mean of one task is the task.

    Args:
        tasks: by name.
        is_share: whether the values are shares; by default, whether they and their intervals could be.
    """
    members = list(tasks.values())
    if len(members) < 2:
        return members[0] if members else None
    value = math.fsum(task.value for task in members) / len(members)
    stderr = combined_stderr([task.stderr for task in members])
    n = sum(task.n for task in members)
    ends = [(task.ci_low, task.ci_high) for task in members]
    known = [(low, high) for low, high in ends if low is not None and high is not None]
    if len(known) < len(members):
        return Estimate(value, stderr, None, None, n)
    if is_share is None:
        is_share = all(low >= 0 and high <= 1 for low, high in known)
    if is_share:
        low = lower_end(shares_toward(0, members))
        high = upper_end(shares_toward(1, members))
        return Estimate(value, stderr, low, high, n)
    below = [task.value - low for task, (low, _) in zip(members, known, strict=True)]
    above = [high - task.value for task, (_, high) in zip(members, known, strict=True)]
    low, high = (root_sum_square(side) / len(members) for side in (below, above))
    return Estimate(value, stderr, value - low, value + high, n)


def shares_toward(end: Literal[0, 1], tasks: Sequence[Estimate]) -> list[ShareOf]:
    """What each task is worth toward one end of the interval of their mean."""
    found = []
    for task in tasks:
        ends = (task.ci_low, task.ci_high) if end == 0 else (task.ci_high, task.ci_low)
        worths = (worth_of(task.value, one) for one in ends if one is not None)
        worth = next((one for one in worths if one is not None), float(task.n))
        found.append(ShareOf(task.value, 1 / len(tasks), worth))
    return found


def root_sum_square(distances: Sequence[float]) -> float:
    """sqrt(Σ x²), of one side of intervals that are independent of each other."""
    return math.sqrt(math.fsum(max(0.0, distance) ** 2 for distance in distances))


def suite_difference(
    tasks: Mapping[Any, PairedDifference], *, margin: float | None = None
) -> SuiteDifference | None:
    """The difference of two suite means, each task paired by its items.

    The interval squares and adds the distances to the ends of the tasks' intervals (Zou & Donner
    2008) over T, each distance freed of its own Student's t and the sum given one with
    Satterthwaite's degrees of freedom; that of shares ends at ± 1. The p-value is by that t. The mean
    of one task is the task, with its interval and its p-value.

    Args:
        tasks: by name; their p-values need no correction, for the mean is a question of its own.
        margin: half-width within which two means count as tied; the tasks' smallest if not given.

    Returns:
        None without tasks, and where the tasks have no direction or unit in common.
    """
    members = list(tasks.values())
    if len({(task.higher_is_better, task.is_share) for task in members}) != 1:
        return None
    count = len(members)
    value = math.fsum(task.difference for task in members) / count
    low, high, df, p_value = None, None, None, 1.0
    if count == 1:
        one = members[0]
        low, high, df, p_value = one.ci_low, one.ci_high, one.df, one.p_value
    elif (sides := sides_of(members)) is not None:
        below, above = (combined(side) for side in sides)
        low = value - t95(below.df) * below.stderr / count
        high = value + t95(above.df) * above.stderr / count
        if members[0].is_share:
            low, high = max(-1.0, low), min(1.0, high)
        toward_0 = below if value > 0 else above
        df, p_value = toward_0.df, toward_0.p_value(value * count)
    return SuiteDifference(
        value=value,
        stderr=combined_stderr([task.stderr for task in members]),
        ci_low=low,
        ci_high=high,
        df=df,
        p_value=p_value,
        tasks=count,
        margin=min(task.margin for task in members) if margin is None else margin,
        is_share=members[0].is_share,
        higher_is_better=members[0].higher_is_better,
    )


def paired_mean(
    tasks: Mapping[Any, PairedDifference], *, margin: float | None = None
) -> PairedDifference | None:
    """The same as a paired difference, with the items and clusters of all tasks.

    For whatever asks the one question of a task and of a mean alike: boards and the alarm.

    Args:
        tasks: as for `suite_difference`.
        margin: as for `suite_difference`.

    Returns:
        As `suite_difference`; of one task the task.
    """
    members = list(tasks.values())
    mean = suite_difference(tasks, margin=margin)
    if len(members) == 1 or mean is None:
        return members[0] if mean else None
    return replace(
        members[0],
        n=sum(one.n for one in members),
        clusters=sum(one.clusters for one in members),
        baseline=math.fsum(one.baseline for one in members) / len(members),
        candidate=math.fsum(one.candidate for one in members) / len(members),
        difference=mean.value,
        stderr=mean.stderr,
        df=mean.df,
        ci_low=mean.ci_low,
        ci_high=mean.ci_high,
        p_value=mean.p_value,
        p_adjusted=mean.p_value,
        test="mean of paired t",
        wins=sum(one.wins for one in members),
        losses=sum(one.losses for one in members),
        effective_items=None,
        margin=mean.margin,
    )


@dataclass(frozen=True, slots=True)
class Side:
    """One side of an interval: the standard error that its distance stands for."""

    stderr: float
    df: float

    def p_value(self, value: float) -> float:
        """Student's two-sided p-value of a true value of 0."""
        if self.stderr == 0:
            return 1.0 if value == 0 else 0.0
        from scipy.special import stdtr

        return 2 * float(stdtr(self.df, -abs(value) / self.stderr))


def sides_of(tasks: Sequence[PairedDifference]) -> tuple[list[Side], list[Side]] | None:
    """What the lower and the upper sides of intervals stand for; None where one has no interval."""
    below, above = [], []
    for task in tasks:
        if task.ci_low is None or task.ci_high is None or task.df is None:
            return None
        t = t95(task.df)
        below.append(Side(max(0.0, task.difference - task.ci_low) / t, task.df))
        above.append(Side(max(0.0, task.ci_high - task.difference) / t, task.df))
    return below, above


def combined(sides: Sequence[Side]) -> Side:
    """The side of a sum: errors squared and added, degrees of freedom by Satterthwaite 1946."""
    variances = [side.stderr**2 for side in sides]
    total = math.sqrt(math.fsum(variances))
    return Side(total, satterthwaite(variances, [side.df for side in sides]))


def combined_stderr(errors: Sequence[float | None]) -> float | None:
    """The standard error of a mean of independent numbers; None where one of theirs is not known."""
    known = [error for error in errors if error is not None]
    if len(known) < len(errors):
        return None
    return math.sqrt(math.fsum(error**2 for error in known)) / len(errors)


def generalization_gap(dev: Estimate | Difference, unseen: Estimate | Difference) -> Difference:
    """Dev less unseen, two numbers (or two changes of numbers) over different items.

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
