"""The interval of a weighted mean of independent shares: a score interval, Wilson's of one share.

Plain Python: it is on the path of every run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from olmes.stats.estimates import Z95

PRECISION = 1e-12
"""Of the pull at which the interval ends, relative."""


@dataclass(frozen=True, slots=True)
class ShareOf:
    """A share in a mean, with the number of 0/1 items that it is worth."""

    value: float
    weight: float
    worth: float
    """The n of which Wilson's interval is the share's own."""
    is_count: bool = True
    """Whether that is the number of its items, and not made from its own standard error."""


def worth_of(value: float, end: float) -> float | None:
    """The n at which Wilson's interval of a share has an end there; None where no n has.

    Wilson's ends are the roots θ of (p - θ)² = z² θ(1 - θ)/n.
    """
    distance = (end - value) ** 2
    return Z95**2 * end * (1 - end) / distance if distance > 0 and 0 < end < 1 else None


def upper_end(shares: Sequence[ShareOf]) -> float:
    """The upper end of the 95 % interval of Σ weight x value, weights that add up to 1.

    For each mean θ the shares are the likeliest ones that have it, and θ is held possible while
    (θ - mean)² ≤ z² Σ weight² p(1 - p)/n at these (the score interval of a linear combination:
    Miettinen & Nurminen 1985; Martín Andrés et al. 2011; of one share it is Wilson's). So the error
    of a share at 0 or 1 is never taken for 0, and one of few items beside one of many counts as much
    as it may be off. As the shares are estimated, p(1 - p)/n falls short of its expectation by the
    factor 1 - (1 - w)/n, w the share's part of the variance, and is divided by that.
    """
    if all(share.value >= 1 for share in shares):
        return 1.0
    # Twice as far until it is too far, then false position, halved at the end that stays (Illinois).
    inside, outside = 0.0, min(share.worth / share.weight for share in shares)
    near, far = -0.0, excess(shares, outside)
    while far <= 0:
        inside, near = outside, far
        outside *= 2
        far = excess(shares, outside)
    stayed = 0
    while outside - inside > PRECISION * outside:
        at = outside - far * (outside - inside) / (far - near) if near < 0 else outside / 2
        at = at if inside < at < outside else (inside + outside) / 2
        if (found := excess(shares, at)) <= 0:
            inside, near = at, found
            far, stayed = (far / 2 if stayed > 0 else far), 1
        else:
            outside, far = at, found
            near, stayed = (near / 2 if stayed < 0 else near), -1
    return min(1.0, math.fsum(s.weight * likeliest(s, outside * s.weight) for s in shares))


def lower_end(shares: Sequence[ShareOf]) -> float:
    """The lower end: the upper one of what is not right."""
    return max(0.0, 1 - upper_end([replace(share, value=1 - share.value) for share in shares]))


def excess(shares: Sequence[ShareOf], pull: float) -> float:
    """How far a pull upward takes the mean beyond what is possible."""
    pulled = [likeliest(share, pull * share.weight) for share in shares]
    pairs = list(zip(shares, pulled, strict=True))
    moved = math.fsum(share.weight * (p - share.value) for share, p in pairs)
    variances = [share.weight**2 * p * (1 - p) / share.worth for share, p in pairs]
    total = math.fsum(variances)
    if total == 0:
        return moved
    # Two items are the fewest of which p(1 - p) can tell anything.
    true = math.fsum(
        variance / (1 - (1 - variance / total) / max(2.0, share.worth))
        if share.is_count
        else variance
        for variance, share in zip(variances, shares, strict=True)
    )
    return moved - Z95 * math.sqrt(true)


def likeliest(share: ShareOf, pull: float) -> float:
    """The p that maximises the likelihood of a share plus `pull` x p, for a pull upward.

    x/p - (n - x)/(1 - p) + pull = 0 with x of n right: pull p² + (n - pull) p - x = 0.
    """
    right, rest = share.value * share.worth, share.worth - pull
    root = math.sqrt(rest * rest + 4 * pull * right)
    # The same root, in the form that does not cancel.
    p = 2 * right / (rest + root) if rest > 0 else (root - rest) / (2 * pull)
    return min(1.0, max(share.value, p))
