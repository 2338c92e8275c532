"""From ratings to pairs: the best against a worse one, and what has no pair."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import pytest

from olmes.synthesis.preferences.binarised import Pair, binarised
from olmes.synthesis.preferences.panel import Answer, Judged, Sheet
from olmes.synthesis.preferences.ratings import Rating

ASPECTS = ("instruction-following", "helpfulness", "honesty", "truthfulness")


def judged(*by_judge: list[list[Rating]], name: str = "p") -> Judged:
    """A prompt from a table a judge: a row an aspect, a rating a text."""
    sheets = [
        Sheet(f"j{at}", aspect, tuple(range(len(row))), 0, tuple(row))
        for at, table in enumerate(by_judge)
        for aspect, row in zip(ASPECTS, table, strict=False)
    ]
    count = len(by_judge[0][0])
    answers = tuple(Answer(f"text {at}", (f"m{at}",)) for at in range(count))
    return Judged(name, ({"role": "user", "content": "?"},), answers, tuple(sheets))


def test_the_highest_mean_is_chosen_and_any_lower_one_rejected() -> None:
    table: list[list[Rating]] = [[5, 3, 1, 4], [4, 3, 1, 4], [5, 3, 1, 4], [4, 3, 1, 4]]
    rejected = Counter[int]()
    for seed in range(600):
        pair = binarised(judged(table), seed)
        assert isinstance(pair, Pair)
        assert pair.chosen == 0
        assert pair.chosen_score == Fraction(9, 2)
        assert pair.chosen_score > pair.rejected_score
        rejected[pair.rejected] += 1
    assert set(rejected) == {1, 2, 3}
    # Drawn among all that are lower, not the worst: 200 each, give or take.
    assert all(150 < count < 250 for count in rejected.values())


def test_ties_for_the_best_are_drawn_and_neither_is_rejected() -> None:
    chosen = Counter[int]()
    for seed in range(400):
        pair = binarised(judged([[4, 4, 2]]), seed)
        assert isinstance(pair, Pair)
        assert pair.rejected == 2
        chosen[pair.chosen] += 1
    assert set(chosen) == {0, 1}
    assert all(count > 150 for count in chosen.values())
    assert binarised(judged([[4, 4, 2]]), 7) == binarised(judged([[4, 4, 2]]), 7)


def test_means_that_are_equal_are_equal_whatever_they_are_made_of() -> None:
    # 1/3 + ...: as floating point numbers these sums would differ in their last bits.
    table: list[list[Rating]] = [[1, 5, 2], [5, 4, 2], [4, 1, 2]]
    assert binarised(judged([row[:2] for row in table]), 0) == "tied"
    pair = binarised(judged(table), 0)
    assert isinstance(pair, Pair)
    assert pair.rejected == 2


def test_not_applicable_is_left_out_of_the_mean() -> None:
    pair = binarised(judged([[5, 4], [4, 4], ["N/A", "N/A"], [3, 3]]), 0)
    assert isinstance(pair, Pair)
    assert (pair.chosen_score, pair.rejected_score) == (Fraction(4), Fraction(11, 3))
    one_sided = judged([[5, 4], [4, 4], ["N/A", 1], [3, 3]])
    assert one_sided.scores() == [Fraction(4), Fraction(3)]


def test_an_answer_that_left_a_text_out_counts_for_none() -> None:
    # The strict second judge leaves out text 1, which its silence must not raise.
    lenient: list[list[Rating]] = [[5, 4]] * 4
    strict: list[list[Rating]] = [[2, None], [2, 1], [2, 1], [2, 1]]
    found = judged(lenient, strict)
    assert found.scores() == [Fraction(26, 7), Fraction(19, 7)]
    assert found.scores("j1") == [Fraction(2), Fraction(1)]


def test_no_pair_has_its_reason() -> None:
    assert binarised(judged([[3, 3, 3]]), 0) == "tied"
    assert binarised(judged([[None, 3]]), 0) == "unrated"
    assert binarised(judged([["N/A", "N/A"]]), 0) == "unrated"
    assert binarised(judged([["N/A", 4]]), 0) == "unrated"
    assert judged([[1, 2]]).scores("nobody") == [None, None]


@pytest.mark.parametrize("count", [2, 3, 8])
def test_all_judges_and_aspects_weigh_the_same(count: int) -> None:
    worse: list[Rating] = [1] * (count - 1)
    first: list[list[Rating]] = [[5, *worse]] * 4
    better: list[Rating] = [2] * (count - 1)
    second: list[list[Rating]] = [[1, *better]] * 4
    pair = binarised(judged(first, second), 3)
    assert isinstance(pair, Pair)
    assert pair.chosen == 0
    assert (pair.chosen_score, pair.rejected_score) == (Fraction(3), Fraction(3, 2))
