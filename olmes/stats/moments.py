"""The interval and the t test of a mean paired difference, from its mean, error and evidence."""

from __future__ import annotations

import math
from dataclasses import dataclass

from olmes.stats.estimates import negligible, t95
from olmes.stats.exact import PValue


@dataclass(frozen=True, slots=True)
class Evidence:
    """How much there is to go by."""

    items: float
    """Their effective number, 1/Σ w² (Kish 1965)."""
    clusters: float
    """Theirs."""
    spare: int
    """Clusters beyond one a stratum; at least 1."""


@dataclass(frozen=True, slots=True)
class Moments:
    """What the items say of a paired difference, before any interval or test."""

    value: float
    """Candidate less baseline."""
    stderr: float | None
    """Paired and clustered; None where there is one cluster, 0 where all differences are alike."""
    df: float | None
    """Degrees of freedom of the error (Satterthwaite 1946)."""
    binary: bool
    """Whether both runs score every item 0 or 1."""
    effective: float
    """How many independent items the items are worth: n over the design effect (Kish 1965)."""

    @property
    def guarded(self) -> tuple[float, float | None]:
        """The centre and the error that interval and test are built on.

        The mean and its error; but differences of 0/1 scores, and differences that are all alike,
        first get one win and one loss more (Bonett & Price 2012): without them ten ties in ten items
        would make the interval a point. With n effective items and S = n(n - 1) SE² + n D², the sum
        of squares, the centre is D n/(n + 2) and the variance ((S + 2)/(n + 2) - centre²)/(n + 2);
        with items alone and alike that is their formula. Differences that are all alike and no 0/1
        scores get a win and a loss of their own size, at least of 1 in the metric's unit.
        """
        if self.stderr is None or not (self.binary or self.stderr == 0):
            return self.value, self.stderr
        n, size = self.effective, 1.0 if self.binary else max(1.0, abs(self.value))
        squares = n * (n - 1) * self.stderr**2 + n * self.value**2
        centre = self.value * n / (n + 2)
        variance = ((squares + 2 * size * size) / (n + 2) - centre**2) / (n + 2)
        return centre, math.sqrt(max(0.0, variance))

    def interval(self) -> tuple[float, float] | tuple[None, None]:
        """The 95 % interval, centre ± t SE; None and None where there is one cluster.

        Student's t, since the variance is estimated and with few clusters the normal quantile is too
        small.
        """
        centre, stderr = self.guarded
        if stderr is None or self.df is None:
            return None, None
        half = t95(self.df) * stderr
        return centre - half, centre + half

    def t_test(self) -> PValue:
        """Student's t test that the difference is 0; p = 1 where there is one cluster."""
        centre, stderr = self.guarded
        if stderr is None or self.df is None:
            return PValue(1.0, "paired t")
        from scipy.special import stdtr

        return PValue(2 * float(stdtr(self.df, -abs(centre) / stderr)), "paired t")


def moments_of(
    value: float,
    error: tuple[float, float] | None,
    alone: tuple[float, float] | None,
    evidence: Evidence,
    *,
    binary: bool,
    scale: float,
) -> Moments:
    """The moments of a mean of differences.

    Args:
        value: the mean.
        error: its clustered error and degrees of freedom; None where there is one cluster.
        alone: the same with each item standing alone.
        evidence: how much there is.
        binary: whether both runs score every item 0 or 1.
        scale: the largest of the two runs' values; an error that is nothing beside it is rounding.
    """
    if error is None or alone is None:
        return Moments(value, None, None, binary, evidence.clusters)
    if negligible(error[0], scale):
        return Moments(value, 0.0, float(evidence.spare), binary, evidence.clusters)
    # n over the design effect; no more than there are items, no fewer than clusters.
    worth = evidence.items * (alone[0] / error[0]) ** 2
    worth = min(evidence.items, max(evidence.clusters, worth))
    return Moments(value, *error, binary, worth)
