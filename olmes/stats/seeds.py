"""What other seeds of a training would change: an error beside that of the items.

Two trainings of one recipe with two seeds score differently on the same items, and no pairing of items
knows of it. Where every variant was trained with the same seeds, the variants are treatments and the
seeds blocks: what neither explains of a score is the luck of one training.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from olmes.stats.estimates import t95
from olmes.stats.pairing import PairedDifference
from olmes.stats.suites import Side, combined


@dataclass(frozen=True, slots=True)
class TrainingNoise:
    """How far the score of one training moves with its seed."""

    variance: float
    """Of one score, in the square of its unit."""
    df: int
    """Degrees of freedom that it is estimated from."""
    seeds: int
    """How many trainings a variant's score is the mean of."""

    @property
    def of_difference(self) -> Side:
        """The error of the difference of two variants' means: sqrt(2 variance / seeds)."""
        return Side(math.sqrt(2 * self.variance / self.seeds), float(self.df))


def training_noise(scores: Sequence[Sequence[float]]) -> TrainingNoise | None:
    """The noise of trainings: the residual mean square of variants in blocks of seeds.

    Σ (y_vs - y_v. - y_.s + y_..)² / ((V - 1)(S - 1)) of V variants and S seeds, as of any randomized
    complete block design (Montgomery, Design and Analysis of Experiments, section 4.1). What a seed
    does to all variants alike is no noise of their difference.

    Args:
        scores: of each variant with each seed, (V, S).

    Returns:
        None where there are not two of each.

    Raises:
        ValueError: a variant lacks a seed.
    """
    rows = [list(row) for row in scores]
    variants, seeds = len(rows), len(rows[0]) if rows else 0
    if any(len(row) != seeds for row in rows):
        raise ValueError("each variant needs a score with each seed")
    if variants < 2 or seeds < 2:
        return None
    means = [math.fsum(row) / seeds for row in rows]
    blocks = [math.fsum(row[place] for row in rows) / variants for place in range(seeds)]
    whole = math.fsum(means) / variants
    squares = math.fsum(
        (value - mean - block + whole) ** 2
        for row, mean in zip(rows, means, strict=True)
        for value, block in zip(row, blocks, strict=True)
    )
    df = (variants - 1) * (seeds - 1)
    return TrainingNoise(squares / df, df, seeds)


def over_seeds(found: PairedDifference, noise: TrainingNoise | None) -> PairedDifference:
    """A difference whose interval and p-value hold for other items and for other seeds.

    The two errors are squared and added, with Satterthwaite's degrees of freedom, each side of the
    interval by itself. What one training's luck does to single items is in both, which errs on the
    wide side. The p-value is never below that over the items alone.

    Args:
        found: of means over the seeds, paired by item.
        noise: of one training; None leaves the difference as it is.
    """
    if noise is None or found.ci_low is None or found.ci_high is None or found.df is None:
        return found
    t = t95(found.df)
    below, above = (
        combined([Side(max(0.0, distance) / t, found.df), noise.of_difference])
        for distance in (found.difference - found.ci_low, found.ci_high - found.difference)
    )
    low = found.difference - t95(below.df) * below.stderr
    high = found.difference + t95(above.df) * above.stderr
    if found.is_share:
        low, high = max(-1.0, low), min(1.0, high)
    toward_0 = below if found.difference > 0 else above
    stderr = found.stderr
    return replace(
        found,
        stderr=None if stderr is None else math.hypot(stderr, noise.of_difference.stderr),
        df=toward_0.df,
        ci_low=low,
        ci_high=high,
        p_value=(p := max(found.p_value, toward_0.p_value(found.difference))),
        p_adjusted=p,
        test="t over items and seeds",
        effective_items=None,
    )
