"""Development against unseen scores, drawn: a slope a model, and a point a model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from olmes.comparison.generalization import SideBySide
from olmes.comparison.halves import HalfScore
from olmes.records.shown import interval, shown
from olmes.reports import numbers
from olmes.reports.chart_data import ChartData, rounded
from olmes.reports.charts import (
    Axis,
    Frame,
    Tick,
    round_axis,
    x_ticks,
    y_ticks,
)
from olmes.stats import CarryOver, Estimate
from olmes.types import Unit

SERIES = 6
"""Models that get a colour and a mark of their own; with more, all but the last are quiet."""
SLOPES = Frame(width=260, height=246, left=40, right=34, top=30, bottom=26)
SCATTER = Frame(width=300, height=276, left=44, right=14, top=30, bottom=42)
COLUMNS = (
    "model",
    *(f"{side}{of}" for side in ("dev", "unseen") for of in ("", "_low", "_high", "_n")),
)


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
    data: ChartData
    ticks: tuple[Tick, ...]
    slopes: tuple[Slope, ...]
    unit: str
    """`, %` for shares, else empty."""
    words: str
    """The drawing in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scatter:
    """Unseen against development, a point a model."""

    frame: Frame
    data: ChartData
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    marks: tuple[Mark, ...]
    line: tuple[float, float, float, float] | None
    """The ends of the least-squares line: x1, y1, x2, y2."""
    unit: str
    """`, %` for shares, else empty."""
    words: str


def series_of(number: int, models: int) -> int:
    """The colour of a model: its number where there are few, else the last one's alone."""
    if models <= SERIES:
        return number + 1
    return 1 if number == models - 1 else 0


@dataclass(frozen=True, slots=True)
class Both:
    """A model that has both scores."""

    number: int
    """Its index among all models."""
    dev: HalfScore
    unseen: HalfScore


def _drawn(rows: Sequence[SideBySide]) -> tuple[list[Both], tuple[Unit, Unit]]:
    """The models that have both scores, and the units of these.

    An axis is in one unit: where models differ (suites of other tasks), those with shares are drawn.
    """
    found = [
        ((row.dev.unit, row.unseen.unit), Both(number, row.dev, row.unseen))
        for number, row in enumerate(rows)
        if row.dev and row.unseen
    ]
    shares: tuple[Unit, Unit] = ("share", "share")
    known = [units for units, _ in found]
    chosen = shares if shares in known or not known else known[0]
    return [model for units, model in found if units == chosen], chosen


def slope_chart(title: str, names: Sequence[str], rows: Sequence[SideBySide]) -> SlopeChart | None:
    """Lines from dev to unseen for the models that have both.

    None where fewer than two have, whose numbers are in the table, and where the two are in different
    units, which share no axis.
    """
    both, units = _drawn(rows)
    if len(both) < 2 or units[0] != units[1]:
        return None
    unit = units[0]
    axis = _axis((one for model in both for one in (model.dev, model.unseen)), unit)
    slopes = []
    for index, model in enumerate(both):
        # Whiskers of several models stand beside each other, not on each other.
        aside = (index - (len(both) - 1) / 2) * min(6.0, 40 / len(both))
        series, name = series_of(model.number, len(names)), names[model.number]
        dev, unseen = (
            _mark(SLOPES, series, x + aside, axis, found, unit, name)
            for found, x in ((model.dev, SLOPES.left + 24), (model.unseen, SLOPES.x_end - 24))
        )
        slopes.append(
            Slope(
                series=series,
                dev=dev,
                unseen=unseen,
                words=_words(name, model, units),
                number=model.number + 1,
            )
        )
    words = f"{title}, from dev to unseen. " + "; ".join(slope.words for slope in slopes)
    return SlopeChart(
        frame=SLOPES,
        data=_data(f"{title}, dev to unseen", names, both, units),
        ticks=y_ticks(SLOPES, axis),
        slopes=tuple(slopes),
        unit=_percent(units),
        words=words,
    )


def scatter(
    title: str, names: Sequence[str], rows: Sequence[SideBySide], carried: CarryOver | None
) -> Scatter | None:
    """Points of unseen against dev for the models that the line is through; None for fewer than 3."""
    both, units = _drawn(rows)
    both = [model for model in both if not rows[model.number].why_not_in_slope]
    if len(both) < 3:
        return None
    x_axis = _axis((model.dev for model in both), units[0])
    y_axis = _axis((model.unseen for model in both), units[1])
    marks = []
    for model in both:
        low, value, high = _ends(model.dev, units[0])
        mark = _mark(
            SCATTER,
            series_of(model.number, len(names)),
            SCATTER.x(x_axis, value),
            y_axis,
            model.unseen,
            units[1],
            _words(names[model.number], model, units),
            x_ends=(SCATTER.x(x_axis, low), SCATTER.x(x_axis, high)),
        )
        marks.append(mark)
    return Scatter(
        frame=SCATTER,
        data=_data(f"{title}, unseen against dev", names, both, units),
        x_ticks=x_ticks(SCATTER, x_axis),
        y_ticks=y_ticks(SCATTER, y_axis),
        marks=tuple(marks),
        line=_line(both, carried, units, x_axis, y_axis),
        unit=_percent(units),
        words=f"{title}: unseen against dev, {len(both)} models.",
    )


def _data(
    name: str, names: Sequence[str], both: Sequence[Both], units: tuple[Unit, Unit]
) -> ChartData:
    """The numbers of a chart, a model a row."""

    def half(found: HalfScore, unit: Unit) -> list[float | None]:
        scale = numbers.scale_of(unit)
        ends = (found.value, found.ci_low, found.ci_high)
        return [*(rounded(None if one is None else scale * one) for one in ends), found.n]

    return ChartData(
        name=name,
        columns=COLUMNS,
        rows=tuple(
            (names[one.number], *half(one.dev, units[0]), *half(one.unseen, units[1]))
            for one in both
        ),
    )


def _percent(units: tuple[Unit, Unit]) -> str:
    return ", %" if units == ("share", "share") else ""


def _axis(found: Iterable[Estimate], unit: Unit) -> Axis:
    ends = (end for one in found for end in _ends(one, unit))
    return round_axis(ends, bounds=numbers.bounds_of(unit))


def _ends(found: Estimate, unit: Unit) -> tuple[float, float, float]:
    """Low end, value and high end as they are drawn; the value itself where there is no interval."""
    scale = numbers.scale_of(unit)
    low, high = numbers.ends_of(found.value, found.ci_low, found.ci_high)
    return scale * low, scale * found.value, scale * high


def _mark(
    frame: Frame,
    series: int,
    x: float,
    axis: Axis,
    found: Estimate,
    unit: Unit,
    label: str,
    x_ends: tuple[float, float] | None = None,
) -> Mark:
    low, value, high = _ends(found, unit)
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
    both: Sequence[Both],
    carried: CarryOver | None,
    units: tuple[Unit, Unit],
    x_axis: Axis,
    y_axis: Axis,
) -> tuple[float, float, float, float] | None:
    """The line of the carry-over slope through the middle of the points, cut at the frame."""
    if carried is None or carried.slope is None:
        return None
    x_scale, y_scale = map(numbers.scale_of, units)
    slope = carried.slope * y_scale / x_scale
    if both[0].dev.higher_is_better != both[0].unseen.higher_is_better:
        # The slope speaks of improvements, the axes of values.
        slope = -slope
    middle_x = x_scale * sum(model.dev.value for model in both) / len(both)
    middle_y = y_scale * sum(model.unseen.value for model in both) / len(both)
    ends = [x_axis.low, x_axis.high]
    if slope:
        crossings = [middle_x + (y - middle_y) / slope for y in (y_axis.low, y_axis.high)]
        ends = [max(ends[0], min(crossings)), min(ends[1], max(crossings))]
    points = [(x, middle_y + slope * (x - middle_x)) for x in ends]
    (x1, y1), (x2, y2) = ((SCATTER.x(x_axis, x), SCATTER.y(y_axis, y)) for x, y in points)
    return x1, y1, x2, y2


def _words(name: str, model: Both, units: tuple[Unit, Unit]) -> str:
    dev, unseen = (
        f"{shown(found.value, unit)} {interval(found.ci_low, found.ci_high, unit)}"
        for found, unit in zip((model.dev, model.unseen), units, strict=True)
    )
    return f"{name}: dev {dev}, n {model.dev.count}, unseen {unseen}, n {model.unseen.count}"
