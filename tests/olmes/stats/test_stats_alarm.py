"""The one rule for "it has fallen": its level over whole trainings, its power, and what it must not do.

`docs/statistics.md` has the numbers that the slow tests print (`pytest -s`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest

from olmes import stats
from olmes.stats import Estimate
from olmes.stats.unpaired import unpaired_p
from tests.known import known
from tests.olmes.stats.trainings import (
    answers,
    best_before,
    of_the_mean,
    one_sided,
    rings,
    unpaired_rings,
)


def alike(draw: np.random.Generator, k: int, n: int, tasks: int, **kinds: float) -> np.ndarray:
    """A training in which nothing happens: items of all tasks, one task after the other."""
    score = kinds.pop("score", 0.5)
    return np.concatenate([answers(draw, np.full(k, score), n, **kinds) for _ in range(tasks)])


def false_alarms(
    trainings: int,
    k: int,
    n: int,
    kinds: Mapping[str, float],
    *,
    tasks: int = 1,
    planned: bool = False,
) -> float:
    """Share of trainings without any change in which some series rings at some look."""
    draw = np.random.default_rng(k * n + tasks)
    count = sum(
        rings(alike(draw, k, n, tasks, **kinds), tasks=tasks, planned=k if planned else None)
        for _ in range(trainings)
    )
    print(f"k {k}, n {n}, {tasks} tasks, {kinds}, planned {planned}: {count / trainings:.1%}")
    return count / trainings


def test_the_drawn_trainings_go_by_the_rule_itself() -> None:
    """Else the level below would be that of another rule."""
    draw = np.random.default_rng(3)
    found = answers(draw, np.linspace(0.6, 0.4, 6), 80, correlation=0.3)
    at = best_before(found.mean(axis=0))
    p_values = one_sided(found[:, at], found[:, 1:])
    names = [str(place) for place in range(6)]
    for k in range(2, 7):
        alarm = known(stats.regression_alarm(found[:, :k].tolist(), names[:k]))
        assert alarm.against_best.since == str(at[k - 2])
        assert alarm.against_best.p_value == pytest.approx(p_values[k - 2])
    # The mean of tasks of different sizes has Student's t; here of the same size, to be drawn at once.
    both = np.concatenate([found, answers(draw, np.linspace(0.6, 0.5, 6), 80)])
    strata = ["a"] * 80 + ["b"] * 80
    uneven = [1.000001] + [1.0] * 159  # items that weigh alike would have McNemar's test
    wanted = known(
        stats.regression_alarm(both[:, [0, 5]].tolist(), ["a", "b"], strata=strata, sizes=uneven)
    )
    found = of_the_mean(both[:, :1], both[:, -1:], 2)
    assert found[0] == pytest.approx(wanted.fall.p_value, rel=1e-3)


@pytest.mark.parametrize(
    ("k", "kinds"), [(10, {}), (30, {"correlation": 0.3}), (10, {"neighbours": 0.9})]
)
def test_an_alarm_seldom_rings_for_nothing(k: int, kinds: dict[str, float]) -> None:
    assert false_alarms(400, k, 200, kinds) < 0.05


CELLS = [
    {"n": n, "correlation": correlation, "neighbours": neighbours, "score": score, "tasks": tasks}
    for n, correlation, neighbours, score, tasks in [
        (50, 0.0, 0.0, 0.5, 1),
        (541, 0.0, 0.0, 0.5, 1),
        (541, 0.3, 0.0, 0.5, 1),
        (541, 0.62, 0.0, 0.5, 1),
        (541, 0.9, 0.0, 0.5, 1),
        (541, 0.3, 0.9, 0.5, 1),
        (1319, 0.3, 0.0, 0.9, 1),
        (200, 0.3, 0.0, 0.5, 3),
        (100, 0.3, 0.5, 0.5, 11),
    ]
]


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS, ids=str)
@pytest.mark.parametrize("k", [5, 10, 30, 100])
def test_it_holds_its_level(k: int, cell: dict[str, float]) -> None:
    kinds = dict(cell)
    n, tasks = int(kinds.pop("n")), int(kinds.pop("tasks"))
    # Two standard errors of 1,000 trainings are 1.3 points at 4 %.
    assert false_alarms(200 if tasks * k > 300 else 1_000, k, n, kinds, tasks=tasks) < 0.06


@pytest.mark.slow
@pytest.mark.parametrize("k", [5, 10, 30, 100])
def test_it_holds_its_level_where_the_number_of_checkpoints_is_known(k: int) -> None:
    assert false_alarms(1_000, k, 541, {"correlation": 0.3}, planned=True) < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("k", [5, 10, 30, 100])
def test_it_holds_its_level_without_samples(k: int) -> None:
    draw = np.random.default_rng(k)
    for n, score, correlation in ((50, 0.5, 0.0), (50, 0.9, 0.0), (541, 0.5, 0.0), (541, 0.5, 0.6)):
        rung = [
            unpaired_rings(alike(draw, k, n, 1, score=score, correlation=correlation))
            for _ in range(1_000)
        ]
        print(f"unpaired, k {k}, n {n}, {score}, correlation {correlation}: {np.mean(rung):.1%}")
        assert np.mean(rung) < 0.06


@pytest.mark.slow
@pytest.mark.parametrize("k", [10, 30])
def test_its_power(k: int) -> None:
    """A fall of 5 points at the last of k checkpoints, 541 items, as alike as those of one training."""
    draw = np.random.default_rng(k)
    chances = np.full(k, 0.75)
    chances[-1] = 0.70
    found = [answers(draw, chances, 541, correlation=0.62) for _ in range(1_000)]
    last = slice(k - 2, None)
    unknown = np.mean([rings(one, looks=last) for one in found])
    known_ = np.mean([rings(one, planned=k, looks=last) for one in found])
    print(f"a fall of 5 points at k {k}: {unknown:.0%}; number known before: {known_:.0%}")
    assert known_ > unknown > {10: 0.3, 30: 0.15}[k]


def fallen(seed: int = 23) -> np.ndarray:
    return answers(np.random.default_rng(seed), np.array([0.5, 0.6, 0.6, 0.6, 0.35]), 500)


STEPS = ["100", "200", "300", "400", "500"]


def test_an_alarm_rings_for_a_fall() -> None:
    alarm = known(stats.regression_alarm(fallen().tolist(), STEPS))
    assert alarm.raised
    assert alarm.latest == "500"
    assert alarm.fall.since in {"200", "300", "400"}
    assert alarm.sentence.startswith(
        f"500 has fallen below the best earlier checkpoint ({alarm.against_best.since}): -"
    )
    assert alarm.to_json()["raised"] is True


def test_every_series_beside_it_costs_and_a_known_end_saves() -> None:
    values = fallen().tolist()
    p_values = [
        known(stats.regression_alarm(values, STEPS, series=series, planned=planned)).fall
        for series, planned in ((1, None), (12, None), (1, 5), (1, 3))
    ]
    plain = p_values[0].p_value
    times = [fall.p_adjusted / plain for fall in p_values]
    assert times == pytest.approx([25 * (1 + math.log(5)), 12 * 25 * (1 + math.log(5)), 10, 10])


def test_an_alarm_knows_which_way_is_better() -> None:
    losses = [[0.2, 0.9 + 0.001 * i] for i in range(30)]
    assert known(stats.regression_alarm(losses, ["a", "b"], higher_is_better=False)).raised
    three = [[0.5, 0.2 + 0.001 * i, 0.9] for i in range(30)]
    names = ["a", "b", "c"]
    down = known(stats.regression_alarm(three, names, higher_is_better=False))
    assert down.against_best.since == "b"
    assert known(stats.regression_alarm(three, names)).against_best.since == "a"
    assert not known(stats.regression_alarm(losses, ["a", "b"])).raised


def test_the_one_before_may_ring_alone() -> None:
    """The best earlier one differs on other items so much that only the one before shows the fall."""
    noisy = [[float(i % 2), 1.0 - i % 2] for i in range(400)]
    before = [[0.49 + 0.01 * (i % 3 == 0)] for i in range(400)]
    values = [[one[0] + 0.02, *at, at[0] - 0.03] for one, at in zip(noisy, before, strict=True)]
    alarm = known(stats.regression_alarm(values, ["a", "b", "c"], is_share=False))
    assert not alarm.against_best.shown
    assert alarm.raised
    assert alarm.fall.since == "b"
    assert alarm.sentence.startswith("c has fallen below the one before it (b)")


def test_no_alarm_from_one_checkpoint_or_one_that_gains() -> None:
    assert stats.regression_alarm([[1.0], [0.0]], ["a"]) is None
    assert stats.unpaired_alarm([stats.mean([1.0])], ["a"], is_share=True) is None
    values = answers(np.random.default_rng(24), np.array([0.3, 0.5]), 200).tolist()
    alarm = known(stats.regression_alarm(values, ["a", "b"]))
    assert not alarm.raised
    assert "no fall is shown" in alarm.sentence
    with pytest.raises(ValueError, match="2 names for 4 checkpoints"):
        stats.regression_alarm([[0.0] * 4] * 3, ["a", "b"])


def test_a_fall_within_the_margin_is_none() -> None:
    """Half a point on 40,000 items is beyond chance, and does not matter."""
    values = [[1.0, 0.0 if i < 200 else 1.0] for i in range(40_000)]
    alarm = known(stats.regression_alarm(values, ["a", "b"]))
    assert alarm.fall.p_adjusted < 1e-6
    assert not alarm.raised
    assert known(stats.regression_alarm(values, ["a", "b"], margin=0.001)).raised


@pytest.mark.parametrize("right", [1, 2, 3])
def test_an_error_that_is_unknown_or_zero_is_no_certainty(right: int) -> None:
    """All right, then all wrong, on one to three items: their errors are None or 0."""
    alarm = known(stats.regression_alarm([[1.0, 0.0]] * right, ["a", "b"]))
    assert not alarm.raised
    scores = [stats.mean([1.0] * right), stats.mean([0.0] * right)]
    assert not known(stats.unpaired_alarm(scores, ["a", "b"], is_share=True)).raised


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Estimate(0.9, None, None, None, 1), Estimate(0.1, 0.01, 0.08, 0.12, 900)),
        (Estimate(0.9, 0.0, 0.9, 0.9, 900), Estimate(0.1, 0.0, 0.1, 0.1, 900)),
        (Estimate(0.9, 0.01, 0.88, 0.92, 900), Estimate(0.1, None, None, None, 900)),
    ],
)
@pytest.mark.parametrize("is_share", [True, False])
def test_nor_is_it_without_samples(before: Estimate, after: Estimate, is_share: bool) -> None:
    alarm = known(stats.unpaired_alarm([before, after], ["a", "b"], is_share=is_share))
    assert alarm.fall.p_value == 1
    assert not alarm.raised


def test_thirty_right_then_none_is_a_fall_without_samples_too() -> None:
    scores = [stats.mean([1.0] * 30), stats.mean([0.0] * 30)]
    alarm = known(stats.unpaired_alarm(scores, ["a", "b"], is_share=True))
    assert alarm.raised
    assert "not paired" in alarm.sentence
    wrong = known(stats.unpaired_alarm(scores, ["a", "b"], is_share=True, higher_is_better=False))
    assert not wrong.raised
    up = scores[::-1]
    assert known(stats.unpaired_alarm(up, ["a", "b"], is_share=True, higher_is_better=False)).raised


def test_two_shares_are_held_against_each_other_at_what_their_intervals_are_worth() -> None:
    """60 and 45 of 100: the score test at Wilson's n, which is 100."""
    from scipy.special import stdtr

    a, b = stats.mean([1.0] * 60 + [0.0] * 40), stats.mean([1.0] * 45 + [0.0] * 55)
    z = 0.15 / math.sqrt(0.525 * 0.475 * 2 / 100)
    assert unpaired_p(a, b, is_share=True) == pytest.approx(float(stdtr(198, -z)))


def test_two_numbers_are_held_against_each_other_by_welchs_t() -> None:
    from scipy.stats import ttest_ind

    a, b = [3.0, 5.0, 4.0, 8.0, 6.0], [2.0, 2.5, 1.0, 4.0, 3.0, 2.0]
    wanted = ttest_ind(a, b, equal_var=False, alternative="greater").pvalue
    found = unpaired_p(stats.mean(a), stats.mean(b), is_share=False)
    assert found == pytest.approx(wanted, rel=1e-3)
    less = unpaired_p(stats.mean(a), stats.mean(b), is_share=False, higher_is_better=False)
    assert less == pytest.approx(1 - wanted, rel=1e-3)


def test_a_hundred_checkpoints_take_no_minute() -> None:
    import time

    values = answers(np.random.default_rng(1), np.full(100, 0.5), 1319).tolist()
    clusters = [str(item // 3) for item in range(1319)]
    began = time.process_time()
    stats.regression_alarm(values, [str(k) for k in range(100)], clusters=clusters)
    assert time.process_time() - began < 2


@pytest.mark.parametrize("higher", [True, False])
def test_an_interval_that_was_cut_off_at_the_end_is_no_certainty(*, higher: bool) -> None:
    """Intervals that are not Wilson's can be: they do not say how many items they are worth."""
    before, after = stats.Estimate(0.02, 0.02, 0.0, 0.06, 500), stats.mean([0.0] * 495 + [1.0] * 5)
    if not higher:
        before = stats.Estimate(0.98, 0.02, 0.94, 1.0, 500)
        after = stats.mean([1.0] * 495 + [0.0] * 5)
    assert unpaired_p(before, after, is_share=True, higher_is_better=higher) == 1.0
