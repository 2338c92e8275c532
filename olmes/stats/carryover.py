"""How much of what changed on the development side shows on the unseen one, over checkpoints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from olmes.stats.estimates import Z95, negligible

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

LEAST = 5
"""The fewest checkpoints that a slope gets an interval from."""
LEAST_RELIABLE = 0.5
"""Where less of the variance of the dev scores is no noise, there is nothing to draw a line through."""
CORRELATIONS = 16
"""How many of them, between 0 and 1, the errors about the line are tried with."""
NOISE_SHARES = (0.0, 0.5, 0.75, 0.9)
"""Of the variance of a walk's mean step, what the items may add to it."""
CHARGED = 0.5
"""Degrees of freedom that an unknown correlation costs beside level and slope; by simulation."""
WALK = 0.5
"""The weight, before the scores are seen, of errors about the line that are a random walk."""


@dataclass(frozen=True, slots=True)
class CarryOver:
    """Unseen scores against dev scores, one point a checkpoint."""

    checkpoints: int
    reason: str
    """Why there is no slope, or no interval of it; '' where there are both."""
    in_order: bool
    """Whether the points were taken to follow one another, else to be unrelated."""
    slope: float | None = None
    """What a point more on dev comes with on unseen; corrected for the noise of the dev scores."""
    ci_low: float | None = None
    ci_high: float | None = None
    """95 %, of the relation that a longer training, or other models of the kind, would show."""
    reliability: float | None = None
    """Share of the variance of dev scores, as the slope weighs it, that is not noise."""


@dataclass(frozen=True, slots=True)
class Weighing:
    """How one kind of errors about a line weighs the scores."""

    matrix: Array
    """(k, k): x' M y is their sum of products, free of their levels."""
    log_determinant: float
    """Of the errors' covariance, of the differences between successive points."""
    log_weight: float
    """Of this kind, before the scores are seen."""


def carry_over(
    dev: Sequence[float],
    unseen: Sequence[float],
    *,
    steps: Sequence[float] | None = None,
    covariances: tuple[Array, Array] | None = None,
    unseen_noise: float = 0.0,
) -> CarryOver:
    """The slope of unseen on dev scores over checkpoints.

    Checkpoints of one training follow one another: both scores wander, and least squares takes two
    walks that know nothing of each other for related (Granger & Newbold 1974). So the errors about
    the line are taken for an autoregression whose correlation is not known: a random walk with weight
    1/2 (with and without the noise of the items, where that is known), else a correlation ρ between 0
    and 1 with Jeffreys' weight 1/sqrt(1 - ρ²). Each gives a generalized least-squares slope with
    Student's t on k - 2.5 degrees of freedom; they are mixed by how well they fit (the restricted
    likelihood, Harville 1974), and the interval is that of the mixture, which is the Bayesian one under
    flat weights of line and scale (Zellner 1971, section 4.1).

    Noise in the dev scores, of covariance S over the items, draws a slope towards 0, by the factor
    reliability = 1 - tr(MS)/x'Mx; slope and interval are divided by it (Fuller 1987, section 1.2).
    The interval is no narrower than the noise of both sides alone makes it.

    Args:
        dev: scores on the development suite, (k,), in the order of training.
        unseen: scores of the same checkpoints on the unseen suite, (k,).
        steps: of the checkpoints, (k,), rising; None for models in no order, whose errors about the
            line are taken for independent.
        covariances: of the dev and of the unseen scores over the choice of items, (k, k) each; the
            suites share no items. None where they are not known: nothing is corrected.
        unseen_noise: the standard deviation of a score's noise where its covariances are not known.

    Returns:
        Without a slope, and with the reason, for fewer than 3 checkpoints and for dev scores that
        hardly differ; without an interval for fewer than 5.

    Raises:
        ValueError: the lengths differ, or the steps do not rise.
    """
    import numpy as np

    k, in_order = len(dev), steps is not None
    if len(unseen) != k or (steps is not None and len(steps) != k):
        raise ValueError(f"{k} dev scores, but {len(unseen)} unseen ones or other steps")
    if k < 3:
        return CarryOver(k, f"a slope needs at least 3 checkpoints, not {k}", in_order)
    if len(set(dev)) < 2:
        return CarryOver(k, "all dev scores are the same", in_order)
    if steps is None:
        kinds = independent(k)
    else:
        noise = covariances[0] + covariances[1] if covariances else None
        kinds = in_training(tuple(map(float, steps)), noise)
    x, y = np.array(dev, dtype=float), np.array(unseen, dtype=float)
    df = k - 2 - (CHARGED if in_order else 0)
    lines = [Line.through(x, y, kind, df) for kind in kinds]
    weights = mixed([line.log_likelihood for line in lines])
    noises = covariances or (np.zeros((k, k)), unseen_noise**2 * np.eye(k))
    reliability, unsure = reliability_of(x, lines, kinds, weights, noises[0])
    if reliability < LEAST_RELIABLE:
        reason = "the dev scores differ by hardly more than their own error"
        return CarryOver(k, reason, in_order, reliability=max(0.0, reliability))
    slope = float(weights @ np.array([line.slope for line in lines])) / reliability
    if k < LEAST:
        reason = f"an interval needs at least {LEAST} checkpoints, not {k}"
        return CarryOver(k, reason, in_order, slope, reliability=reliability)
    low, high = (quantile(share, lines, weights, df) / reliability for share in (0.025, 0.975))
    # What the items alone would do to the slope of these very checkpoints.
    pulls = sum(w * line.pulls for w, line in zip(weights, lines, strict=True)) / reliability
    both = noises[1] + slope * slope * noises[0]
    floor = Z95 * math.sqrt(max(0.0, float(pulls @ both @ pulls)))
    aside = Z95 * abs(slope) * unsure / reliability
    low = min(slope - math.hypot(slope - low, aside), slope - floor)
    high = max(slope + math.hypot(high - slope, aside), slope + floor)
    return CarryOver(k, "", in_order, slope, low, high, reliability)


def reliability_of(
    x: Array, lines: Sequence[Line], kinds: Sequence[Weighing], weights: Array, noise: Array
) -> tuple[float, float]:
    """The share of the spread of dev scores that is not noise, and its standard error.

    The spread x'Mx of true scores t and noise e of covariance S is t'Mt + 2 t'Me + e'Me, whose
    variance is 4 t'MSMt + 2 tr(MSMS).
    """
    shares, errors = [], []
    for line, kind in zip(lines, kinds, strict=True):
        pulled = kind.matrix @ x
        products = kind.matrix @ noise
        squares = float((products * products.T).sum())
        variance = 4 * float(pulled @ noise @ pulled) - 2 * squares
        shares.append(1 - float(products.trace()) / line.spread)
        errors.append(math.sqrt(max(0.0, variance)) / line.spread)
    return float(weights @ shares), float(weights @ errors)


@dataclass(frozen=True, slots=True)
class Line:
    """The line for one kind of errors about it."""

    slope: float
    stderr: float
    spread: float
    """x'Mx."""
    pulls: Array
    """(k,): what one more on an unseen score adds to the slope."""
    log_likelihood: float
    """Restricted to what level and slope leave over, with the kind's weight."""

    @classmethod
    def through(cls, x: Array, y: Array, kind: Weighing, df: float) -> Line:
        """The generalized least-squares line of y on x, its error with `df` degrees of freedom."""
        pulls = kind.matrix @ x
        spread = float(x @ pulls)
        slope = float(pulls @ y) / spread
        # Points that lie on a line leave rounding alone, which must not become a logarithm of 0.
        least = 1e-24 * max(1.0, float(y @ y))
        rest = max(float(y @ kind.matrix @ y) - slope * slope * spread, least)
        fit = kind.log_determinant + math.log(spread) + (len(x) - 2) * math.log(rest)
        return cls(
            slope,
            math.sqrt(rest / df / spread),
            spread,
            pulls / spread,
            kind.log_weight - fit / 2,
        )


def in_training(steps: tuple[float, ...], noise: Array | None) -> tuple[Weighing, ...]:
    """The kinds of errors about a line that checkpoints in order may have.

    Args:
        steps: of the checkpoints, (k,).
        noise: the covariance of what the items add to a walk, (k, k); None where it is not known.

    Raises:
        ValueError: the steps do not rise.
    """
    autoregressions = autoregressive(steps)
    walk = -lags_of(steps)
    step = 0.0 if noise is None else float(between(noise).diagonal().mean())
    if noise is None or negligible(step, float(noise.diagonal().max())):
        return (weighing(walk, math.log(WALK)), *autoregressions)
    # As the walk's, its variance of a mean step is 2.
    scaled = 2 * noise / step
    weight = math.log(WALK / len(NOISE_SHARES))
    walks = [weighing((1 - share) * walk + share * scaled, weight) for share in NOISE_SHARES]
    return (*walks, *autoregressions)


@lru_cache(maxsize=64)
def autoregressive(steps: tuple[float, ...]) -> tuple[Weighing, ...]:
    """Autoregressions with correlations between 0 and 1."""
    import numpy as np

    lags = lags_of(steps)
    angles = (np.arange(CORRELATIONS) + 0.5) / CORRELATIONS * math.pi / 2
    weight = math.log((1 - WALK) / CORRELATIONS)
    # Less the level and over 1 - ρ, so that it becomes the walk as ρ goes to 1.
    return tuple(weighing((rho**lags - 1) / (1 - rho), weight) for rho in np.sin(angles))


def lags_of(steps: Sequence[float]) -> Array:
    """How far apart checkpoints are, (k, k), in mean steps.

    Raises:
        ValueError: the steps do not rise.
    """
    import numpy as np

    places = np.array(steps)
    if (np.diff(places) <= 0).any():
        raise ValueError("the steps of checkpoints in order must rise")
    lags: Array = np.abs(places[:, None] - places) * (len(steps) - 1) / (places[-1] - places[0])
    return lags


@lru_cache(maxsize=64)
def independent(k: int) -> tuple[Weighing, ...]:
    """The one kind of errors about a line that models in no order have."""
    import numpy as np

    return (weighing(np.eye(k), 0.0),)


def weighing(covariance: Array, log_weight: float) -> Weighing:
    """How errors of a covariance, (k, k), known up to their common level, weigh the scores."""
    import numpy as np

    contrast = np.eye(len(covariance))[1:] - np.eye(len(covariance))[:-1]
    differences = between(covariance)
    matrix = contrast.T @ np.linalg.solve(differences, contrast)
    return Weighing(matrix, float(np.linalg.slogdet(differences)[1]), log_weight)


def between(covariance: Array) -> Array:
    """The covariance of the differences between successive points, (k - 1, k - 1)."""
    import numpy as np

    found: Array = np.diff(np.diff(covariance, axis=0), axis=1)
    return found


def mixed(log_likelihoods: Sequence[float]) -> Array:
    """Weights that sum to 1, in proportion to the likelihoods."""
    import numpy as np

    found = np.array(log_likelihoods)
    fits = np.exp(found - found.max())
    weights: Array = fits / fits.sum()
    return weights


def quantile(share: float, lines: Sequence[Line], weights: Array, df: float) -> float:
    """Below which a share of a mixture of Student's t distributions lies, by bisection."""
    import numpy as np
    from scipy.special import stdtr, stdtrit

    slopes = np.array([line.slope for line in lines])
    errors = np.array([line.stderr for line in lines])
    # The mixture's quantile lies between those of what it is mixed of.
    ends = slopes + float(stdtrit(df, share)) * errors
    low, high = float(ends.min()), float(ends.max())
    for _ in range(60):
        middle = (low + high) / 2
        if float(weights @ stdtr(df, (middle - slopes) / errors)) < share:
            low = middle
        else:
            high = middle
    return (low + high) / 2
