"""Development against unseen scores, drawn: a slope a model, and a point a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from olmes.reports import numbers
from olmes.reports.charts import Axis, Frame, Tick, round_axis, x_ticks, y_ticks

SERIES = 6
"""Models that get a colour and a mark of their own; with more, all but the last are quiet."""
SLOPES = Frame(width=260, height=230, left=34, right=34, top=14, bottom=26)
SCATTER = Frame(width=300, height=260, left=44, right=14, top=14, bottom=42)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A point with its interval, in pixels."""

    series: int
    """1 to 6: which colour and shape; 0 is quiet."""
    x: float
    y: float
    x_low: float
    x_high: float
    y_low: float
    y_high: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Slope:
    """One model's line from its development to its unseen score."""

    series: int
    dev: Mark
    unseen: Mark
    words: str
    number: int
    """The model's number in the table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlopeChart:
    """A pair over all models."""

    frame: Frame
    ticks: tuple[Tick, ...]
    slopes: tuple[Slope, ...]
    words: str
    """The drawing in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scatter:
    """Unseen against development, a point a model."""

    frame: Frame
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    marks: tuple[Mark, ...]
    line: tuple[float, float, float, float] | None
    """The ends of the least-squares line: x1, y1, x2, y2."""
    words: str


def series_of(number: int, models: int) -> int:
    """The colour of a model: its number where there are few, else the last one's alone."""
    if models <= SERIES:
        return number + 1
    return 1 if number == models - 1 else 0


def slope_chart(
    title: str, names: Sequence[str], rows: Sequence[dict[str, Any]]
) -> SlopeChart | None:
    """Lines from dev to unseen for the models that have both; None where none has."""
    both = _with_both(rows)
    if not both:
        return None
    axis = _axis(end for _, row in both for side in ("dev", "unseen") for end in _ends(row[side]))
    slopes = []
    for place, (number, row) in enumerate(both):
        # Whiskers of several models stand beside each other, not on each other.
        aside = (place - (len(both) - 1) / 2) * min(6.0, 40 / len(both))
        series = series_of(number, len(names))
        marks = {
            side: _mark(SLOPES, series, x + aside, axis, row[side], names[number])
            for side, x in (("dev", SLOPES.left + 24), ("unseen", SLOPES.x_end - 24))
        }
        words = f"{names[number]}: dev {_words(row['dev'])}, unseen {_words(row['unseen'])}"
        slopes.append(Slope(series=series, **marks, words=words, number=number + 1))
    words = f"{title}, from dev to unseen. " + "; ".join(slope.words for slope in slopes)
    return SlopeChart(frame=SLOPES, ticks=y_ticks(SLOPES, axis), slopes=tuple(slopes), words=words)


def scatter(
    title: str, names: Sequence[str], rows: Sequence[dict[str, Any]], carried: dict[str, Any] | None
) -> Scatter | None:
    """Points of unseen against dev for three models or more; None for fewer."""
    both = _with_both(rows)
    if len(both) < 3:
        return None
    x_axis = _axis(end for _, row in both for end in _ends(row["dev"]))
    y_axis = _axis(end for _, row in both for end in _ends(row["unseen"]))
    marks = []
    for number, row in both:
        low, value, high = _ends(row["dev"])
        mark = _mark(
            SCATTER,
            series_of(number, len(names)),
            SCATTER.x(x_axis, value),
            y_axis,
            row["unseen"],
            f"{names[number]}: dev {_words(row['dev'])}, unseen {_words(row['unseen'])}",
            x_ends=(SCATTER.x(x_axis, low), SCATTER.x(x_axis, high)),
        )
        marks.append(mark)
    return Scatter(
        frame=SCATTER,
        x_ticks=x_ticks(SCATTER, x_axis),
        y_ticks=y_ticks(SCATTER, y_axis),
        marks=tuple(marks),
        line=_line([row for _, row in both], carried, x_axis, y_axis),
        words=f"{title}: unseen against dev, {len(both)} models.",
    )


def _with_both(rows: Sequence[dict[str, Any]]) -> list[tuple[int, dict[str, Any]]]:
    return [(number, row) for number, row in enumerate(rows) if row["dev"] and row["unseen"]]


def _axis(values: Any) -> Axis:
    return round_axis(values, bounds=(0, 100))


def _ends(estimate: dict[str, Any]) -> tuple[float, float, float]:
    """Low end, value and high end in percent; the value itself where there is no interval."""
    value = 100 * estimate["value"]
    low, high = (
        100 * end if end is not None and numbers.is_number(end) else value
        for end in (estimate.get("ci_low"), estimate.get("ci_high"))
    )
    return low, value, high


def _mark(
    frame: Frame,
    series: int,
    x: float,
    axis: Axis,
    estimate: dict[str, Any],
    label: str,
    x_ends: tuple[float, float] | None = None,
) -> Mark:
    low, value, high = _ends(estimate)
    x_low, x_high = x_ends or (x, x)
    return Mark(
        series=series,
        x=round(x, 1),
        y=frame.y(axis, value),
        x_low=round(x_low, 1),
        x_high=round(x_high, 1),
        y_low=frame.y(axis, low),
        y_high=frame.y(axis, high),
        label=label,
    )


def _line(
    rows: Sequence[dict[str, Any]], carried: dict[str, Any] | None, x_axis: Axis, y_axis: Axis
) -> tuple[float, float, float, float] | None:
    """The line of the carry-over slope through the middle of the points, cut at the frame."""
    slope = (carried or {}).get("slope")
    if slope is None:
        return None
    middle_x, middle_y = (
        100 * sum(row[side]["value"] for row in rows) / len(rows) for side in ("dev", "unseen")
    )
    ends = [x_axis.low, x_axis.high]
    if slope:
        crossings = [middle_x + (y - middle_y) / slope for y in (y_axis.low, y_axis.high)]
        ends = [max(ends[0], min(crossings)), min(ends[1], max(crossings))]
    points = [(x, middle_y + slope * (x - middle_x)) for x in ends]
    (x1, y1), (x2, y2) = ((SCATTER.x(x_axis, x), SCATTER.y(y_axis, y)) for x, y in points)
    return x1, y1, x2, y2


def _words(estimate: dict[str, Any]) -> str:
    share = numbers.is_share(estimate["value"])
    found = numbers.interval(estimate.get("ci_low"), estimate.get("ci_high"), share=share)
    return f"{numbers.plain(estimate['value'], share=share)} {found}"
