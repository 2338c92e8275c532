"""Tests that hold at any number of items: McNemar's and the sign-flip permutation test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PValue:
    """A two-sided p-value and the test it comes from."""

    p_value: float
    test: str
    """`mcnemar exact`, `sign flips exact`, `sign flips sampled` or `paired t`."""


def mcnemar_exact(wins: int, losses: int) -> PValue:
    """Whether wins and losses are as likely as each other: McNemar's exact test.

    McNemar 1947, with the binomial distribution itself: twice the chance of so few of the rarer kind
    among the discordant pairs, at 1/2. 1 when no pair is discordant; one win alone gives 1 as well,
    never 0.
    """
    # scipy.special, not scipy.stats: `olmes compare` should not wait a second for an import.
    from scipy.special import bdtr

    pairs = wins + losses
    p_value = min(1.0, 2 * float(bdtr(min(wins, losses), pairs, 0.5))) if pairs else 1.0
    return PValue(p_value, "mcnemar exact")


def sign_flip_test(shares: Sequence[float], *, n_resamples: int = 9_999, seed: int = 0) -> PValue:
    """Whether a sum of paired differences is 0: the sign-flip permutation test (Fisher 1935).

    Where the two runs do not differ, each difference is as likely to have the other sign. All
    signings are counted when there are no more than `n_resamples` of them; else so many are drawn,
    and the observed one counts among them, p = (1 + b)/(1 + B), so that p is never 0 (Phipson &
    Smyth 2010).

    Args:
        shares: what each cluster adds to the mean difference, (C,).
        n_resamples: signings drawn, B.
        seed: of the draws.
    """
    import numpy as np
    from scipy.stats import permutation_test

    # A difference of 0 has no sign; without it the signings are fewer and can be counted.
    signed = np.array([share for share in shares if share != 0])
    if len(signed) < 2:
        return PValue(1.0, "sign flips exact")
    exact = 2 ** len(signed) <= n_resamples
    found = permutation_test(
        (signed,),
        lambda flipped, axis: np.sum(flipped, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=n_resamples,
        batch=1_000,
        rng=np.random.default_rng(seed),
    )
    p_value = min(1.0, float(found.pvalue))
    return PValue(p_value, "sign flips exact" if exact else "sign flips sampled")
