"""Intervals, bootstrap, pass@k, suites, trends and rank correlations, held against scipy."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from olmes import stats
from olmes.errors import OlmesError
from olmes.records.aggregate import Clusters, Sums
from olmes.records.items import cluster_of, parts_of
from olmes.records.schema import ResponseRow
from olmes.stats.selection import paired_scores
from olmes.tools.as_json import as_json
from tests.factories import response_row
from tests.known import known


@pytest.mark.parametrize("df", [*range(1, 40), 1.01, 1.5, 1.9, 2.7, 7.3, 100, 1_000, 1e6])
def test_students_t_is_that_of_scipy(df: float) -> None:
    assert reference.norm.ppf(0.975) == pytest.approx(stats.Z95, abs=1e-15)
    assert stats.t95(df) == pytest.approx(reference.t.ppf(0.975, df), rel=2e-6)


def test_every_public_name_loads_and_the_means_need_no_numpy() -> None:
    for name in vars(stats)["__all__"]:
        assert getattr(stats, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'median'"):
        _ = getattr(stats, "median")  # noqa: B009 (a checker would refuse the name)
    program = (
        "import sys; import olmes.stats as s; s.mean([1.0, 0.0]); s.stratified_mean([1.0, 0.0]);"
        "print([m for m in ('numpy', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_share_without_spread_counts_clusters_not_items() -> None:
    alone = stats.mean([1.0] * 20)
    assert (alone.ci_low, alone.ci_high) == stats.wilson(1.0, 20)
    clustered = stats.mean([1.0] * 20, [i // 4 for i in range(20)])
    assert (clustered.ci_low, clustered.ci_high) == stats.wilson(1.0, 5)


def test_few_clusters_get_a_wider_interval() -> None:
    values, labels = [1.0, 1.0, 0.0, 1.0, 0.0, 0.0], [0, 0, 1, 1, 2, 2]
    found = stats.mean(values, labels)
    effective = 0.25 / known(found.stderr) ** 2 * (stats.Z95 / reference.t.ppf(0.975, 2)) ** 2
    assert (found.ci_low, found.ci_high) == pytest.approx(stats.wilson(0.5, effective), abs=1e-4)


def test_degrees_of_freedom_are_satterthwaites() -> None:
    a, b = [0.0, 1.0, 2.0, 5.0], [1.0, 0.0, 0.5]
    found = stats.stratified_mean(a + b, strata=["a"] * 4 + ["b"] * 3)
    # The mean of two strata is half the sum, so Welch's t of a against -b has the same error.
    welch = reference.ttest_ind(a, [-x for x in b], equal_var=False)
    assert found.df == pytest.approx(welch.df)
    assert found.value / known(found.stderr) == pytest.approx(welch.statistic)
    assert sum(found.weights) == pytest.approx(1)
    assert found.places == (0, 0, 0, 0, 1, 1, 1)


def test_a_stratum_of_one_borrows_and_one_cluster_has_no_error() -> None:
    found = stats.stratified_mean([1.0, 0.0, 1.0], strata=["a", "b", "c"])
    assert found.stderr == pytest.approx(stats.mean([1.0, 0.0, 1.0]).stderr)
    alone = stats.stratified_mean([1.0, 0.0], clusters=["x", "x"])
    assert (alone.value, alone.stderr, alone.df) == (0.5, None, None)


def share(items: Sequence[float]) -> float:
    return sum(items) / len(items)


def test_the_bootstrap_error_is_not_divided_by_the_resamples() -> None:
    """A peer's is 32 times too small on these numbers: it divides by sqrt(1000)."""
    values = [float(i < 220) for i in range(400)]
    methods: list[Literal["percentile", "bca"]] = ["percentile", "bca"]
    for method in methods:
        found = stats.bootstrap(share, values, n_resamples=1_000, method=method)
        assert found.stderr == pytest.approx(stats.mean(values).stderr, rel=0.08)
        assert known(found.stderr) > 0.02
    more = stats.bootstrap(share, values, n_resamples=4_000)
    assert more.stderr == pytest.approx(stats.mean(values).stderr, rel=0.05)


def test_the_bootstrap_is_that_of_scipy() -> None:
    values = np.random.default_rng(0).exponential(1, 40)
    found = stats.bootstrap(lambda items: float(np.median(items)), values.tolist(), seed=3)
    expected = reference.bootstrap(
        (values,), np.median, n_resamples=2_000, method="BCa", rng=np.random.default_rng(3)
    )
    interval = expected.confidence_interval
    assert (found.ci_low, found.ci_high) == pytest.approx((interval.low, interval.high))
    assert found.stderr == pytest.approx(expected.standard_error)
    assert json.loads(json.dumps(as_json(found)))["clusters"] == 40


def test_the_bootstrap_draws_clusters_within_strata() -> None:
    draw = np.random.default_rng(1)
    labels = [i // 4 for i in range(120)]
    values = (draw.normal(0, 1, 30)[labels] + draw.normal(0, 1, 120)).tolist()
    clustered = stats.bootstrap(share, values, clusters=labels)
    assert clustered.stderr == pytest.approx(stats.mean(values, labels).stderr, rel=0.1)
    rows = [(value, "ab"[i >= 40]) for i, value in enumerate(values)]

    def macro(drawn: Sequence[tuple[float, str]]) -> float:
        groups = [[value for value, own in drawn if own == name] for name in "ab"]
        return sum(map(share, groups)) / 2

    strata = [name for _, name in rows]
    found = stats.bootstrap(macro, rows, clusters=labels, strata=strata)
    expected = stats.stratified_mean(values, clusters=labels, strata=strata)
    assert found.value == pytest.approx(expected.value)
    assert found.stderr == pytest.approx(expected.stderr, rel=0.1)
    assert found.clusters == 30


def test_the_bootstrap_claims_nothing_it_cannot_know() -> None:
    same = stats.bootstrap(share, [1.0] * 10, n_resamples=50)
    assert (same.stderr, same.ci_low, same.ci_high) == (0.0, None, None)
    alone = stats.bootstrap(share, [1.0, 0.0, 1.0], strata=["a", "a", "b"], n_resamples=50)
    assert (alone.stderr, alone.ci_low) == (None, None)
    with pytest.raises(ValueError, match="no items"):
        stats.bootstrap(share, [])


@given(st.integers(1, 200), st.data())
def test_pass_at_k_is_the_exact_fraction(n: int, data: st.DataObject) -> None:
    correct, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    # The product of Chen et al.'s code, in fractions.
    wrong = Fraction(1)
    for i in range(n - correct + 1, n + 1):
        wrong *= 1 - Fraction(k, i) if k <= i else 0
    expected = 1 - wrong if n - correct >= k else Fraction(1)
    assert stats.pass_at_k(n, correct, k) == float(expected)


def test_pass_at_k_by_hand_and_its_refusals() -> None:
    assert stats.pass_at_k(5, 2, 1) == pytest.approx(0.4)
    assert stats.pass_at_k(4, 1, 2) == pytest.approx(0.5)
    # Floating point would lose this one: 1 - (1 - 1e-5) keeps 11 digits of 16.
    assert stats.pass_at_k(100_000, 1, 1) == 1e-5
    found = stats.mean_pass_at_k([(4, 1), (4, 0), (4, 4), (4, 2)], 2)
    assert found.value == pytest.approx((0.5 + 0 + 1 + 5 / 6) / 4)
    assert found.stderr == pytest.approx(reference.sem([0.5, 0, 1, 5 / 6]))
    with pytest.raises(OlmesError, match="pass@8 needs 8 responses to each item and one has 4"):
        stats.pass_at_k(4, 1, 8)
    with pytest.raises(ValueError, match="5 right among 4"):
        stats.pass_at_k(4, 5, 1)


def estimate(right: int, n: int) -> stats.Estimate:
    return stats.mean([1.0] * right + [0.0] * (n - right))


def test_the_gap_is_newcombes() -> None:
    from statsmodels.stats.proportion import confint_proportions_2indep

    found = stats.generalization_gap(estimate(56, 70), estimate(48, 80))
    expected = confint_proportions_2indep(56, 70, 48, 80, method="newcomb")
    assert (found.ci_low, found.ci_high) == pytest.approx(expected)
    # Newcombe 1998, table II, example (a), method 10.
    assert (found.ci_low, found.ci_high) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert found.value == pytest.approx(0.2)


def test_the_mean_of_item_slopes_is_the_slope_of_the_means() -> None:
    draw = np.random.default_rng(2)
    steps, values = [0.0, 50.0, 200.0, 300.0], draw.normal(0, 1, (30, 4))
    found = stats.trend(steps, values.tolist())
    line = reference.linregress(steps, values.mean(axis=0))
    assert found.slope == pytest.approx(line.slope)
    slopes = [reference.linregress(steps, row).slope for row in values]
    expected = reference.ttest_1samp(slopes, 0)
    assert found.stderr == pytest.approx(reference.sem(slopes))
    assert found.p_value == pytest.approx(expected.pvalue)
    interval = expected.confidence_interval(0.95)
    assert (found.ci_low, found.ci_high) == pytest.approx((interval.low, interval.high), rel=1e-3)
    assert (found.n, found.checkpoints, found.source) == (30, 4, "items")


def test_pairing_narrows_a_slope() -> None:
    draw = np.random.default_rng(3)
    hard = draw.normal(0, 1, (200, 1))
    values = (hard + 0.01 * np.arange(5) + draw.normal(0, 0.1, (200, 5))).tolist()
    unpaired = np.std(values) / math.sqrt(200 * 10)
    assert stats.trend(range(5), values).stderr < unpaired / 5


def test_slope_of_scores_is_that_of_scipy() -> None:
    steps, scores = [1.0, 2.0, 4.0, 8.0, 9.0], [0.3, 0.35, 0.34, 0.42, 0.40]
    found, line = stats.trend_of_scores(steps, scores), reference.linregress(steps, scores)
    assert (found.slope, found.stderr) == pytest.approx((line.slope, line.stderr))
    assert found.p_value == pytest.approx(line.pvalue)
    half = reference.t.ppf(0.975, 3) * line.stderr
    assert found.ci_high == pytest.approx(line.slope + half, rel=1e-4)


def test_slopes_that_nothing_can_be_said_of() -> None:
    two = stats.trend_of_scores([0, 1], [0.3, 0.4])
    assert two.slope == pytest.approx(0.1)
    assert (two.stderr, two.ci_low) == (None, None)
    alike = stats.trend([0, 1], [[0.0, 1.0]] * 5)
    assert (alike.slope, alike.stderr, alike.ci_low) == (1.0, 0.0, None)
    line = stats.trend_of_scores([0, 1, 2, 7], [0.1, 0.2, 0.3, 0.8])
    assert (line.stderr, line.ci_low) == (0.0, None)
    with pytest.raises(ValueError, match="two different steps"):
        stats.trend([3, 3], [[0.0, 1.0]])


def test_the_covariance_of_checkpoints_has_their_paired_errors() -> None:
    draw = np.random.default_rng(5)
    values = draw.integers(0, 2, (60, 3)).astype(float)
    strata, clusters = [i % 3 for i in range(60)], [i // 2 for i in range(60)]
    options: dict[str, Any] = {"clusters": clusters, "strata": strata, "sizes": None}
    scores = paired_scores(values.tolist(), **options)
    difference = stats.compare(values[:, 0].tolist(), values[:, 2].tolist(), **options)
    contrast = np.array([-1.0, 0.0, 1.0])
    assert contrast @ scores.covariance @ contrast == pytest.approx(known(difference.stderr) ** 2)
    assert scores.means[2] - scores.means[0] == pytest.approx(difference.difference)


def test_the_interval_of_the_best_ends_above_the_score_as_measured() -> None:
    values = np.random.default_rng(7).integers(0, 2, (100, 5)).astype(float)
    found = stats.best_of(values.tolist())
    assert found.bias > 0.01
    assert found.stderr == pytest.approx(reference.sem(values[:, found.index]))
    assert found.corrected == pytest.approx(found.score - found.bias)
    assert found.ci_low == pytest.approx(stats.wilson(found.corrected, 100)[0])
    assert found.ci_high == pytest.approx(stats.wilson(found.score, 100)[1])
    assert stats.best_of(values.tolist()) == found
    worst = stats.best_of((1 - values).tolist(), higher_is_better=False)
    assert worst.ci_high == pytest.approx(1 - known(found.ci_low))
    assert worst.ci_low == pytest.approx(1 - known(found.ci_high))


def test_the_interval_of_the_best_of_numbers_keeps_its_distances() -> None:
    values = np.random.default_rng(7).normal(20, 5, (100, 5))
    found = stats.best_of(values.tolist())
    own = stats.mean(values[:, found.index].tolist())
    assert found.ci_high == own.ci_high
    assert found.corrected - known(found.ci_low) == pytest.approx(own.value - known(own.ci_low))


@pytest.mark.parametrize("right", [[30, 29, 28], [0, 0, 0], [30, 30, 30], [1, 0, 2]])
def test_the_best_of_shares_near_the_ends_stays_within_them(right: list[int]) -> None:
    values = [[float(item < count) for count in right] for item in range(30)]
    found = stats.best_of(values)
    score = max(right) / 30
    low, high = stats.wilson(score, 30)
    assert 0 <= known(found.ci_low) <= low
    assert found.ci_high == pytest.approx(high)
    assert 0 <= found.corrected <= found.score == score


def nested() -> dict[str, Any]:
    """A plain task of passages, and one that averages two sub-tasks."""
    strata = [stats.Part("plain", "")] * 40
    strata += [stats.Part("macro", "a")] * 20 + [stats.Part("macro", "b")] * 60
    clusters = [f"passage {i // 8}" if i < 40 else f"item {i}" for i in range(120)]
    return {"strata": strata, "clusters": clusters}


def test_with_one_checkpoint_the_best_is_the_mean_of_the_suite() -> None:
    draw, labels = np.random.default_rng(8), nested()
    values = draw.integers(0, 2, (120, 1)).astype(float)
    column = values[:, 0].tolist()
    best = stats.best_of(values.tolist(), **labels)
    plain = stats.mean(column[:40], labels["clusters"][:40])
    groups = {"a": stats.mean(column[40:60]), "b": stats.mean(column[60:])}
    macro = stats.macro(groups, stats.mean(column[40:]), is_share=True)
    mean = known(stats.suite_mean({"plain": plain, "macro": macro}))
    assert (best.score, best.stderr) == (mean.value, mean.stderr)
    assert (best.ci_low, best.ci_high) == (mean.ci_low, mean.ci_high)
    alone = stats.best_of(values[:40].tolist(), clusters=labels["clusters"][:40])
    assert (alone.ci_low, alone.ci_high) == (plain.ci_low, plain.ci_high)
    strata = [part.part for part in labels["strata"][40:]]
    task = stats.best_of(values[40:].tolist(), strata=strata)
    assert (task.stderr, task.ci_low) == (macro.stderr, macro.ci_low)


def test_sub_tasks_of_a_task_in_a_suite_weigh_a_part_of_it() -> None:
    draw, labels = np.random.default_rng(9), nested()
    values = draw.normal(0, 1, (120, 2))
    first, second = values.T.tolist()
    found = stats.compare(first, second, **labels)
    drops = (values[:, 1] - values[:, 0]).tolist()
    expected = np.mean([np.mean(drops[:40]), (np.mean(drops[40:60]) + np.mean(drops[60:])) / 2])
    assert found.difference == pytest.approx(expected)
    errors = [
        known(stats.mean(drops[:40], labels["clusters"][:40]).stderr) / 2,
        reference.sem(drops[40:60]) / 4,
        reference.sem(drops[60:]) / 4,
    ]
    assert found.stderr == pytest.approx(math.hypot(*errors))
    # All pairs, and the covariance of checkpoints, weigh alike.
    pair = stats.all_pairs(values.tolist(), **labels)[0, 1]
    assert pair.difference == pytest.approx(-found.difference)
    assert pair.stderr == pytest.approx(known(found.stderr))
    scores = paired_scores(values.tolist(), sizes=None, **labels)
    contrast = np.array([-1.0, 1.0])
    assert contrast @ scores.covariance @ contrast == pytest.approx(known(found.stderr) ** 2)


def test_best_of_one_and_of_one_item_is_not_corrected() -> None:
    one = stats.best_of([[1.0], [0.0], [1.0]])
    assert one.bias == 0.0
    assert one.corrected == pytest.approx(2 / 3)
    item = stats.best_of([[0.0, 1.0]])
    assert (item.index, item.stderr, item.ci_low) == (1, None, None)
    low = stats.best_of([[0.1, 0.3], [0.3, 0.2], [0.2, 0.9]], higher_is_better=False)
    assert low.index == 0
    assert low.corrected >= low.score
    assert known(low.ci_low) <= low.score <= low.corrected <= known(low.ci_high)


def row(subtask: str, doc: int, value: float, cluster: str = "") -> ResponseRow:
    made = response_row(
        subtask=subtask, doc_id=doc, doc_hash=f"{doc:08x}", values={"right": value}, cluster=cluster
    )
    if not cluster:
        del made["cluster"]
    return made


def estimated(rows: list[ResponseRow]) -> stats.Estimate | None:
    clusters = Clusters()
    sums = Sums(clusters)
    for each in rows:
        sums.add(clusters.number(each), parts_of(each, "right"), over_parts=False)
    return sums.estimated()


def test_rows_are_clustered_by_their_label_or_their_item() -> None:
    draw = random.Random(6)
    rows = [row("a", i // 2, float(draw.random() < 0.5), f"passage {i // 6}") for i in range(60)]
    values = [part for r in rows for part in parts_of(r, "right")]
    labelled = stats.mean(values, [i // 6 for i in range(60)])
    assert estimated(rows) == labelled
    for r in rows:
        r["cluster"] = ""
    assert estimated(rows) == stats.mean(values, [i // 2 for i in range(60)])
    # A label is told apart from an item's id, and by sub-task.
    assert cluster_of(row("a", 1, 1.0, "x")) != cluster_of(row("b", 1, 1.0, "x"))
    assert cluster_of(row("a", 1, 1.0, "1")) != cluster_of(row("a", 1, 1.0))


def test_a_gap_from_one_known_error_has_none() -> None:
    one = stats.mean([1.0])
    assert one.stderr is None
    assert stats.generalization_gap(estimate(5, 10), one).stderr is None
    assert stats.generalization_gap(one, estimate(5, 10)).stderr is None


def test_what_is_written_has_the_names_of_its_fields() -> None:
    paired = stats.compare([0, 1] * 20, [1, 1] * 20).to_json()
    assert {"difference", "verdict", "sentence", "detectable", "needed"} <= paired.keys()
    alarm = known(stats.regression_alarm([[0.0, 1.0], [1.0, 0.0]] * 5, ["a", "b"])).to_json()
    assert {"latest", "against_best", "against_previous", "raised", "sentence"} <= alarm.keys()
