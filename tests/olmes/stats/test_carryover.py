"""The slope of unseen on dev scores: what it is, and how often its interval holds the truth.

`docs/statistics.md` has the numbers that the slow tests print (`pytest -s -m slow`).
"""

from __future__ import annotations

import numpy as np
import pytest

from olmes import stats
from olmes.stats.carryover import LEAST, CarryOver
from tests.known import known

COUNTS = (5, 8, 15, 30, 60)
Array = np.ndarray


def walk(draw: np.random.Generator, k: int) -> Array:
    return draw.normal(size=k).cumsum()


def autoregression(draw: np.random.Generator, k: int, rho: float) -> Array:
    noise = draw.normal(size=k)
    found = noise.copy()
    for at in range(1, k):
        found[at] = rho * found[at - 1] + (1 - rho * rho) ** 0.5 * noise[at]
    return found


def rising(draw: np.random.Generator, k: int) -> Array:
    return np.linspace(0, 3, k) + 0.3 * draw.normal(size=k)


def saturating(k: int) -> Array:
    return 3 * (1 - np.exp(-4 * np.arange(k) / k))


def scores_of(kind: str, draw: np.random.Generator, k: int) -> tuple[Array, Array, float]:
    """True dev and unseen scores, and the slope that they were made with."""
    match kind.split():
        case ["unrelated", "walks"]:
            return walk(draw, k), walk(draw, k), 0.0
        case ["related", "walks"]:
            dev = walk(draw, k)
            return dev, 0.5 * dev + walk(draw, k), 0.5
        case ["AR", rho]:
            dev = autoregression(draw, k, float(rho))
            return dev, 0.5 * dev + autoregression(draw, k, float(rho)), 0.5
        case ["walk", "and", "AR", rho]:
            dev = walk(draw, k)
            return dev, 0.5 * dev + autoregression(draw, k, float(rho)), 0.5
        case ["rising", "and", "AR", rho]:
            dev = rising(draw, k)
            return dev, 0.5 * dev + autoregression(draw, k, float(rho)), 0.5
        case ["rising", "and", "walk"]:
            dev = rising(draw, k)
            return dev, 0.5 * dev + 0.3 * walk(draw, k), 0.5
        case ["saturating", "and", "walk"]:
            return saturating(k), 0.5 * walk(draw, k), 0.0
    raise AssertionError(kind)


def held(
    kind: str, k: int, draws: int, noise: float = 0.0, *, in_order: bool = True
) -> tuple[float, float]:
    """How often the interval holds the slope, and how often there is one."""
    draw = np.random.default_rng(k)
    covered = []
    for _ in range(draws):
        dev, unseen, slope = scores_of(kind, draw, k)
        line = stats.carry_over(
            (dev + noise * draw.normal(size=k)).tolist(),
            (unseen + noise * draw.normal(size=k)).tolist(),
            steps=range(k) if in_order else None,
            covariances=(noise**2 * np.eye(k), noise**2 * np.eye(k)),
        )
        if line.slope is not None:
            covered.append(known(line.ci_low) <= slope <= known(line.ci_high))
    found = float(np.mean(covered)), len(covered) / draws
    print(f"{kind}, k = {k}, noise {noise}: {100 * found[0]:.1f} % of {100 * found[1]:.0f} %")
    return found


LOW = {
    ("saturating and walk", k): 0.90 for k in COUNTS
}  # Marked in docs/statistics.md: one rise in the whole series says little of another.


@pytest.mark.slow
@pytest.mark.parametrize("k", COUNTS)
@pytest.mark.parametrize(
    "kind",
    [
        "unrelated walks",
        "related walks",
        *(f"AR {rho}" for rho in (0, 0.3, 0.6, 0.9)),
        "walk and AR 0",
        "walk and AR 0.9",
        "rising and AR 0",
        "rising and AR 0.6",
        "rising and AR 0.9",
        "rising and walk",
        "saturating and walk",
    ],
)
def test_the_interval_holds(kind: str, k: int) -> None:
    # 1,000 draws: two standard errors are 1.4 points.
    covered, _ = held(kind, k, 1_000)
    assert covered > LOW.get((kind, k), 0.915)


@pytest.mark.slow
@pytest.mark.parametrize("k", COUNTS)
@pytest.mark.parametrize("kind", ["unrelated walks", "related walks", "AR 0", "rising and AR 0"])
def test_the_interval_holds_with_noise_of_the_items(kind: str, k: int) -> None:
    covered, _ = held(kind, k, 500, 0.3)
    assert covered > 0.92


@pytest.mark.parametrize(
    ("kind", "k"), [("unrelated walks", 8), ("unrelated walks", 30), ("AR 0", 15), ("AR 0.9", 15)]
)
def test_checkpoints_that_know_nothing_of_each_other_are_seldom_related(kind: str, k: int) -> None:
    # 300 draws: three standard errors are 3.8 points; least squares holds 82, 40, 95 and 70 %.
    covered, _ = held(kind, k, 300)
    assert covered > 0.905


@pytest.mark.parametrize("k", [5, 15])
def test_unrelated_models_are_independent_points(k: int) -> None:
    assert 0.915 < held("AR 0", k, 500, in_order=False)[0] < 0.985


def test_least_squares_is_what_unrelated_models_get() -> None:
    from scipy.stats import linregress

    dev, unseen = [0.4, 0.45, 0.5, 0.55, 0.58, 0.61], [0.2, 0.23, 0.24, 0.28, 0.27, 0.29]
    found, line = stats.carry_over(dev, unseen), linregress(dev, unseen)
    assert found.slope == pytest.approx(line.slope)
    half = stats.t95(4) * line.stderr
    assert found.ci_low == pytest.approx(line.slope - half, abs=1e-4)
    assert found.ci_high == pytest.approx(line.slope + half, abs=1e-4)
    assert not found.in_order


def test_a_slope_in_order_is_a_mixture_about_that_of_the_differences() -> None:
    draw = np.random.default_rng(1)
    dev = walk(draw, 200)
    unseen = 0.5 * dev + walk(draw, 200)
    found = stats.carry_over(dev.tolist(), unseen.tolist(), steps=range(200))
    x, y = np.diff(dev), np.diff(unseen)
    slope = float(x @ y / (x @ x))
    rest = y - slope * x
    error = float((rest @ rest / (len(x) - 1) / (x @ x)) ** 0.5)
    # Of a long walk the data themselves say that it is one.
    assert found.slope == pytest.approx(slope, abs=error / 2)
    width = known(found.ci_high) - known(found.ci_low)
    assert width == pytest.approx(4 * error, rel=0.1)


def test_steps_far_apart_may_differ_by_more() -> None:
    dev, unseen = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [0.2, 0.22, 0.24, 0.26, 0.4, 0.42]
    even = stats.carry_over(dev, unseen, steps=range(6))
    late = stats.carry_over(dev, unseen, steps=[0, 1, 2, 3, 40, 41])
    # The jump stands where 37 steps lie between two checkpoints, so it says less.
    assert known(late.slope) < known(even.slope)
    with pytest.raises(ValueError, match="must rise"):
        stats.carry_over(dev, unseen, steps=[0, 1, 1, 2, 3, 4])


def test_noise_of_dev_is_corrected_for_and_noise_of_items_is_a_floor() -> None:
    dev = [0.40, 0.44, 0.48, 0.52, 0.56, 0.60]
    unseen = [0.3 + 0.43 * score for score in dev]
    plain = stats.carry_over(dev, unseen)
    noisy = stats.carry_over(dev, unseen, covariances=(0.02**2 * np.eye(6), 0.04**2 * np.eye(6)))
    assert known(plain.ci_high) - known(plain.ci_low) < 1e-6
    assert noisy.reliability == pytest.approx(1 - 0.02**2 / np.var(dev, ddof=1))
    assert noisy.slope == pytest.approx(known(plain.slope) / known(noisy.reliability))
    # Points on a line with ±4-point scores: what the items alone do to the slope.
    slope = known(noisy.slope)
    spread = float(np.sum((np.array(dev) - np.mean(dev)) ** 2)) ** 0.5
    floor = stats.Z95 * float(np.hypot(0.04, slope * 0.02)) / spread / known(noisy.reliability)
    assert known(noisy.ci_low) <= slope - floor + 1e-6
    assert known(noisy.ci_high) >= slope + floor - 1e-6


@pytest.mark.parametrize(
    ("dev", "unseen", "noise", "reason"),
    [
        ([0.1, 0.2], [0.1, 0.2], 0.0, "a slope needs at least 3 checkpoints, not 2"),
        ([0.1] * 5, [0.1, 0.2, 0.3, 0.2, 0.1], 0.0, "all dev scores are the same"),
        ([0.50, 0.51, 0.52, 0.50, 0.49], [0.3, 0.31, 0.33, 0.3, 0.3], 0.04, "hardly more than"),
    ],
)
def test_why_there_is_no_slope(
    dev: list[float], unseen: list[float], noise: float, reason: str
) -> None:
    k = len(dev)
    found = stats.carry_over(dev, unseen, covariances=(noise**2 * np.eye(k), np.zeros((k, k))))
    assert found.slope is None
    assert reason in found.reason


def test_what_items_do_to_all_checkpoints_alike_blurs_no_slope() -> None:
    dev, unseen = [0.40, 0.47, 0.48, 0.52, 0.60, 0.61], [0.3, 0.33, 0.32, 0.36, 0.4, 0.39]
    shared = np.full((6, 6), 0.05**2)
    for steps in (None, range(6)):
        plain = stats.carry_over(dev, unseen, steps=steps)
        found = stats.carry_over(dev, unseen, steps=steps, covariances=(shared, shared))
        assert found.reliability == pytest.approx(1)
        assert (found.slope, found.ci_low) == pytest.approx((plain.slope, plain.ci_low))


def test_noise_that_wanders_blurs_the_steps_less_than_noise_that_does_not() -> None:
    # Checkpoints that differ by the few items learned in between: neighbours share their noise.
    dev = [0.3 + 0.05 * at + 0.01 * (-1) ** at for at in range(8)]
    unseen = [0.2 + 0.03 * at for at in range(8)]
    places = np.arange(1, 9)
    wandering = 0.004**2 * np.minimum(places[:, None], places)
    white = np.full(8, float(wandering.diagonal().mean())) * np.eye(8)
    still = np.zeros((8, 8))
    one, other = (
        stats.carry_over(dev, unseen, steps=range(8), covariances=(noise, still))
        for noise in (wandering, white)
    )
    assert known(other.reliability) < known(one.reliability) < 1


def test_few_checkpoints_have_a_slope_and_no_interval() -> None:
    found = stats.carry_over([0.3, 0.4, 0.5], [0.2, 0.243, 0.286])
    assert found.slope == pytest.approx(0.43)
    assert (found.ci_low, found.ci_high) == (None, None)
    assert found.reason == f"an interval needs at least {LEAST} checkpoints, not 3"
    with pytest.raises(ValueError, match="3 dev scores, but 2"):
        stats.carry_over([0.1, 0.2, 0.3], [0.1, 0.2])
    assert isinstance(found, CarryOver)
