"""How small a difference n items can show, and how many items a difference needs.

Miller 2024, section 5: n = (z_{α/2} + z_power)² V/δ², V the variance of an item's difference.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from functools import cache
from statistics import NormalDist

from olmes.stats.estimates import mean

POWER = 0.8
"""The chance to find a difference that counts as enough."""
MOST_ITEMS = 2**53
"""More than anybody has, and the most that a double counts."""


def difference_variance(deviation_a: float, deviation_b: float, correlation: float = 0.0) -> float:
    """Variance of an item's difference: σ_A² + σ_B² - 2 ρ σ_A σ_B.

    `correlation` is that of the two runs' values over items; 0 stands for runs on different items
    (unpaired, n in each). The deviation of a share p is sqrt(p(1 - p)).
    """
    return deviation_a**2 + deviation_b**2 - 2 * correlation * deviation_a * deviation_b


def resampled_variance(
    between: float, within_a: float, within_b: float, repeats_a: int = 1, repeats_b: int = 1
) -> float:
    """Variance of an item's paired difference with several responses: ω² + σ_A²/K_A + σ_B²/K_B.

    Args:
        between: ω², variance over items of the difference of their expected scores.
        within_a: σ_A², mean over items of the variance between responses to one item.
        within_b: the same of the other run.
        repeats_a: responses to each item, K_A.
        repeats_b: the same of the other run.
    """
    return between + within_a / repeats_a + within_b / repeats_b


def design_effect(values: Sequence[float], clusters: Sequence[Hashable]) -> float:
    """How many times larger clustering makes the variance of the mean (Kish 1965).

    1 where it is not known: one cluster, or values that are all the same.
    """
    clustered, alone = mean(values, clusters).stderr, mean(values).stderr
    return (clustered / alone) ** 2 if clustered is not None and alone else 1.0


def minimum_detectable_effect(
    n: int,
    variance: float,
    *,
    alpha: float = 0.05,
    power: float = POWER,
    design_effect: float = 1.0,
) -> float:
    """The smallest true difference that a two-sided test at `alpha` finds with chance `power`.

    Args:
        n: items, each answered by both runs; for runs on different items, items of each.
        variance: of an item's difference (`difference_variance`, `resampled_variance`, or the
            variance of the differences observed).
        alpha: chance of a false alarm.
        power: chance to find the difference.
        design_effect: by which clusters enlarge the variance.

    Raises:
        ValueError: n is below 1, or alpha or power is not between 0 and 1.
    """
    if n < 1:
        raise ValueError(f"{n} items")
    return quantiles(alpha, power) * math.sqrt(design_effect * variance / n)


LEAST_PAIRS = 6
"""As many pairs won, and none lost, are needed for p < 0.05."""

MANY_DISCORDANT = 50
"""Discordant pairs from which on the normal formula is right for McNemar's test too."""


@cache
def exact_detectable_effect(n: int, discordant: float) -> float:
    """The smallest true difference of two shares that McNemar's exact test finds 4 times in 5.

    With few discordant pairs more than the normal formula says. 1 where n pairs can show none, and 0
    where the discordant pairs are so many that the normal formula is right.

    Args:
        n: pairs of 0/1 values that stand alone.
        discordant: the share of them that differ; at least the difference itself.
    """
    if n * discordant > MANY_DISCORDANT:
        return 0.0
    if n < LEAST_PAIRS:
        return 1.0
    # Far above what that many discordant pairs leave open: 6 won of 6, and the usual formula.
    low, high = 0.0, min(1.0, 30 / n + 4 * math.sqrt(discordant / n))
    while high - low > 1e-3 * high:
        middle = (low + high) / 2
        if mcnemar_power(n, discordant, middle) < POWER:
            low = middle
        else:
            high = middle
    return high


def mcnemar_power(n: int, discordant: float, difference: float) -> float:
    """The chance that McNemar's exact test at 5 % finds a difference, on the right side.

    Args:
        n: pairs.
        discordant: the share of pairs that differ; the difference where that is more.
        difference: share won less share lost, at least 0.
    """
    import numpy as np
    from scipy.special import bdtr, bdtrik

    discordant = max(discordant, difference)
    lost = (1 - difference / discordant) / 2 if discordant else 0.5
    # More discordant pairs than ten deviations above their mean do not happen.
    most_pairs = min(n, round(n * discordant + 10 * math.sqrt(n * discordant) + 10))
    pairs = np.arange(LEAST_PAIRS, most_pairs + 1)
    # The most losses among so many pairs whose two-sided p is below 0.05.
    most = np.floor(bdtrik(0.025, pairs, 0.5))
    most -= bdtr(most, pairs, 0.5) >= 0.025
    chances = bdtr(pairs, n, discordant) - bdtr(pairs - 1, n, discordant)
    return float((chances * bdtr(most, pairs, lost)).sum())


def items_needed(
    effect: float,
    variance: float,
    *,
    alpha: float = 0.05,
    power: float = POWER,
    design_effect: float = 1.0,
) -> int:
    """How many items show a true difference `effect`; the inverse of `minimum_detectable_effect`.

    At most `MOST_ITEMS`: for a difference that is no more than rounding there is no such number.

    Raises:
        ValueError: the effect is 0, or alpha or power is not between 0 and 1.
    """
    if not effect:
        raise ValueError("no number of items shows a difference of 0")
    ratio = quantiles(alpha, power) / effect
    needed = design_effect * variance * ratio * ratio if variance else 0.0
    return max(1, math.ceil(needed)) if needed < MOST_ITEMS else MOST_ITEMS


def quantiles(alpha: float, power: float) -> float:
    """z_{α/2} + z_power of a two-sided test; 2.80 at 5 % and 80 %."""
    if not (0 < alpha < 1 and 0 < power < 1):
        raise ValueError(f"alpha {alpha} and power {power} must lie between 0 and 1")
    normal = NormalDist()
    return normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(power)
