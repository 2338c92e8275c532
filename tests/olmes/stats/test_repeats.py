"""Several responses an item: held against every subset written out, and against published numbers."""

from __future__ import annotations

import itertools
import statistics
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from olmes import OlmesError, stats

VALUES = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0, 3.0]), min_size=1, max_size=8)
RIGHT = st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=9)
VOTES = st.lists(
    st.tuples(st.sampled_from([None, "a", "b", "c", "d"]), st.sampled_from([0.0, 0.5, 1.0])),
    min_size=1,
    max_size=8,
)
AIRLINE = {0: 14, 1: 12, 2: 10, 3: 4, 4: 10}
"""Tau-bench, gpt-4o, airline, 4 trials: tasks by how many trials succeeded. The published pass^1 to
pass^4 of 50 tasks (.420 .273 .220 .200) are four equations for these numbers: this one solves them."""


@given(VALUES)
def test_the_best_and_the_worst_are_the_mean_over_every_subset(values: list[float]) -> None:
    for k in range(1, len(values) + 1):
        for higher in (True, False):
            best, worst = (max, min) if higher else (min, max)
            subsets = list(itertools.combinations(values, k))
            assert stats.best_of_k(values, k, higher_is_better=higher) == pytest.approx(
                statistics.fmean(map(best, subsets))
            )
            assert stats.worst_of_k(values, k, higher_is_better=higher) == pytest.approx(
                statistics.fmean(map(worst, subsets))
            )


@given(RIGHT)
def test_of_right_and_wrong_they_are_pass_at_k_and_pass_hat_k(values: list[float]) -> None:
    n, right = len(values), round(sum(values))
    for k in range(1, n + 1):
        subsets = list(itertools.combinations(values, k))
        some = Fraction(sum(any(subset) for subset in subsets), len(subsets))
        every = Fraction(sum(all(subset) for subset in subsets), len(subsets))
        assert stats.pass_at_k(n, right, k) == stats.best_of_k(values, k) == float(some)
        assert stats.pass_hat_k(n, right, k) == stats.worst_of_k(values, k) == float(every)


def majority_by_hand(votes: Sequence[tuple[str | None, float]], k: int) -> float:
    """Every subset; of equally common answers the mean of what they are worth."""
    worth = {
        answer: statistics.fmean(value for other, value in votes if other == answer)
        for answer, _ in votes
    }
    found = []
    for subset in itertools.combinations(votes, k):
        counted = Counter(answer for answer, _ in subset if answer is not None)
        most = max(counted.values(), default=0)
        winners: list[str | None] = [one for one in counted if counted[one] == most] or [None]
        found.append(statistics.fmean(worth[answer] for answer in winners))
    return statistics.fmean(found)


@settings(deadline=None)
@given(VOTES)
def test_the_majority_is_the_mean_over_every_subset(votes: list[tuple[str | None, float]]) -> None:
    found = stats.majority_at_k(votes)
    assert found == pytest.approx([majority_by_hand(votes, k) for k in range(1, len(votes) + 1)])


def test_the_majority_of_many_by_what_must_hold() -> None:
    # 64 answers of which none is like another: every one has the same chance, at every k.
    alone = [(str(number), float(number == 0)) for number in range(64)]
    assert stats.majority_at_k(alone) == pytest.approx([1 / 64] * 64)
    # 128 responses, two answers: the right one wins where more than half of k are right.
    two = [("right", 1.0)] * 70 + [("wrong", 0.0)] * 58
    found = stats.majority_at_k(two)
    for k in (1, 2, 31, 64, 128):
        ways = {taken: comb(70, taken) * comb(58, k - taken) for taken in range(k + 1)}
        won = sum(count for taken, count in ways.items() if 2 * taken > k)
        tied = sum(count for taken, count in ways.items() if 2 * taken == k)
        assert found[k - 1] == pytest.approx(float(Fraction(2 * won + tied, 2 * comb(128, k))))
    assert stats.majority_at_k([(None, 0.0)] * 5) == pytest.approx([0.0] * 5)


def test_pass_hat_k_of_tau_bench_is_as_published() -> None:
    successes = [right for right, tasks in AIRLINE.items() for _ in range(tasks)]
    assert len(successes) == 50
    found = [
        round(statistics.fmean(stats.pass_hat_k(4, right, k) for right in successes), 3)
        for k in (1, 2, 3, 4)
    ]
    assert found == [0.420, 0.273, 0.220, 0.200]


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(OlmesError, match=r"pass\^8 needs 8 responses to each item and one has 4"):
        stats.pass_hat_k(4, 1, 8)
    with pytest.raises(OlmesError, match="best@3 needs 3 responses"):
        stats.best_of_k([0.5, 0.2], 3)
    with pytest.raises(ValueError, match="5 right among 4"):
        stats.pass_hat_k(4, 5, 1)
    with pytest.raises(ValueError, match="1 to 256 responses, not of 0"):
        stats.majority_at_k([])


def test_the_noise_from_run_to_run() -> None:
    assert stats.run_to_run([0.5, 0.7, 0.6]) == pytest.approx(statistics.stdev([0.5, 0.7, 0.6]))
    assert stats.run_to_run([0.5, None, 0.6]) == pytest.approx(statistics.stdev([0.5, 0.6]))
    assert stats.run_to_run([0.5]) is None
    assert stats.run_to_run([]) is None
