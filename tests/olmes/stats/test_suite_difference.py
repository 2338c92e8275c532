"""The difference of two suite means: its interval, its p-value, and its verdict."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats as reference

from olmes import stats
from olmes.tools.as_json import as_json
from tests.known import known


def task(wins: int, losses: int, n: int, *, higher: bool = True) -> stats.PairedDifference:
    rest = n - wins - losses
    baseline = [0] * wins + [1] * losses + [1] * rest
    candidate = [1] * wins + [0] * losses + [1] * rest
    return stats.compare(baseline, candidate, higher_is_better=higher)


def test_it_adds_the_tasks_errors() -> None:
    tasks = {"a": task(12, 20, 100), "b": task(20, 0, 50)}
    found = known(stats.suite_difference(tasks))
    errors = [known(one.stderr) for one in tasks.values()]
    assert found.value == pytest.approx((-0.08 + 0.4) / 2)
    assert found.stderr == pytest.approx(math.hypot(*errors) / 2)
    assert found.tasks == 2
    # Many items: as good as squaring and adding the distances to the ends as they are.
    below = math.hypot(*(one.difference - known(one.ci_low) for one in tasks.values())) / 2
    above = math.hypot(*(known(one.ci_high) - one.difference for one in tasks.values())) / 2
    assert found.ci_low == pytest.approx(found.value - below, abs=0.002)
    assert found.ci_high == pytest.approx(found.value + above, abs=0.002)


def test_of_normal_differences_it_is_welchs_test() -> None:
    draw = np.random.default_rng(1)
    a, b = draw.normal(0.4, 1, 6), draw.normal(0.2, 3, 9)
    tasks = {
        name: stats.compare([0.0] * len(values), values.tolist(), test="t")
        for name, values in (("a", a), ("b", b))
    }
    found = known(stats.suite_difference(tasks))
    # The mean of two is half of a less -b.
    expected = reference.ttest_ind(a, -b, equal_var=False)
    interval = expected.confidence_interval()
    assert found.p_value == pytest.approx(expected.pvalue, rel=2e-4)
    assert found.df == pytest.approx(expected.df, rel=1e-3)
    assert found.ci_low == pytest.approx(interval.low / 2, abs=1e-3)
    assert found.ci_high == pytest.approx(interval.high / 2, abs=1e-3)


@pytest.mark.parametrize(("wins", "losses", "n"), [(12, 2, 40), (0, 0, 1000), (3, 4, 9), (1, 0, 1)])
def test_the_mean_of_one_task_is_the_task(wins: int, losses: int, n: int) -> None:
    one = task(wins, losses, n)
    found = known(stats.suite_difference({"a": one}))
    assert (found.value, found.stderr, found.p_value) == (one.difference, one.stderr, one.p_value)
    assert (found.ci_low, found.ci_high, found.verdict) == (one.ci_low, one.ci_high, one.verdict)


def verdict(*tasks: stats.PairedDifference, margin: float | None = None) -> str:
    named = {str(place): one for place, one in enumerate(tasks)}
    return known(stats.suite_difference(named, margin=margin)).verdict


def test_verdicts() -> None:
    assert verdict(task(60, 20, 500), task(50, 30, 500)) == "better"
    assert verdict(task(20, 60, 500), task(30, 50, 500)) == "worse"
    lower = task(20, 60, 500, higher=False), task(30, 50, 500, higher=False)
    assert verdict(*lower) == "better"
    assert verdict(task(25, 20, 500), task(20, 25, 500)) == "not enough data"
    assert verdict(task(10, 10, 5000), task(12, 9, 5000)) == "tied"
    assert verdict(task(25, 20, 500), task(20, 25, 500), margin=0.05) == "tied"
    # Neither task alone shows it; the mean does.
    each = task(22, 10, 200)
    assert each.verdict == "not enough data"
    assert verdict(each, each, each) == "better"
    # A task of one item has no interval, so the mean has no verdict.
    assert verdict(task(60, 20, 500), task(1, 0, 1)) == "not enough data"


def test_tasks_with_nothing_in_common_have_no_mean() -> None:
    assert stats.suite_difference({}) is None
    mixed = {"a": task(12, 2, 40), "b": task(12, 2, 40, higher=False)}
    assert stats.suite_difference(mixed) is None
    lengths = stats.compare([10.0, 20.0, 35.0], [11.0, 22.0, 30.0])
    assert stats.suite_difference({"a": task(12, 2, 40), "b": lengths}) is None


def test_it_says_itself_in_a_sentence_and_as_json() -> None:
    tasks = {"a": task(60, 20, 500), "b": replace(task(50, 30, 500), margin=0.02)}
    found = known(stats.suite_difference(tasks))
    assert found.margin == 0.01
    assert found.sentence.startswith("Better: +6.00 points (95 % interval +")
    assert found.sentence.endswith("p < 0.001, mean of 2 tasks).")
    written = json.loads(json.dumps(as_json(found)))
    assert written["verdict"] == "better"
    assert {"value", "ci_low", "df", "p_value", "tasks", "sentence"} <= written.keys()


def test_means_of_tasks_that_do_not_differ_are_seldom_found_to() -> None:
    """Tasks of 30 and 300 items with few discordant pairs: type-I error and coverage."""
    draw = np.random.default_rng(2)
    counts = [draw.multinomial(n, [rate, rate, 1 - 2 * rate], 4_000) for n, rate in SMALL_AND_LARGE]
    made: dict[tuple[int, int, int], stats.PairedDifference] = {}
    held, found = 0, 0
    for rows in zip(*(each.tolist() for each in counts), strict=True):
        tasks = {}
        for (wins, losses, _), (n, _) in zip(rows, SMALL_AND_LARGE, strict=True):
            key = (wins, losses, n)
            if key not in made:
                made[key] = task(*key)
            tasks[str(n)] = made[key]
        mean = known(stats.suite_difference(tasks))
        held += known(mean.ci_low) <= 0 <= known(mean.ci_high)
        found += mean.verdict in ("better", "worse")
    # 99.6 %: with one discordant pair in 30 items the guard of two more makes it wide.
    assert held / 4_000 >= 0.95
    assert found / 4_000 < 0.05


SMALL_AND_LARGE = ((30, 0.03), (300, 0.10))
