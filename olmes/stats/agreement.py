"""How far judges agree: Krippendorff's alpha and Cohen's kappa.

Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability": with c and k over the values that
occur, o[c, k] = Σ over units of the ordered pairs (c, k) of ratings of the unit / (m - 1), m ratings
a unit, n[c] = Σ over k of o[c, k], n = Σ n[c] and a distance δ²,

    alpha = 1 - (n - 1) Σ o[c, k] δ²[c, k] / Σ n[c] n[k] δ²[c, k]

over pairs c < k. A unit with fewer than two ratings says nothing and is left out, and so is a rating
that is missing.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array: TypeAlias = npt.NDArray[np.float64]

Level = Literal["nominal", "ordinal", "interval"]
"""What the distance of two values is: whether they differ; how many ratings lie between them; the
difference of two numbers, squared."""
MOST_UNDEFINED = 0.05
"""The largest share of resamples without an alpha beside which the others make an interval."""
CHUNK = 100
"""Resamples drawn at once."""


@dataclass(frozen=True, slots=True)
class Alpha:
    """Krippendorff's alpha: 1 is agreement, 0 what chance would bring, below 0 is worse than that."""

    value: float | None
    """None where it is not defined; `undefined` says why."""
    stderr: float | None
    """Standard deviation over resamples of the clusters; None where they tell nothing."""
    ci_low: float | None
    ci_high: float | None
    """95 % percentile interval of the bootstrap over clusters (Zapf et al. 2016)."""
    units: int
    """Units with two ratings or more."""
    clusters: int
    """Clusters that those units lie in."""
    ratings: int
    """Ratings of those units, n."""
    level: Level
    n_resamples: int
    seed: int
    undefined: str = ""


@dataclass(frozen=True, slots=True)
class Kappa:
    """Cohen's kappa of two judges."""

    value: float | None
    """None where both always give one and the same value: chance could not do worse."""
    agreement: float
    """Share of units on which they agree."""
    chance: float
    """The share that judges with these habits would agree on by chance."""
    n: int


def krippendorff_alpha(
    units: Sequence[Sequence[float | None]],
    level: Level = "ordinal",
    *,
    clusters: Sequence[Hashable] | None = None,
    n_resamples: int = 2_000,
    seed: int = 0,
) -> Alpha:
    """Krippendorff's alpha of ratings, with an interval.

    The interval is a bootstrap over whole clusters: the resamples' coincidences are the sums of those
    of the clusters drawn, and observed and expected disagreement are both taken anew from them.

    Args:
        units: by unit, the ratings that it got, in any order and number; None is a missing one.
        level: of the values.
        clusters: label of what a unit shares with others, such as its prompt, (units,).
        n_resamples: resamples drawn; 0 leaves out the interval.
        seed: of the draws.

    Raises:
        ValueError: `clusters` has another length.
    """
    import numpy as np

    labels = range(len(units)) if clusters is None else clusters
    paired = [
        (label, [float(rating) for rating in unit if rating is not None])
        for label, unit in zip(labels, units, strict=True)
    ]
    paired = [(label, ratings) for label, ratings in paired if len(ratings) > 1]
    n = sum(len(ratings) for _, ratings in paired)
    numbers: dict[Hashable, int] = {}
    for label, _ in paired:
        numbers.setdefault(label, len(numbers))

    def without(reason: str) -> Alpha:
        return Alpha(
            None, None, None, None, len(paired), len(numbers), n, level, n_resamples, seed, reason
        )

    if not paired:
        return without("no unit has two ratings")
    values = sorted({rating for _, ratings in paired for rating in ratings})
    if len(values) == 1:
        return without("all ratings are the same value")
    held = coincidences(paired, numbers, values)
    scale = np.array(values)
    value = float(alphas(held.sum(axis=0)[None], scale, level)[0])
    if n_resamples < 1 or len(numbers) < 2:
        return Alpha(
            value, None, None, None, len(paired), len(numbers), n, level, n_resamples, seed
        )
    draws = resampled(held, scale, level, n_resamples, np.random.default_rng(seed))
    found = draws[np.isfinite(draws)]
    low = high = stderr = None
    if len(found) >= (1 - MOST_UNDEFINED) * n_resamples and len(found) > 1:
        stderr = float(found.std(ddof=1))
        if stderr > 1e-12:  # resamples that all agree say nothing of other units
            low, high = (float(end) for end in np.quantile(found, (0.025, 0.975)))
    return Alpha(value, stderr, low, high, len(paired), len(numbers), n, level, n_resamples, seed)


def coincidences(
    paired: Sequence[tuple[Hashable, Sequence[float]]],
    numbers: dict[Hashable, int],
    values: Sequence[float],
) -> Array:
    """The coincidences of each cluster, (clusters, values, values)."""
    import numpy as np

    places = {value: at for at, value in enumerate(values)}
    held = np.zeros((len(numbers), len(values), len(values)))
    for label, ratings in paired:
        counts = np.bincount([places[rating] for rating in ratings], minlength=len(values))
        pairs = np.outer(counts, counts) - np.diag(counts)
        held[numbers[label]] += pairs / (len(ratings) - 1)
    return held


def resampled(held: Array, scale: Array, level: Level, n_resamples: int, rng: Any) -> Array:
    """Alpha of resamples of the clusters, (n_resamples,); NaN where it is not defined."""
    import numpy as np

    clusters = len(held)
    flat = held.reshape(clusters, -1)
    found = []
    for start in range(0, n_resamples, CHUNK):
        size = min(CHUNK, n_resamples - start)
        times = rng.multinomial(clusters, np.full(clusters, 1 / clusters), size=size)
        found.append(alphas((times @ flat).reshape(size, *held.shape[1:]), scale, level))
    return np.concatenate(found)


def alphas(held: Array, scale: Array, level: Level) -> Array:
    """Alpha of each of some matrices of coincidences, (b, values, values) -> (b,); NaN for none."""
    import numpy as np

    totals = held.sum(axis=2)
    n = totals.sum(axis=1)
    distance = distances(totals, scale, level)
    observed = (held * distance).sum(axis=(1, 2))
    expected = (totals[:, :, None] * totals[:, None, :] * distance).sum(axis=(1, 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        found = 1 - (n - 1) * observed / expected
    return np.asarray(np.where(expected > 0, found, np.nan))


def distances(totals: Array, scale: Array, level: Level) -> Array:
    """δ² between values, (b, values, values); that of ordinal ones depends on how often each is given.

    Ordinal: the ratings from the one value to the other, both ends counted half, squared.
    """
    import numpy as np

    if level == "nominal":
        return np.not_equal.outer(scale, scale).astype(np.float64)[None]
    # The middle of each value's ratings in their order is what an ordinal value stands at.
    at = np.cumsum(totals, axis=1) - totals / 2 if level == "ordinal" else scale[None, :]
    return np.asarray((at[:, :, None] - at[:, None, :]) ** 2)


def cohen_kappa(pairs: Sequence[tuple[Hashable, Hashable]]) -> Kappa:
    """Cohen's kappa, (p_o - p_e)/(1 - p_e): agreement beyond chance (Cohen 1960).

    p_o is the share of units on which two judges agree, p_e = Σ over values of the product of the
    shares in which each gives it.

    Args:
        pairs: by unit, what the one says and what the other says.

    Raises:
        ValueError: there are none.
    """
    from collections import Counter
    from fractions import Fraction

    if not pairs:
        raise ValueError("no units")
    n = len(pairs)
    agreement = Fraction(sum(first == second for first, second in pairs), n)
    firsts = Counter(first for first, _ in pairs)
    seconds = Counter(second for _, second in pairs)
    chance = Fraction(sum(count * seconds[value] for value, count in firsts.items()), n * n)
    value = None if chance == 1 else float((agreement - chance) / (1 - chance))
    return Kappa(value, float(agreement), float(chance), n)
