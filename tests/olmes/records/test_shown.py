"""How numbers are written, in their unit, for every reader alike."""

from __future__ import annotations

import math

import pytest

from olmes.records.schema import MetricScore, Score
from olmes.records.shown import (
    MARKS,
    MISSING,
    difference_interval,
    interval,
    marks_of,
    metric_label,
    shown,
    shown_difference,
    shown_interval,
    signs_of,
)
from olmes.types import Unit

NO_NUMBER = (None, math.nan, math.inf, -math.inf)


def score(unit: Unit = "share", *, higher: bool = True, low: float | None = 0.4) -> MetricScore:
    return MetricScore(
        value=0.5, stderr=0.05, ci_low=low, ci_high=0.6, n=100, unit=unit, higher_is_better=higher
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0"),
        (1.0, "100.0"),
        (0.8333333, "83.3"),
        (0.0004, "0.0"),
        (-0.0004, "0.0"),
        (-0.0, "0.0"),
        (-0.25, "-25.0"),
        (0.99951, "100.0"),
        (12.5, "1,250.0"),
    ],
)
def test_shares_are_percentages_with_one_decimal(value: float, text: str) -> None:
    assert shown(value, "share") == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.000"),
        (-0.0, "0.000"),
        (-0.0001, "0.000"),
        (0.5, "0.500"),
        (0.12345, "0.123"),
        (1.0, "1.00"),
        (9.876, "9.88"),
        (10.0, "10.0"),
        (123.456, "123.5"),
        (1234567.0, "1,234,567.0"),
        (-42.04, "-42.0"),
        (-1.5, "-1.50"),
    ],
)
def test_numbers_are_as_they_are_with_three_digits_or_more(value: float, text: str) -> None:
    assert shown(value, "number") == text


@pytest.mark.parametrize("unit", ["share", "number"])
@pytest.mark.parametrize("value", NO_NUMBER)
def test_what_is_no_number_is_a_dash(value: float | None, unit: Unit) -> None:
    assert shown(value, unit) == MISSING
    assert shown_difference(value, unit) == MISSING
    assert interval(value, 0.5, unit) == MISSING
    assert interval(0.5, value, unit) == MISSING


def test_intervals_have_both_ends_in_their_unit() -> None:
    assert shown_interval(score(), "share") == "[40.0, 60.0]"
    assert shown_interval(score(), "number") == "[0.400, 0.600]"
    assert shown_interval(score(low=None), "share") == MISSING
    none = Score(value=None, stderr=None, ci_low=None, ci_high=None, n=0)
    assert shown_interval(none, "share") == MISSING
    # Both ends have as many decimals.
    assert interval(0.25, 12.0, "number") == "[0.2, 12.0]"
    assert interval(-0.001, 12.0, "number") == "[0.0, 12.0]"
    assert interval(-1.5, 0.25, "number") == "[-1.50, 0.25]"


def test_intervals_of_differences_have_signs_and_as_many_decimals() -> None:
    assert difference_interval(-0.004, 0.123, "share") == "[−0.4, +12.3]"
    assert difference_interval(-0.5, 12.0, "number") == "[−0.5, +12.0]"
    assert difference_interval(0.0, 0.0, "number") == "[0.000, 0.000]"
    for missing in NO_NUMBER:
        assert difference_interval(missing, 0.1, "share") == MISSING
        assert difference_interval(0.1, missing, "number") == MISSING


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.123, "share", "+12.3"),
        (-0.0041, "share", "−0.4"),
        (0.0, "share", "0.0"),
        (-0.0001, "share", "0.0"),
        (0.0001, "share", "0.0"),
        (0.0001, "number", "0.000"),
        (0.5, "number", "+0.500"),
        (-2.345, "number", "−2.35"),
        (-1234.5, "number", "−1,234.5"),
    ],
)
def test_differences_have_their_sign(value: float, unit: Unit, text: str) -> None:
    assert shown_difference(value, unit) == text


@pytest.mark.parametrize(
    ("metric", "label", "words"),
    [
        (score(), "em", []),
        (score("number"), "em #", ["a number, not a percentage"]),
        (score(higher=False), "em ↓", ["lower is better"]),
        (
            score("number", higher=False),
            "em ↓ #",
            ["lower is better", "a number, not a percentage"],
        ),
    ],
)
def test_a_metrics_direction_and_unit_are_marked(
    metric: MetricScore, label: str, words: list[str]
) -> None:
    assert metric_label("em", metric) == label
    assert marks_of(metric) == words
    assert [MARKS[sign] for sign in signs_of(metric)] == words
