"""Means and their errors, held against scipy, statsmodels and simulation."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from olmes import stats
from tests.known import known


@pytest.mark.parametrize(("right", "n"), [(0, 8), (1, 8), (4, 8), (8, 8), (700, 1319), (1, 1)])
def test_interval_of_an_accuracy_is_wilsons(right: int, n: int) -> None:
    from statsmodels.stats.proportion import proportion_confint

    low, high = stats.wilson(right / n, n)
    expected = proportion_confint(right, n, method="wilson")
    assert (low, high) == pytest.approx(expected, abs=1e-9)


def test_standard_error_of_a_mean_is_the_sample_one() -> None:
    from scipy import stats as reference

    draw = random.Random(1)
    values = [draw.gauss(3, 2) for _ in range(50)]
    found = stats.mean(values)
    assert found.value == pytest.approx(sum(values) / 50)
    assert found.stderr == pytest.approx(reference.sem(values))
    half = reference.t.ppf(0.975, 49) * known(found.stderr)
    assert found.value - known(found.ci_low) == pytest.approx(half, rel=0.2)
    assert known(found.ci_high) - found.value == pytest.approx(half, rel=0.2)
    assert max(found.value - known(found.ci_low), known(found.ci_high) - found.value) >= half


def test_clustered_error_agrees_with_statsmodels() -> None:
    import numpy as np
    import statsmodels.api as sm

    draw = random.Random(7)
    labels = [draw.randrange(12) for _ in range(80)]
    lift = [draw.gauss(0, 1) for _ in range(12)]
    values = [lift[label] + draw.gauss(0, 1) for label in labels]
    model = sm.OLS(np.array(values), np.ones(80))
    fitted = model.fit(
        cov_type="cluster", cov_kwds={"groups": np.array(labels), "df_correction": True}
    )
    # statsmodels also multiplies by (n - 1)/(n - k), which is 1 for a mean (k = 1).
    assert stats.mean(values, labels).stderr == pytest.approx(float(fitted.bse[0]), rel=1e-9)


def test_macro_weighs_groups_alike_and_adds_their_variances() -> None:
    groups = {
        "a": stats.mean([1.0, 0.0, 1.0, 1.0]),
        "b": stats.mean([0.0, 0.0, 1.0, 0.0, 0.0, 0.0]),
    }
    pooled = stats.mean([1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0])
    found = stats.macro(groups, pooled, is_share=True)
    assert found.value == pytest.approx((0.75 + 1 / 6) / 2)
    assert found.stderr == pytest.approx(
        math.sqrt(known(groups["a"].stderr) ** 2 + known(groups["b"].stderr) ** 2) / 2
    )
    assert found.n == 10


def test_macro_with_groups_of_one_item_borrows_the_pooled_deviation() -> None:
    groups = {name: stats.mean([value]) for name, value in (("a", 1.0), ("b", 0.0), ("c", 0.0))}
    pooled = stats.mean([1.0, 0.0, 0.0])
    found = stats.macro(groups, pooled, is_share=True)
    assert found.stderr == pytest.approx(pooled.stderr)


def test_one_item_has_no_standard_error_but_a_wide_interval() -> None:
    found = stats.mean([1.0])
    assert found.stderr is None
    assert found.ci_low is not None
    assert found.ci_low < 0.3


@given(st.lists(st.floats(0, 1), min_size=2, max_size=60))
def test_interval_of_shares_stays_between_0_and_1_and_holds_the_mean(values: list[float]) -> None:
    found = stats.mean(values)
    assert 0 <= known(found.ci_low) <= found.value + 1e-9
    assert found.value - 1e-9 <= known(found.ci_high) <= 1


@pytest.mark.parametrize("share", [0.05, 0.3, 0.9])
def test_intervals_cover_the_truth(share: float) -> None:
    draw = random.Random(42)
    rounds, covered = 2000, 0
    for _ in range(rounds):
        found = stats.mean([float(draw.random() < share) for _ in range(120)])
        covered += known(found.ci_low) <= share <= known(found.ci_high)
    assert 0.93 <= covered / rounds <= 0.975
