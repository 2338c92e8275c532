"""Biases of judges: found where they were built in, and not found where there are none."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import pytest

from olmes.synthesis.preferences.biases import length_bias, position_bias, with_holm
from olmes.synthesis.preferences.orders import drawn_order, rotated
from olmes.synthesis.preferences.panel import Answer, Judged, Sheet
from tests.olmes.synthesis.preferences.panels import (
    fair,
    fond_of_length,
    fond_of_the_first,
    judged_by,
)

SEEDS = 30


def test_a_judge_that_likes_the_first_place_is_found_and_fair_ones_are_not() -> None:
    alarms = Counter[str]()
    for seed in range(SEEDS):
        judged = judged_by({"fair": fair, "biased": fond_of_the_first}, seed=seed)
        for judge in ("fair", "biased"):
            found = position_bias(judged, judge, seed)
            assert found.p_value is not None
            alarms[judge] += found.p_value < 0.05
            if judge == "biased":
                assert found.places[0].value > max(p.value for p in found.places[1:])
    assert alarms["biased"] == SEEDS
    # 5 % of 30 are 1.5; 6 and more have a chance of 1 in 300.
    assert alarms["fair"] <= 5


def test_the_size_of_the_bias_is_what_was_built_in() -> None:
    judged = judged_by({"biased": fond_of_the_first}, prompts=400, seed=1)
    found = position_bias(judged, "biased")
    # A point for the first of four is 3/4 above the mean; the ends of the scale take some of it.
    assert found.places[0].value == pytest.approx(0.7, abs=0.1)
    assert found.spread == pytest.approx(0.95, abs=0.15)
    assert found.places[0].stderr is not None
    assert found.places[0].stderr < 0.05
    assert sum(place.value for place in found.places) == pytest.approx(0, abs=1e-9)


def test_one_aspect_and_texts_of_different_numbers_and_missing_ratings_are_tested_too() -> None:
    for aspects in (1, 2):
        alarms = 0
        for seed in range(10):
            mixed = [
                *judged_by({"biased": fond_of_the_first}, prompts=30, seed=seed),
                *judged_by({"biased": fond_of_the_first}, prompts=30, texts=3, seed=100 + seed),
            ]
            rng = random.Random(seed)
            mixed = [
                Judged(
                    f"{at}", one.prompt, one.answers,
                    tuple(
                        Sheet(
                            s.judge, s.aspect, s.order, s.rotation,
                            tuple(None if rng.random() < 0.1 else r for r in s.ratings),
                        )
                        for s in one.sheets[:aspects]
                    ),
                )
                for at, one in enumerate(mixed)
            ]  # fmt: skip
            found = position_bias(mixed, "biased", seed)
            assert found.p_value is not None
            alarms += found.p_value < 0.05
        assert alarms >= 7


def test_the_p_value_is_that_of_all_draws_written_out() -> None:
    judged = judged_by({"j": fond_of_the_first}, prompts=2, texts=3, seed=3)

    def statistic(draws: tuple[tuple[int, ...], ...]) -> float:
        sums = [0.0, 0.0, 0.0]
        for one, draw in zip(judged, draws, strict=True):
            rest = [[0.0] * 3 for _ in one.sheets]
            for row, sheet in zip(rest, one.sheets, strict=True):
                numbers = [r for r in sheet.ratings if isinstance(r, int)]
                for text, rating in enumerate(sheet.by_text):
                    row[text] = int(rating or 0) - sum(numbers) / 3
            means = [sum(row[text] for row in rest) / len(rest) for text in range(3)]
            for row, sheet in zip(rest, one.sheets, strict=True):
                for text, drawn in enumerate(draw):
                    sums[(drawn + sheet.rotation) % 3] += row[text] - means[text]
        return sum(s * s / 8 for s in sums)

    actual = tuple(
        tuple((one.sheets[1].order.index(text) - 1) % 3 for text in range(3)) for one in judged
    )
    every = [
        statistic(draws) for draws in itertools.product(itertools.permutations(range(3)), repeat=2)
    ]
    expected = sum(s >= statistic(actual) - 1e-9 for s in every) / len(every)
    assert position_bias(judged, "j").p_value == pytest.approx(expected, abs=0.04)


def test_a_judge_without_ratings_has_no_bias_and_says_nothing() -> None:
    empty = position_bias([], "j")
    assert (empty.places, empty.p_value, empty.spread) == ((), None, 0.0)
    prompt = ({"role": "user", "content": "?"},)
    sheet = Sheet("j", "honesty", (0, 1), 0, ("N/A", "N/A"))
    one = Judged("0", prompt, (Answer("a", ()), Answer("b", ())), (sheet,))  # type: ignore[arg-type]
    assert position_bias([one], "j").p_value is None
    assert length_bias([one], "j").slope is None
    # All ratings alike: a judge that tells nothing apart is not biased by places.
    flat = Judged("0", prompt, one.answers, (Sheet("j", "honesty", (0, 1), 0, (3, 3)),))  # type: ignore[arg-type]
    assert position_bias([flat], "j").p_value == 1.0


def test_a_judge_that_likes_length_is_found_and_fair_ones_are_not() -> None:
    alarms = Counter[str]()
    for seed in range(SEEDS):
        judged = judged_by({"fair": fair, "long": fond_of_length}, seed=seed)
        for judge in ("fair", "long"):
            found = length_bias(judged, judge, seed)
            assert found.p_value is not None
            alarms[judge] += found.p_value < 0.05
    assert alarms["long"] == SEEDS
    assert alarms["fair"] <= 5
    panel = length_bias(judged)
    assert panel.slope is not None
    assert panel.slope.value > 0


def test_holm_is_over_the_judges() -> None:
    judged = judged_by({"a": fair, "b": fair, "c": fond_of_the_first}, seed=5)
    places = {judge: position_bias(judged, judge) for judge in "abc"}
    lengths = {judge: length_bias(judged, judge) for judge in "abc"}
    found, _ = with_holm(places, lengths)
    assert found["c"].p_adjusted == pytest.approx(3 * (places["c"].p_value or 0))
    assert all((one.p_adjusted or 0) >= (one.p_value or 0) for one in found.values())


def test_each_text_stands_in_each_place_once() -> None:
    drawn = drawn_order(0, "p", "j", 4)
    assert sorted(drawn) == [0, 1, 2, 3]
    orders = [rotated(drawn, by) for by in range(4)]
    assert all(sorted(places) == [0, 1, 2, 3] for places in zip(*orders, strict=True))
    assert drawn_order(0, "p", "j", 4) == drawn
    firsts = Counter(drawn_order(0, str(prompt), "j", 4)[0] for prompt in range(2000))
    assert all(430 < firsts[text] < 570 for text in range(4))
    assert (
        len({tuple(drawn_order(seed, "p", judge, 4)) for seed in range(20) for judge in "ab"}) > 8
    )
