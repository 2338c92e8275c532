"""How numbers are written and drawn."""

from __future__ import annotations

import math

import pytest

from olmes.records.shown import difference_interval
from olmes.reports import numbers
from olmes.types import Unit


@pytest.mark.parametrize(
    ("ends", "unit", "text"),
    [
        ((-0.0712, 0.5907), "share", "[−7.1, +59.1]"),
        ((-0.0712, 25.907), "number", "[−0.1, +25.9]"),
        ((0.0, 0.00001), "share", "[0.0, 0.0]"),
        ((None, 0.5), "share", "–"),
        ((0.5, math.nan), "number", "–"),
    ],
)
def test_an_interval_of_a_difference_has_signs(
    ends: tuple[float | None, float | None], unit: Unit, text: str
) -> None:
    assert difference_interval(*ends, unit) == text


def test_a_count_that_is_not_known_is_a_dash() -> None:
    assert (numbers.count(1319), numbers.count(None)) == ("1,319", "–")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.44, "0.4 s"), (59.94, "59.9 s"), (302.0, "5 min 02 s"), (7500.0, "2 h 05 min")],
)
def test_seconds(value: float, text: str) -> None:
    assert numbers.seconds(value) == text


def test_bar_is_clipped_to_its_axis() -> None:
    assert numbers.bar(0.02, -0.04, 0.08, "share") == numbers.Bar(0.0, 8.0, 2.0)
    assert numbers.bar(0.98, 0.9, 1.3, "share") == numbers.Bar(90.0, 100.0, 98.0)


def test_bar_without_an_interval_is_a_point() -> None:
    assert numbers.bar(0.5, None, None, "share") == numbers.Bar(50.0, 50.0, 50.0)


@pytest.mark.parametrize("value", [None, math.nan])
def test_what_has_no_value_is_not_drawn(value: float | None) -> None:
    assert numbers.bar(value, 0.1, 0.9, "share") is None


@pytest.mark.parametrize("value", [0.83, 37.5])
def test_a_number_is_not_drawn_though_it_could_be_a_share(value: float) -> None:
    assert numbers.bar(value, 0.1, 0.9, "number") is None
