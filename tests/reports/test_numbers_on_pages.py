"""How numbers are written and drawn."""

from __future__ import annotations

import math

import pytest

from olmes.reports import numbers


@pytest.mark.parametrize(
    ("value", "share", "text"),
    [
        (0.25, True, "25.0"),
        (0.12345, True, "12.3"),
        (1.0, True, "100.0"),
        (-0.0001, False, "0.0"),
        (1234.56, False, "1,234.6"),
        (None, True, "–"),
        (math.nan, True, "–"),
        (math.inf, False, "–"),
    ],
)
def test_plain(value: float | None, share: bool, text: str) -> None:
    assert numbers.plain(value, share=share) == text


def test_interval() -> None:
    assert numbers.interval(0.0712, 0.5907, share=True) == "[7.1, 59.1]"
    assert numbers.interval(None, 0.5, share=True) == "–"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.44, "0.4 s"), (59.94, "59.9 s"), (302.0, "5 min 02 s"), (7500.0, "2 h 05 min")],
)
def test_seconds(value: float, text: str) -> None:
    assert numbers.seconds(value) == text


def test_bar_is_clipped_to_its_axis() -> None:
    assert numbers.bar(0.02, -0.04, 0.08) == numbers.Bar(0.0, 8.0, 2.0)
    assert numbers.bar(0.98, 0.9, 1.3) == numbers.Bar(90.0, 100.0, 98.0)


def test_bar_without_an_interval_is_a_point() -> None:
    assert numbers.bar(0.5, None, None) == numbers.Bar(50.0, 50.0, 50.0)


@pytest.mark.parametrize("value", [None, 37.5, math.nan, True])
def test_what_is_no_share_is_not_drawn(value: float | None) -> None:
    assert numbers.bar(value, 0.1, 0.9) is None
