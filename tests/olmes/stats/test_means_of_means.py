"""Macro averages and suite means: intervals of means of unlike members."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from olmes import stats
from olmes.stats.share_means import ShareOf, lower_end, upper_end
from olmes.stats.strata import satterthwaite
from tests.known import known


@cache
def counted(right: int, n: int) -> stats.Estimate:
    return stats.mean([1.0] * right + [0.0] * (n - right))


def ends(found: stats.Estimate | None) -> tuple[float, float]:
    assert found is not None
    return known(found.ci_low), known(found.ci_high)


def test_a_suite_mean_adds_the_tasks_variances() -> None:
    tasks = {"a": counted(30, 100), "b": counted(45, 50)}
    found = known(stats.suite_mean(tasks))
    assert found.value == pytest.approx(0.6)
    errors = [known(task.stderr) for task in tasks.values()]
    assert found.stderr == pytest.approx(math.hypot(*errors) / 2)
    assert found.n == 150
    half = 1.96 * known(found.stderr)
    assert ends(found) == pytest.approx((0.6 - half, 0.6 + half), abs=0.01)
    assert stats.suite_mean({}) is None
    one_item = known(stats.suite_mean({"a": tasks["a"], "b": counted(1, 1)}))
    assert one_item.stderr is None
    # One item that was right: the mean may be half of what it may be off.
    assert ends(one_item)[0] < 0.35


@pytest.mark.parametrize("right", [0, 1, 4, 8])
def test_a_mean_of_one_share_has_wilsons_interval(right: int) -> None:
    one = [ShareOf(right / 8, 1.0, 8.0)]
    assert (lower_end(one), upper_end(one)) == pytest.approx(stats.wilson(right / 8, 8), abs=1e-9)


def test_the_mean_of_one_task_is_the_task() -> None:
    """Five passages of twenty, all right; 30 items of 8 responses; ten items: findings of a review."""
    passages = stats.mean([1.0] * 100, [i // 20 for i in range(100)])
    repeats = stats.ratio([8.0] * 30, [8.0] * 30, is_share=True)
    for task in (passages, repeats, counted(7, 10), stats.mean([3.0, 9.5, 2.0])):
        assert stats.suite_mean({"only": task}) == task
        assert stats.macro({"only": task}, task, is_share=task.value <= 1) == task


def test_a_member_without_spread_is_not_certain() -> None:
    """0 of 30 beside 360 of 400: the small one alone may move the mean by 5.7 points."""
    tasks = {"small": counted(0, 30), "large": counted(360, 400)}
    low, high = ends(stats.suite_mean(tasks))
    assert high - 0.45 > known(tasks["small"].ci_high) / 2 * 0.99
    assert 0.45 - low < 0.02
    macro = stats.macro(tasks, counted(360, 430), is_share=True)
    assert ends(macro) == pytest.approx((low, high), abs=1e-6)


def test_all_right_everywhere_is_as_sure_as_all_items() -> None:
    tasks = {str(place): counted(20, 20) for place in range(5)}
    assert ends(stats.suite_mean(tasks)) == pytest.approx(stats.wilson(1.0, 100), abs=0.002)


def test_means_of_numbers_square_and_add() -> None:
    draw = np.random.default_rng(1)
    tasks = {name: stats.mean(draw.normal(50, 9, 40).tolist()) for name in "ab"}
    found = known(stats.suite_mean(tasks))
    below = math.hypot(*(task.value - known(task.ci_low) for task in tasks.values())) / 2
    assert found.value - known(found.ci_low) == pytest.approx(below)
    unknown = tasks | {"c": stats.mean([12.0])}
    assert known(stats.suite_mean(unknown)).ci_low is None
    # Losses between 0 and 1 are no shares where the caller says so.
    losses = {name: stats.mean(draw.normal(0.5, 0.1, 40).tolist()) for name in "ab"}
    said = known(stats.suite_mean(losses, is_share=False))
    distance = math.hypot(*(known(task.ci_high) - task.value for task in losses.values())) / 2
    assert known(said.ci_high) - said.value == pytest.approx(distance)


def test_a_macro_average_of_numbers_has_satterthwaites_freedom() -> None:
    draw = np.random.default_rng(2)
    rows = [draw.normal(5, spread, n).tolist() for spread, n in ((1, 4), (3, 12))]
    groups = {str(place): stats.mean(row) for place, row in enumerate(rows)}
    found = stats.macro(groups, stats.mean([*rows[0], *rows[1]]), is_share=False)
    variances = [known(group.stderr) ** 2 for group in groups.values()]
    expected = sum(variances) ** 2 / (variances[0] ** 2 / 3 + variances[1] ** 2 / 11)
    assert satterthwaite(variances, [3, 11]) == pytest.approx(expected)
    half = stats.t95(expected) * known(found.stderr)
    assert ends(found) == pytest.approx((found.value - half, found.value + half))


def test_passages_that_agree_in_few_sub_tasks_make_the_average_less_sure() -> None:
    def average(clusters: int, size: int) -> float:
        labels = [i // size for i in range(clusters * size)]
        values = [float(label % 2) for label in labels]
        groups = {name: stats.mean(values, labels) for name in "abc"}
        low, high = ends(stats.macro(groups, groups["a"], is_share=True))
        return high - low

    # Each passage is worth one item, and their spread is estimated from 3 or 300 of them.
    assert average(2, 10) > 1.3 * average(6, 1)
    assert average(100, 10) == pytest.approx(average(100, 1), rel=0.02)


def test_a_passage_alone_in_its_sub_task_borrows_the_others_design_effect() -> None:
    two = stats.mean([1.0] * 10 + [0.0] * 10, [0] * 10 + [1] * 10)
    lone = stats.mean([1.0] * 6 + [0.0] * 4, [0] * 10)
    assert lone.stderr is None
    found = stats.macro({"a": two, "b": two, "c": lone}, replace(two, n=50), is_share=True)
    low, high = ends(found)
    assert high - low > 0.5


def suite_coverage(sizes: list[int], shares: list[float], draws: int, *, macro: bool) -> float:
    draw = np.random.default_rng(len(sizes))
    rights = np.stack([draw.binomial(n, p, draws) for n, p in zip(sizes, shares, strict=True)])
    truth, held = float(np.mean(shares)), 0

    @cache
    def interval(rights: tuple[int, ...]) -> tuple[float, float]:
        groups = {str(i): counted(r, n) for i, (r, n) in enumerate(zip(rights, sizes, strict=True))}
        pooled = counted(sum(rights), sum(sizes))
        mean = stats.macro(groups, pooled, is_share=True) if macro else stats.suite_mean(groups)
        return ends(mean)

    for row in rights.T.tolist():
        low, high = interval(tuple(row))
        held += low <= truth <= high
    print(f"mean of {sizes} at {shares}: {100 * held / draws:.1f} %")
    return held / draws


UNEQUAL = [
    ([1319, 30], [0.9, 0.03]),
    ([1319, 15], [0.9, 0.1]),
    ([2000, 2000, 30], [0.5, 0.5, 0.02]),
    ([500, 20], [0.9, 0.03]),
    ([10, 10, 10], [0.95, 0.05, 0.5]),
    ([3] * 7, [0.2, 0.5, 0.8, 0.9, 0.4, 0.6, 0.7]),
    ([1000, 300, 200, 500], [0.7, 0.45, 0.9, 0.2]),
]


@pytest.mark.parametrize(("sizes", "shares"), UNEQUAL)
@pytest.mark.parametrize("macro", [True, False], ids=["macro", "suite"])
def test_means_of_unequal_members_hold(sizes: list[int], shares: list[float], macro: bool) -> None:
    # 3,000 draws: two standard errors are 0.8 points.
    assert 0.935 <= suite_coverage(sizes, shares, 3_000, macro=macro) <= 0.98


CERTAIN = [([1319, 30], [0.0, 0.02]), ([50, 50], [0.0, 0.0]), ([30] * 4, [1.0, 1.0, 1.0, 0.97])]


@pytest.mark.parametrize(("sizes", "shares"), CERTAIN)
def test_means_at_the_ends_hold(sizes: list[int], shares: list[float]) -> None:
    """At 0 and 1 too wide; 120 items of which one in 133 is wrong move in steps, as Wilson's do."""
    assert suite_coverage(sizes, shares, 3_000, macro=False) >= 0.92


MANY = [
    ([1 + i * 99 // 55 for i in range(56)], [0.02 + 0.96 * i / 55 for i in range(56)]),
    ([5] * 56, [0.02] * 56),
    ([1] * 28 + [100] * 28, [0.5] * 56),
    ([2] * 56, [0.5] * 56),
]


@pytest.mark.slow
@pytest.mark.parametrize(("sizes", "shares"), MANY, ids=["1 to 100", "of 5", "1 and 100", "of 2"])
def test_macro_averages_of_many_small_members_hold(sizes: list[int], shares: list[float]) -> None:
    assert 0.93 <= suite_coverage(sizes, shares, 1_000, macro=True) <= 0.985


FEW_PASSAGES = [
    ([2, 2, 2], 10, [0.5, 0.5, 0.5]),
    ([3, 3, 3], 5, [0.5, 0.5, 0.5]),
    ([3] * 7, 5, [0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95]),
    ([3, 100], 5, [0.5, 0.9]),
    ([1, 2, 3], 10, [0.6, 0.6, 0.6]),
]


@pytest.mark.parametrize(("passages", "size", "shares"), FEW_PASSAGES)
def test_macro_averages_of_few_passages_hold(
    passages: list[int], size: int, shares: list[float]
) -> None:
    draw, held, alike = np.random.default_rng(9), 0, 0.1
    truth = float(np.mean(shares))
    for _ in range(1_000):
        totals = [
            draw.binomial(size, draw.beta(p * (1 / alike - 1), (1 - p) * (1 / alike - 1), count))
            for p, count in zip(shares, passages, strict=True)
        ]
        rows = [row.astype(float).tolist() for row in totals]
        groups = {
            str(place): stats.ratio(row, [float(size)] * len(row), is_share=True)
            for place, row in enumerate(rows)
        }
        whole = [total for row in rows for total in row]
        pooled = stats.ratio(whole, [float(size)] * len(whole), is_share=True)
        low, high = ends(stats.macro(groups, pooled, is_share=True))
        held += low <= truth <= high
    print(f"macro of {passages} passages of {size} at {shares}: {held / 10:.1f} %")
    assert 0.93 <= held / 1_000 <= 0.99
