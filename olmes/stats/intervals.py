"""The interval of a difference at another level than 95 %."""

from __future__ import annotations

from olmes.stats.estimates import Z95, t95
from olmes.stats.pairing import PairedDifference
from olmes.stats.suites import Difference, SuiteDifference


def at_level(
    difference: PairedDifference | Difference, alpha: float
) -> tuple[float, float] | tuple[None, None]:
    """The two ends with `alpha` of error on each side; None and None where there is no interval.

    The 95 % interval with its distances from the centre (of an interval that is not paired: from the
    value, since its two sides differ) stretched by the ratio of the quantiles: Student's t with the
    interval's own degrees of freedom, where it has some.

    Args:
        difference: with its 95 % interval.
        alpha: one-sided; 0.025 gives the 95 % interval itself.
    """
    from scipy.special import ndtri, stdtrit

    low, high = difference.ci_low, difference.ci_high
    if low is None or high is None:
        return None, None
    if alpha == 0.025:
        return low, high
    df = difference.df if isinstance(difference, PairedDifference | SuiteDifference) else None
    wanted = float(ndtri(1 - alpha) if df is None else stdtrit(df, 1 - alpha))
    ratio = wanted / (Z95 if df is None else t95(df))
    paired = isinstance(difference, PairedDifference)
    centre = (low + high) / 2 if paired else difference.value  # type: ignore[union-attr]
    ends = centre - ratio * (centre - low), centre + ratio * (high - centre)
    return of_shares(*ends) if difference_is_share(difference) else ends


def of_shares(low: float | None, high: float | None) -> tuple[float, float] | tuple[None, None]:
    """The ends of a difference of two shares, which lies within ± 1."""
    if low is None or high is None:
        return None, None
    return max(-1.0, low), min(1.0, high)


def difference_is_share(difference: PairedDifference | Difference) -> bool:
    """Whether it is of shares, so that it ends at ± 1."""
    known = isinstance(difference, PairedDifference | SuiteDifference)
    return known and difference.is_share  # type: ignore[union-attr]
