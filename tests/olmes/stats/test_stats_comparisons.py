"""Paired comparisons, exact tests, corrections and power, held against scipy and statsmodels."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as reference
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from olmes import stats
from olmes.stats.power import exact_detectable_effect, mcnemar_power
from tests.known import known

FEW = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=2, max_size=40)


@pytest.mark.parametrize(
    ("wins", "losses", "p"),
    [
        (0, 0, 1.0),
        (1, 0, 1.0),
        (0, 1, 1.0),
        (2, 0, 0.5),
        (3, 0, 0.25),
        (5, 0, 0.0625),
        (6, 1, 0.125),
        (60, 40, 0.0569),
    ],
)
def test_mcnemar_by_hand(wins: int, losses: int, p: float) -> None:
    """A peer's sign test says p = 0 for (1, 0), (3, 0) and (5, 0), and .042 for (60, 40)."""
    assert stats.mcnemar_exact(wins, losses).p_value == pytest.approx(p, abs=5e-5)


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_that_of_statsmodels(wins: int, losses: int) -> None:
    found = stats.mcnemar_exact(wins, losses).p_value
    assert 0 < found <= 1
    if wins + losses:
        expected = mcnemar([[5, wins], [losses, 7]], exact=True).pvalue
        assert found == pytest.approx(min(1.0, expected))


@settings(deadline=None)
@given(st.lists(st.integers(-4, 4), min_size=2, max_size=9))
def test_sign_flips_by_enumeration(differences: list[int]) -> None:
    found = stats.sign_flip_test([d / 8 for d in differences])
    observed = abs(sum(differences))
    signings = list(itertools.product((-1, 1), repeat=len(differences)))
    extreme = sum(
        abs(sum(s * d for s, d in zip(signs, differences, strict=True))) >= observed
        for signs in signings
    )
    assert found.test == "sign flips exact"
    assert found.p_value == pytest.approx(extreme / len(signings))


def test_sampled_sign_flips_are_never_0_and_agree_with_t() -> None:
    draw = np.random.default_rng(1)
    strong = stats.sign_flip_test([1.0] * 100)
    assert strong.test == "sign flips sampled"
    assert 0 < strong.p_value <= 2 / 10_000
    weak = draw.normal(0.15, 1, 200)
    expected = reference.ttest_1samp(weak, 0).pvalue
    assert stats.sign_flip_test(weak.tolist()).p_value == pytest.approx(expected, abs=0.02)
    assert stats.sign_flip_test(weak.tolist()) == stats.sign_flip_test(weak.tolist())


def test_sign_flips_of_0_1_scores_are_mcnemars_test() -> None:
    differences = [1.0] * 9 + [-1.0] * 3 + [0.0] * 5
    found = stats.sign_flip_test(differences)
    assert found.p_value == pytest.approx(stats.mcnemar_exact(9, 3).p_value)


def test_paired_t_is_that_of_scipy() -> None:
    draw = np.random.default_rng(2)
    a, b = draw.normal(0, 1, 40), draw.normal(0.3, 1, 40)
    found = stats.compare(a.tolist(), b.tolist(), test="t")
    expected = reference.ttest_rel(b, a)
    assert found.p_value == pytest.approx(expected.pvalue)
    interval = expected.confidence_interval(0.95)
    assert (found.ci_low, found.ci_high) == pytest.approx((interval.low, interval.high), abs=1e-4)
    assert found.stderr == pytest.approx(reference.sem(b - a))
    assert not found.is_share


def test_interval_of_0_1_scores_is_bonett_and_prices() -> None:
    baseline = [1] * 40 + [0] * 12 + [1] * 5 + [0] * 43
    candidate = [1] * 40 + [1] * 12 + [0] * 5 + [0] * 43
    found = stats.compare(baseline, candidate)
    win, loss = (12 + 1) / 102, (5 + 1) / 102
    half = reference.t.ppf(0.975, 99) * math.sqrt((win + loss - (win - loss) ** 2) / 102)
    assert found.difference == pytest.approx(0.07)
    assert found.ci_low == pytest.approx(win - loss - half, abs=1e-6)
    assert found.ci_high == pytest.approx(win - loss + half, abs=1e-6)
    assert (found.wins, found.losses, found.test) == (12, 5, "mcnemar exact")


def test_clustered_paired_error_is_that_of_statsmodels() -> None:
    import statsmodels.api as sm

    draw = np.random.default_rng(3)
    labels = np.repeat(np.arange(15), 4)
    differences = draw.normal(0, 1, 15)[labels] + draw.normal(0, 1, 60)
    found = stats.compare([0.0] * 60, differences.tolist(), clusters=labels.tolist())
    model = sm.OLS(differences, np.ones(60))
    fitted = model.fit(cov_type="cluster", cov_kwds={"groups": labels, "df_correction": True})
    assert found.stderr == pytest.approx(float(fitted.bse[0]))
    assert (found.clusters, found.n) == (15, 60)
    assert found.test == "sign flips sampled"


def test_difference_of_macro_averages_is_that_of_the_strata() -> None:
    baseline, candidate = [1, 0, 0, 1, 0, 1], [1, 1, 0, 0, 1, 1]
    strata = ["a", "a", "b", "b", "b", "b"]
    found = stats.compare(baseline, candidate, strata=strata)
    assert found.baseline == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert found.candidate == pytest.approx((2 / 2 + 2 / 4) / 2)
    assert found.difference == pytest.approx(found.candidate - found.baseline)
    assert found.test == "sign flips exact"
    errors = [reference.sem([0, 1]), reference.sem([0, -1, 1, 0])]
    assert found.stderr == pytest.approx(math.hypot(*errors) / 2)


def test_items_of_several_parts_weigh_as_many() -> None:
    baseline, candidate, sizes = [0.5, 1.0, 0.0], [1.0, 1.0, 1 / 3], [2, 1, 3]
    found = stats.compare(baseline, candidate, sizes=sizes)
    assert found.difference == pytest.approx((1 + 0 + 1) / 6)
    assert found.stderr == pytest.approx(
        stats.ratio([1.0, 0.0, 1.0], [2.0, 1.0, 3.0], is_share=False).stderr
    )


@settings(deadline=None)
@given(FEW)
def test_swapping_the_runs_mirrors_the_comparison(pairs: list[tuple[int, int]]) -> None:
    a, b = [x for x, _ in pairs], [y for _, y in pairs]
    forth, back = stats.compare(a, b), stats.compare(b, a)
    assert forth.difference == -back.difference
    assert forth.ci_low == pytest.approx(-known(back.ci_high))
    assert (forth.wins, forth.losses, forth.p_value) == (back.losses, back.wins, back.p_value)
    opposite = {"better": "worse", "worse": "better"}
    assert opposite.get(forth.verdict, forth.verdict) == back.verdict
    assert json.loads(json.dumps(forth.to_json()))["verdict"] == forth.verdict


@settings(deadline=None, max_examples=50)
@given(FEW, st.lists(st.integers(0, 3), min_size=40, max_size=40))
def test_macro_differences_hold_for_any_strata(
    pairs: list[tuple[int, int]], labels: list[int]
) -> None:
    a, b = [x for x, _ in pairs], [y for _, y in pairs]
    strata = labels[: len(pairs)]
    found = stats.compare(a, b, strata=strata, n_resamples=200)
    assert found.difference == pytest.approx(found.candidate - found.baseline)
    assert 0 < found.p_value <= 1
    if found.ci_low is not None:
        assert -1 <= found.ci_low <= known(found.ci_high) <= 1


def verdicts(wins: int, losses: int, n: int, **options: Any) -> str:
    rest = n - wins - losses
    baseline = [0] * wins + [1] * losses + [1] * rest
    candidate = [1] * wins + [0] * losses + [1] * rest
    return stats.compare(baseline, candidate, **options).verdict


def test_verdicts() -> None:
    assert verdicts(60, 20, 500) == "better"
    assert verdicts(20, 60, 500) == "worse"
    assert verdicts(20, 60, 500, higher_is_better=False) == "better"
    assert verdicts(25, 20, 500) == "not enough data"
    assert verdicts(10, 10, 5000) == "tied"
    assert verdicts(0, 0, 5) == "not enough data"
    assert verdicts(0, 0, 1000) == "tied"
    assert verdicts(5, 0, 5) == "not enough data"
    assert verdicts(1, 0, 1) == "not enough data"
    # A difference that is sure to be small is a tie, unless the margin is smaller still.
    assert verdicts(50, 20, 10_000) == "tied"
    assert verdicts(50, 20, 10_000, margin=0.001) == "better"


def test_a_sentence_says_it_in_points() -> None:
    found = stats.compare([0] * 60 + [1] * 20 + [1] * 420, [1] * 60 + [0] * 20 + [1] * 420)
    assert found.sentence.startswith("Better: +8.00 points (95 % interval +4.")
    assert "p < 0.001, n = 500" in found.sentence
    assert "no interval from one item" in stats.compare([0.0], [1.0]).sentence


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="argument 2 is"):
        stats.compare([1.0, 0.0], [1.0])
    with pytest.raises(ValueError, match="2 values, but 1"):
        stats.compare([1.0, 0.0], [1.0, 1.0], strata=["a"])
    with pytest.raises(ValueError, match="no values"):
        stats.compare([], [])


# statsmodels takes a tenth of a second each time.
@settings(deadline=None, max_examples=6)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_is_that_of_statsmodels(p_values: list[float]) -> None:
    expected = multipletests(p_values, method="holm")[1]
    assert stats.holm(p_values) == pytest.approx(expected.tolist())


def test_holm_by_hand_and_in_comparisons() -> None:
    assert stats.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert stats.holm([]) == []
    found = {name: stats.compare([0] * 9 + [1], [1] * 9 + [0]) for name in "abc"}
    assert found["a"].p_value == pytest.approx(0.0215, abs=1e-4)
    assert found["a"].verdict == "better"
    corrected = stats.with_holm(found)
    assert corrected["a"].p_adjusted == pytest.approx(3 * found["a"].p_value)
    assert corrected["a"].verdict == "not enough data"
    assert corrected["a"].p_value == found["a"].p_value


def test_power_by_hand() -> None:
    # Miller 2024, section 5: about 1,000 questions for 3 points at 80 %.
    assert stats.items_needed(0.03, 1 / 9) == math.ceil((1.959964 + 0.841621) ** 2 / 9 / 0.0009)
    assert 950 < stats.items_needed(0.03, 1 / 9) < 1000
    assert stats.minimum_detectable_effect(1319, 0.25) == pytest.approx(2.801585 * 0.5 / 1319**0.5)
    assert stats.minimum_detectable_effect(400, 0.25, design_effect=4) == pytest.approx(
        stats.minimum_detectable_effect(100, 0.25)
    )
    assert stats.difference_variance(0.5, 0.5) == pytest.approx(0.5)
    assert stats.difference_variance(0.5, 0.5, 0.8) == pytest.approx(0.1)
    assert stats.resampled_variance(0.1, 0.2, 0.3, 2, 3) == pytest.approx(0.3)


def test_power_agrees_with_statsmodels() -> None:
    from statsmodels.stats.power import NormalIndPower

    expected = NormalIndPower().solve_power(effect_size=0.06, alpha=0.05, power=0.9)
    variance = stats.difference_variance(0.5, 0.5)
    found = stats.items_needed(0.03, variance, power=0.9)
    assert found == math.ceil(expected)


@settings(deadline=None)
@given(st.floats(0.001, 0.5), st.floats(0.01, 1), st.floats(1, 5))
def test_items_needed_inverts_the_detectable_effect(
    effect: float, variance: float, design: float
) -> None:
    n = stats.items_needed(effect, variance, design_effect=design)
    at = stats.minimum_detectable_effect(n, variance, design_effect=design)
    assert at <= effect * (1 + 1e-9)
    if n > 1:
        below = stats.minimum_detectable_effect(n - 1, variance, design_effect=design)
        assert below >= effect * (1 - 1e-9)


def test_the_detectable_effect_is_detected_four_times_in_five() -> None:
    draw, n, draws = np.random.default_rng(4), 200, 5_000
    effect = stats.minimum_detectable_effect(n, 0.3)
    rows = draw.normal(effect, math.sqrt(0.3), (draws, n))
    p_values = reference.ttest_1samp(rows, 0, axis=1).pvalue
    # The standard error of the share is 0.6 points.
    assert float((p_values < 0.05).mean()) == pytest.approx(0.8, abs=0.015)


@pytest.mark.parametrize(
    ("n", "wins", "losses"), [(20, 1, 1), (50, 2, 3), (100, 0, 0), (200, 5, 5)]
)
def test_what_few_discordant_pairs_can_show_is_shown(n: int, wins: int, losses: int) -> None:
    """The verdict itself, on draws with the difference said to be detectable."""
    ties = [1] * (n - wins - losses)
    found = stats.compare([0] * wins + [1] * losses + ties, [1] * wins + [0] * losses + ties)
    effect = known(found.detectable)
    rate = max((wins + losses) / n, effect)
    chances = [(rate + effect) / 2, (rate - effect) / 2, 1 - rate]
    draw, better = np.random.default_rng(6), 0
    for won, lost, tied in draw.multinomial(n, chances, 1_000).tolist():
        rest = [1] * tied
        verdict = stats.compare(
            [0] * won + [1] * lost + rest, [1] * won + [0] * lost + rest
        ).verdict
        better += verdict == "better"
    # The standard error is 1.3 points.
    assert 0.76 <= better / 1_000 <= 0.93


def test_the_power_of_mcnemars_test_by_enumeration() -> None:
    n, difference, discordant = 12, 0.5, 0.6
    win, loss = (discordant + difference) / 2, (discordant - difference) / 2
    total = sum(
        reference.multinomial.pmf([w, lost, n - w - lost], n, [win, loss, 1 - discordant])
        for w in range(n + 1)
        for lost in range(n + 1 - w)
        if w > lost and stats.mcnemar_exact(w, lost).p_value < 0.05
    )
    assert mcnemar_power(n, discordant, difference) == pytest.approx(total)
    assert exact_detectable_effect(5, 0.2) == 1
    assert exact_detectable_effect(1000, 0.2) == 0


def test_power_refuses_nonsense() -> None:
    with pytest.raises(ValueError, match="difference of 0"):
        stats.items_needed(0, 1)
    with pytest.raises(ValueError, match="must lie between"):
        stats.items_needed(0.1, 1, power=1)
    with pytest.raises(ValueError, match="0 items"):
        stats.minimum_detectable_effect(0, 1)


def test_design_effect() -> None:
    values, labels = [1.0, 1.0, 0.0, 0.0] * 10, [i // 2 for i in range(40)]
    # Items of a cluster are the same: 20 clusters are worth 20 items.
    assert stats.design_effect(values, labels) == pytest.approx(2 * 39 / 40 * 20 / 19)
    assert stats.design_effect([1.0, 1.0], [0, 1]) == 1
    assert stats.design_effect([1.0, 0.0], [0, 0]) == 1


def test_ten_ties_in_ten_items_are_no_point() -> None:
    found = stats.compare([0.0] * 10, [0.0] * 10)
    half = reference.t.ppf(0.975, 9) * math.sqrt(2) / 12
    assert (found.ci_low, found.ci_high) == pytest.approx((-half, half), abs=1e-4)


def test_differences_that_are_alike_but_for_rounding_are_alike() -> None:
    """.5 - .2 and .4 - .1 differ in the last bit."""
    rounded = stats.compare([0.5, 0.4] * 8, [0.2, 0.1] * 8)
    assert rounded.stderr == 0
    even = stats.compare([0.5] * 16, [0.25] * 16)
    assert known(rounded.ci_high) - known(rounded.ci_low) == pytest.approx(
        known(even.ci_high) - known(even.ci_low), rel=0.1
    )
    longer = stats.compare([1000.1, 2000.1] * 8, [1000.2, 2000.2] * 8)
    assert longer.stderr == 0
    assert known(longer.ci_high) - known(longer.ci_low) > 0.3


def test_clusters_that_do_not_matter_leave_the_interval_as_it_is() -> None:
    """Ten passages of ten: one win and one loss more are items, not whole passages."""
    draw = np.random.default_rng(5)
    a, b = draw.integers(0, 2, 100).tolist(), draw.integers(0, 2, 100).tolist()
    clustered = stats.compare(a, b, clusters=[i // 10 for i in range(100)])
    alone = stats.compare(a, b)
    ratio = known(clustered.stderr) / known(alone.stderr) * 2.262 / 1.984
    width = known(clustered.ci_high) - known(clustered.ci_low)
    assert width == pytest.approx(ratio * (known(alone.ci_high) - known(alone.ci_low)), rel=0.03)


def test_clusters_that_agree_with_themselves_count_as_one_item_each() -> None:
    a, b = [0] * 6 + [1] * 6 + [0, 1] * 4, [1] * 6 + [0] * 3 + [1] * 3 + [0, 1] * 4
    alone = stats.compare(a, b)
    tenfold = stats.compare(
        [x for x in a for _ in range(10)],
        [y for y in b for _ in range(10)],
        clusters=[i // 10 for i in range(200)],
    )
    assert (tenfold.ci_low, tenfold.ci_high) == pytest.approx((alone.ci_low, alone.ci_high))
