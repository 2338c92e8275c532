"""Best-of-k, by simulation with a known truth.

`docs/statistics.md` has the numbers these tests print (`pytest -s`).
"""

from __future__ import annotations

import numpy as np
import pytest

from olmes import stats


def right_or_wrong(draw: np.random.Generator, chances: np.ndarray, items: int) -> np.ndarray:
    """0/1 values, items by checkpoints: an item's luck is partly the same at all checkpoints."""
    shared = draw.random((items, 1))
    own = draw.random((items, len(chances)))
    luck = np.where(draw.random((items, len(chances))) < 0.5, shared, own)
    return (luck < chances).astype(float)


CHANCES = {
    "all alike": np.full(10, 0.5),
    "two alike": np.full(2, 0.5),
    "rising and level": 0.5 - 0.12 * np.exp(-np.arange(10) / 2),
    "rising": np.linspace(0.40, 0.50, 10),
    "one ahead by 3.3 SE": np.array([0.4] * 9 + [0.5]),
}


def choosing(name: str, draws: int) -> tuple[float, float, float]:
    """Bias of the best score as measured, of the corrected one (points), and the coverage."""
    draw, chances = np.random.default_rng(21), CHANCES[name]
    naive, corrected, held = [], [], []
    for seed in range(draws):
        matrix = right_or_wrong(draw, chances, 200)
        best = stats.best_of(matrix.tolist(), n_resamples=400, seed=seed)
        truth = chances[best.index]
        naive.append(best.score - truth)
        corrected.append(best.corrected - truth)
        held.append(best.ci_low <= truth <= best.ci_high)
    found = 100 * np.mean(naive), 100 * np.mean(corrected), float(np.mean(held))
    print(f"{name}: measured {found[0]:+.2f}, corrected {found[1]:+.2f} points;", end=" ")
    print(f"covers {100 * found[2]:.1f} %")
    return found


def test_the_best_of_ten_alike_is_overrated_and_corrected() -> None:
    naive, corrected, held = choosing("all alike", 300)
    # The standard error of these means is 0.13 points.
    assert naive > 3
    assert abs(corrected) < 0.6
    assert held > 0.94


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANCES)
def test_choosing(name: str) -> None:
    naive, corrected, held = choosing(name, 2_000)
    left = {"one ahead by 3.3 SE": 1.9, "rising and level": 0.75}.get(name, 0.5)
    assert abs(corrected) < left
    assert naive > 0
    assert held > 0.94
