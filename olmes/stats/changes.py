"""Changes of scores: one against another, as a share of another, and in log-odds."""

from __future__ import annotations

import math
from dataclasses import dataclass

from olmes.stats.estimates import Z95
from olmes.stats.suites import Difference


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio of two differences with its 95 % interval."""

    value: float
    ci_low: float
    ci_high: float


@dataclass(frozen=True, slots=True)
class ShareError:
    """A share and its standard error."""

    value: float
    stderr: float
    n: int
    """Items."""

    @property
    def worth(self) -> float:
        """How many independent items its error is that of."""
        if self.stderr > 0:
            return self.value * (1 - self.value) / self.stderr**2
        return float(self.n)


def carried_share(dev: Difference, unseen: Difference) -> Ratio | None:
    """The change on unseen as a share of the change on dev, two numbers over different items.

    The interval holds every ratio r for which 0 lies in the interval of unseen - r dev, which squares
    and adds the distances to the ends of both (Fieller 1954; for intervals that are not symmetric
    Donner & Zou 2012).

    Returns:
        None where an interval is missing, or the one of dev reaches 0 or is so wide upwards that it
        would on the other side: the share could be anything.
    """
    if dev.value < 0:
        return carried_share(negated(dev), negated(unseen))
    if dev.ci_low is None or dev.ci_high is None or unseen.ci_low is None or unseen.ci_high is None:
        return None
    d, u = dev.value, unseen.value
    down, up = d - dev.ci_low, dev.ci_high - d
    if not max(down, up) < d:
        return None
    # unseen - r dev has its lower end by dev's upper one where r > 0, by its lower one where r < 0.
    low = root(d, u, up if unseen.ci_low > 0 else down, u - unseen.ci_low, sign=-1)
    high = root(d, u, down if unseen.ci_high > 0 else up, unseen.ci_high - u, sign=1)
    return Ratio(u / d, low, high)


def root(d: float, u: float, dev_half: float, unseen_half: float, *, sign: int) -> float:
    """The ratio r at which |u - r d| is sqrt(unseen_half² + r² dev_half²), below or above u/d."""
    scale = d * d - dev_half * dev_half
    rest = u * u * dev_half * dev_half + unseen_half * unseen_half * scale
    return (u * d + sign * math.sqrt(max(0.0, rest))) / scale


def negated(found: Difference) -> Difference:
    """The difference the other way round."""
    low = None if found.ci_high is None else -found.ci_high
    high = None if found.ci_low is None else -found.ci_low
    return Difference(-found.value, found.stderr, low, high)


def log_odds_change(before: ShareError, after: ShareError, stderr: float) -> Difference:
    """The change of a share in log-odds, ln(p/(1 - p)): 95 to 97.5 % is as far as 50 to 66.1 %.

    By the delta method, from the errors of both and that of their (paired) difference, which tells
    how they vary together. Half an item is added to right and wrong (Haldane 1956), so that 0 and
    100 % have log-odds too; a share without an error there gets that of its items.

    Args:
        before: the share.
        after: the same later.
        stderr: of after - before.
    """
    ends, slopes, variances = [], [], []
    for share in (before, after):
        worth = max(1.0, share.worth)
        p = (share.value * worth + 0.5) / (worth + 1)
        ends.append(math.log(p / (1 - p)))
        slopes.append(1 / (p * (1 - p)))
        variances.append(share.stderr**2 or p * (1 - p) / (worth + 1))
    limit = math.sqrt(variances[0] * variances[1])
    together = min(limit, max(-limit, (variances[0] + variances[1] - stderr**2) / 2))
    value = ends[1] - ends[0]
    variance = slopes[0] ** 2 * variances[0] + slopes[1] ** 2 * variances[1]
    error = math.sqrt(max(0.0, variance - 2 * slopes[0] * slopes[1] * together))
    return Difference(value, error, value - Z95 * error, value + Z95 * error)
