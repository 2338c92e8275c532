"""Best-of-k and the carry-over of gains, by simulation with a known truth.

`docs/statistics.md` has the numbers these tests print (`pytest -s`).
"""

from __future__ import annotations

from statistics import fmean as mean

import numpy as np
import pytest

from olmes import stats
from tests.known import known


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


def carried(draws: int, slope: float, noise: float) -> tuple[float, float, float, float]:
    """Mean slope and coverage by least squares, and the same corrected for the dev noise."""
    draw = np.random.default_rng(25)
    plain: list[float] = []
    corrected: list[float] = []
    held: list[bool] = []
    held_corrected: list[bool] = []
    truth = 0.4 + 0.02 * np.arange(8)
    for _ in range(draws):
        dev = truth + draw.normal(0, noise, 8)
        unseen = 0.1 + slope * truth + draw.normal(0, 0.01, 8)
        line = stats.carry_over(dev.tolist(), unseen.tolist(), dev_noise=noise)
        plain.append(known(line.slope))
        held.append(known(line.ci_low) <= slope <= known(line.ci_high))
        if line.corrected_slope is not None:
            corrected.append(line.corrected_slope)
            low, high = known(line.corrected_low), known(line.corrected_high)
            held_corrected.append(low <= slope <= high)
    found = mean(plain), mean(held), mean(corrected), mean(held_corrected)
    print(
        f"carry-over slope {slope}, noise {noise}: least squares {found[0]:.3f}, covers "
        f"{100 * found[1]:.1f} %; corrected {found[2]:.3f}, covers {100 * found[3]:.1f} %"
    )
    return found


@pytest.mark.parametrize(
    ("slope", "noise", "blunted"),
    [
        (0.0, 0.01, 0.0),
        (0.5, 0.01, 0.485),
        pytest.param(*(1.0, 0.01, 0.971), marks=pytest.mark.slow),
        pytest.param(*(0.5, 0.02, 0.445), marks=pytest.mark.slow),
        (1.0, 0.02, 0.890),
    ],
)
def test_carry_over_corrects_for_noise_in_the_dev_scores(
    slope: float, noise: float, blunted: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Rank correlations have no part in this and take most of the time.
    monkeypatch.setattr("olmes.stats.carryover.rank_correlation", lambda *_: None)
    plain, held, corrected, held_corrected = carried(10_000, slope, noise)
    assert plain == pytest.approx(blunted, abs=0.01)
    assert abs(corrected - slope) <= abs(plain - slope) + 0.002
    assert held_corrected >= max(0.92, held - 0.003)
