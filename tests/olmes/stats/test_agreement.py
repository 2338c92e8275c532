"""Agreement of judges: the published example, the library, cases written by hand, and its interval."""

from __future__ import annotations

import math
import random

import krippendorff
import numpy as np
import pytest

from olmes import stats

NONE = None
PUBLISHED = (
    (1, 2, 3, 3, 2, 1, 4, 1, 2, NONE, NONE, NONE),
    (1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NONE, 3),
    (NONE, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NONE),
    (1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NONE),
)
"""Krippendorff 2011, section E: 4 observers, 12 units, missing values."""
UNITS = list(zip(*PUBLISHED, strict=True))


@pytest.mark.parametrize(
    ("level", "expected"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)]
)
def test_the_published_example_has_its_published_alphas(level: str, expected: float) -> None:
    found = stats.krippendorff_alpha(UNITS, level)  # type: ignore[arg-type]
    assert found.value == pytest.approx(expected, abs=0.0005)
    # One unit has a single rating and is not counted: 40 values can be paired.
    assert (found.units, found.ratings) == (11, 40)
    assert None not in (found.ci_low, found.value, found.ci_high)
    low, value, high = found.ci_low or 0, found.value or 0, found.ci_high or 0
    assert low < value < high


@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval"])
def test_it_is_what_the_library_says(level: str) -> None:
    rng = random.Random(17)
    for _ in range(150):
        judges, units = rng.randint(2, 6), rng.randint(2, 25)
        top, missing = rng.randint(2, 6), rng.choice([0.0, 0.2, 0.5])
        table = [
            [None if rng.random() < missing else rng.randint(1, top) for _ in range(judges)]
            for _ in range(units)
        ]
        found = stats.krippendorff_alpha(table, level, n_resamples=0)  # type: ignore[arg-type]
        data = np.array(table, dtype=float).T
        counted = {
            value for unit in table if sum(v is not None for v in unit) > 1 for value in unit
        }
        if len(counted - {None}) < 2:
            assert found.value is None
            continue
        expected = krippendorff.alpha(reliability_data=data, level_of_measurement=level)
        assert found.value == pytest.approx(expected, abs=1e-12)


def test_where_nothing_can_be_told_it_says_so() -> None:
    alone = stats.krippendorff_alpha([[1], [2], [None, 3]])
    assert (alone.value, alone.ci_low, alone.units) == (None, None, 0)
    assert "two ratings" in alone.undefined
    flat = stats.krippendorff_alpha([[4, 4], [4, 4, None], [4, 4]])
    assert flat.value is None
    assert "the same" in flat.undefined
    assert flat.units == 3
    assert stats.krippendorff_alpha([]).value is None
    one = stats.krippendorff_alpha([[1, 2]], "nominal")
    assert (one.value, one.ci_low, one.stderr) == (0.0, None, None)


def test_perfect_agreement_has_an_alpha_of_one_and_no_interval() -> None:
    found = stats.krippendorff_alpha([[k % 5, k % 5] for k in range(50)])
    assert (found.value, found.ci_low, found.ci_high) == (1.0, None, None)


def test_judges_who_avoid_each_other_are_below_zero() -> None:
    found = stats.krippendorff_alpha([[1, 2], [2, 1]] * 20, "nominal")
    assert found.value == pytest.approx(1 - 79 * 80 / (2 * 40 * 40))


def test_the_interval_is_that_of_the_bootstrap_written_out() -> None:
    rng = random.Random(3)
    units = [[rng.randint(1, 5), rng.randint(1, 5), rng.randint(2, 4)] for _ in range(30)]
    labels = [at // 3 for at in range(30)]
    found = stats.krippendorff_alpha(units, clusters=labels)

    def alpha(resample: object) -> float:
        value = stats.krippendorff_alpha(list(resample), n_resamples=0).value  # type: ignore[call-overload]
        return math.nan if value is None else value

    slow = stats.bootstrap(alpha, units, clusters=labels, n_resamples=500, method="percentile")
    assert found.clusters == slow.clusters == 10
    assert found.value == pytest.approx(slow.value)
    for ours, theirs in ((found.ci_low, slow.ci_low), (found.ci_high, slow.ci_high)):
        assert ours == pytest.approx(theirs, abs=0.05)


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    # Two judges see a truth of -1 or 1 and say the opposite in a tenth of cases: alpha 0.64.
    rng, held = np.random.default_rng(0), 0
    draws = 300
    for seed in range(draws):
        truth = rng.integers(0, 2, size=60)
        said = [truth ^ (rng.random(60) < 0.1) for _ in range(2)]
        found = stats.krippendorff_alpha(
            list(zip(*said, strict=True)), "nominal", n_resamples=400, seed=seed
        )
        held += found.ci_low is not None and found.ci_low <= 0.64 <= (found.ci_high or 0)
    assert 0.89 <= held / draws <= 0.985


def test_clusters_of_units_that_are_alike_widen_the_interval() -> None:
    rng = random.Random(5)
    units, labels = [], []
    for prompt in range(25):
        agree = rng.random() < 0.6
        for _ in range(8):
            first = rng.randint(1, 5)
            units.append([first, first if agree else rng.randint(1, 5)])
            labels.append(prompt)
    alone = stats.krippendorff_alpha(units)
    together = stats.krippendorff_alpha(units, clusters=labels)
    assert alone.stderr is not None
    assert together.stderr is not None
    assert together.stderr > 1.5 * alone.stderr
    with pytest.raises(ValueError, match="shorter|longer"):
        stats.krippendorff_alpha(units, clusters=labels[1:])


def test_kappa_by_hand() -> None:
    # Cohen 1960's form: 35 of 50 agree, marginals 25/25 and 30/20: chance is 1/2.
    pairs = [("yes", "yes")] * 20 + [("yes", "no")] * 5 + [("no", "yes")] * 10 + [("no", "no")] * 15
    found = stats.cohen_kappa(pairs)
    assert (found.agreement, found.chance, found.n) == (0.7, 0.5, 50)
    assert found.value == pytest.approx(0.4)
    assert stats.cohen_kappa([("a", "a")] * 4).value is None
    with pytest.raises(ValueError, match="no units"):
        stats.cohen_kappa([])
