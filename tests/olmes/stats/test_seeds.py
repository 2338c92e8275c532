"""What other seeds would change: the formula by hand, and how often it raises a false alarm."""

from __future__ import annotations

import numpy as np
import pytest

from olmes import stats


def test_the_noise_is_the_residual_of_a_block_design() -> None:
    scores = np.random.default_rng(3).normal(size=(5, 3))
    design = np.array(
        [[v == a for a in range(5)] + [s == b for b in range(3)] for v in range(5) for s in range(3)],
        dtype=float,
    )  # fmt: skip
    fitted = design @ np.linalg.lstsq(design, scores.ravel(), rcond=None)[0]
    noise = stats.training_noise(scores.tolist())
    assert noise is not None
    assert noise.df == 8
    assert noise.variance == pytest.approx(((scores.ravel() - fitted) ** 2).sum() / 8)
    # What a seed does to all variants alike is no noise of their differences.
    moved = stats.training_noise((scores + np.array([0.0, 5.0, -2.0])).tolist())
    assert moved is not None
    assert moved.variance == pytest.approx(noise.variance)


def test_without_two_of_each_there_is_no_noise_to_know() -> None:
    assert stats.training_noise([[0.1], [0.2]]) is None
    assert stats.training_noise([[0.1, 0.2]]) is None
    with pytest.raises(ValueError, match="each seed"):
        stats.training_noise([[0.1, 0.2], [0.3]])
    one = stats.compare([0, 1, 0, 1, 1] * 8, [1, 1, 0, 1, 1] * 8)
    assert stats.over_seeds(one, None) is one


def test_another_seed_is_no_better_mixture() -> None:
    """No variant is better, yet each training lands elsewhere: over items alone that looks real."""
    draw = np.random.default_rng(5)
    items, variants, seeds, rounds = 400, 5, 2, 200
    over_items = over_both = 0
    for _ in range(rounds):
        hard = draw.normal(size=items)
        luck = draw.normal(scale=0.25, size=(variants, seeds))
        right = (
            draw.normal(scale=0.3, size=(variants, seeds, items)) + luck[..., None] > hard
        ) * 1.0
        noise = stats.training_noise(right.mean(axis=2).tolist())
        found = stats.compare(right[0].mean(axis=0), right[1].mean(axis=0), test="t")
        wide = stats.over_seeds(found, noise)
        over_items += found.p_value < 0.05
        over_both += wide.p_value < 0.05
        assert wide.p_value >= found.p_value
        assert wide.ci_low is not None
        assert found.ci_low is not None
        assert wide.ci_low <= found.ci_low
    assert over_items > 0.4 * rounds
    assert over_both < 0.07 * rounds
