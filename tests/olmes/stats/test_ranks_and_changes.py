"""Rank agreement of two suites, the share of a change that carried over, and changes in log-odds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from olmes import stats
from olmes.stats import Difference, ShareError
from tests.known import known


def test_tau_has_the_bounds_of_the_pairs_that_are_told_apart() -> None:
    dev, unseen = [0.30, 0.50, 0.70, 0.71], [0.20, 0.30, 0.40, 0.35]
    sure, unsure = np.eye(4) * 0.001**2, np.eye(4) * 0.02**2
    found = known(stats.rank_agreement(dev, unseen, (sure, sure)))
    assert (found.same, found.reversed, found.pairs) == (5, 1, 6)
    assert found.tau == pytest.approx(4 / 6)
    assert (found.ci_low, found.ci_high) == pytest.approx((4 / 6, 4 / 6))
    found = known(stats.rank_agreement(dev, unseen, (unsure, unsure)))
    # The two best are not told apart on dev, nor .35 from .30 and .40 on unseen.
    assert (found.same, found.reversed) == (4, 0)
    assert (found.ci_low, found.ci_high) == pytest.approx((2 / 6, 1.0))


def test_without_errors_tau_has_no_bounds() -> None:
    found = known(stats.rank_agreement([1, 2, 3, 4], [1, 2, 4, 3]))
    assert found.tau == pytest.approx(4 / 6)
    assert (found.ci_low, found.ci_high) == (None, None)
    assert stats.rank_agreement([1, 1], [1, 2]) is None
    with pytest.raises(ValueError, match="3 scores against 2"):
        stats.rank_agreement([1, 2, 3], [1, 2])


def test_models_without_an_error_are_not_told_apart() -> None:
    found = known(stats.rank_agreement([0.1, 0.9], [0.1, 0.9], (np.zeros((2, 2)),) * 2))
    assert (found.same, found.reversed) == (0, 0)
    assert (found.ci_low, found.ci_high) == (-1.0, 1.0)


@pytest.mark.parametrize("related", [0.0, 0.8, 1.0])
@pytest.mark.parametrize("noise", [0.25, 1.0])
def test_the_bounds_of_tau_hold(related: float, noise: float) -> None:
    draw = np.random.default_rng(5)
    covariance, held = noise**2 * np.eye(8), []
    for _ in range(150):
        first = draw.normal(size=8)
        second = related * first + (1 - related**2) ** 0.5 * draw.normal(size=8)
        truth = known(stats.rank_agreement(first.tolist(), second.tolist())).tau
        one, other = (side + noise * draw.normal(size=8) for side in (first, second))
        found = known(
            stats.rank_agreement(
                one.tolist(), other.tolist(), (covariance, covariance), n_resamples=1_000
            )
        )
        held.append(known(found.ci_low) - 1e-9 <= truth <= known(found.ci_high) + 1e-9)
    # Tied by measurement widens the bounds to tau itself, which noise draws away from the truth.
    assert np.mean(held) > 0.93


def change(value: float, stderr: float) -> Difference:
    return Difference(value, stderr, value - 1.96 * stderr, value + 1.96 * stderr)


def test_a_share_of_a_change_is_fiellers() -> None:
    found = known(stats.carried_share(change(0.4, 0.05), change(0.1, 0.03)))
    assert found.value == pytest.approx(0.25)
    for end in (found.ci_low, found.ci_high):
        # At either end the difference unseen - r dev is 1.96 of its errors.
        difference = 0.1 - end * 0.4
        assert abs(difference) == pytest.approx(1.96 * math.hypot(0.03, end * 0.05))
    assert found.ci_low < 0.25 < found.ci_high


def test_a_share_of_a_loss_is_that_of_the_gain() -> None:
    gain = known(stats.carried_share(change(0.4, 0.05), change(0.1, 0.03)))
    loss = known(stats.carried_share(change(-0.4, 0.05), change(-0.1, 0.03)))
    assert (loss.value, loss.ci_low, loss.ci_high) == pytest.approx(
        (gain.value, gain.ci_low, gain.ci_high)
    )
    opposite = known(stats.carried_share(change(0.4, 0.05), change(-0.1, 0.03)))
    assert opposite.ci_high == pytest.approx(-gain.ci_low)


def test_there_is_no_share_of_a_change_that_may_be_none() -> None:
    assert stats.carried_share(change(0.05, 0.05), change(0.1, 0.03)) is None
    assert stats.carried_share(Difference(0.4, 0.1, None, None), change(0.1, 0.03)) is None
    assert stats.carried_share(Difference(0.0, 0.1, -0.2, 0.2), change(0.1, 0.03)) is None


@pytest.mark.parametrize("unseen", [-0.05, 0.0, 0.2, 0.4])
def test_the_interval_of_a_share_holds(unseen: float) -> None:
    draw = np.random.default_rng(6)
    held = []
    for _ in range(2_000):
        found = stats.carried_share(
            change(draw.normal(0.4, 0.05), 0.05), change(draw.normal(unseen, 0.03), 0.03)
        )
        if found is not None:
            held.append(found.ci_low <= unseen / 0.4 <= found.ci_high)
    # 2,000 draws: two standard errors are 1 point.
    assert 0.94 < np.mean(held) < 0.965


def test_a_change_in_log_odds_is_that_of_the_odds_ratio() -> None:
    # 500 items each, not paired: the classical error of a log odds ratio.
    right = np.array([250, 300])
    before, after = (
        ShareError(r / 500, (r / 500 * (1 - r / 500) / 500) ** 0.5, 500) for r in right.tolist()
    )
    found = stats.log_odds_change(before, after, stderr=math.hypot(before.stderr, after.stderr))
    expected = math.log((300 / 200) / (250 / 250))
    assert found.value == pytest.approx(expected, abs=2e-3)
    classical = math.sqrt(sum(1 / r + 1 / (500 - r) for r in right))
    assert found.stderr == pytest.approx(classical, rel=0.01)
    paired = stats.log_odds_change(before, after, stderr=0.01)
    assert known(paired.stderr) < classical / 2


def test_all_right_has_log_odds_too() -> None:
    half = ShareError(0.5, (0.25 / 40) ** 0.5, 40)
    found = stats.log_odds_change(half, ShareError(1.0, 0.0, 40), stderr=0.08)
    assert math.isfinite(found.value)
    assert known(found.ci_low) < found.value < known(found.ci_high)
    # Half an item wrong: ln(40.5/0.5).
    assert found.value == pytest.approx(math.log(40.5 / 0.5))
