"""Scores and training logs over steps, drawn."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from olmes.records.schema import Score
from olmes.records.shown import interval, shown
from olmes.reports import numbers
from olmes.reports.charts import (
    CHARACTER,
    LEAST_POINTS,
    Axis,
    ChartData,
    Frame,
    Tick,
    band,
    path,
    round_axis,
    rounded,
    with_room,
    x_ticks,
    y_ticks,
)
from olmes.types import Unit

FRAME = Frame(width=390, height=230, left=44, right=12, top=30, bottom=40)
LOG_POINTS = 300
"""A longer log is averaged into so many stretches: more than a drawing has room for is noise."""
DOTS = 40
"""A line of so few points shows each of them."""
PITCH = 34
"""Pixels that a checkpoint has room for in a chart of few."""
LEAST = 120
"""The least width of axes."""


class Linked(NamedTuple):
    """A score at a step; it is one that has a value."""

    step: float
    score: Score
    link: str = ""
    n: str = ""
    """Over what it is, in words; its own n by default."""

    def words(self, unit: Unit) -> str:
        """The score with its interval and n."""
        ends = interval(self.score.ci_low, self.score.ci_high, unit)
        return f"{shown(self.score.value, unit)} {ends}, n {self.n or f'{self.score.n:,}'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A number at a step, in pixels, with its words and the samples behind it."""

    x: float
    y: float
    y_low: float
    y_high: float
    words: str
    link: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One of a log's numbers in a chart."""

    name: str
    """What it is called beside the others; '' where it is alone."""
    series: int
    d: str
    dots: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Boundary:
    """Where a stage begins, in pixels."""

    x: float
    label: str
    """'' where there is no room."""
    label_x: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LineChart:
    """Lines over steps."""

    title: str
    frame: Frame
    data: ChartData
    x_title: str
    y_title: str
    """The metric or the number with its unit; in the caption where the drawing is too narrow."""
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    line: str = ""
    """The `d` of the line of scores."""
    band: str = ""
    """The `d` of the 95 % band; '' for none."""
    points: tuple[Point, ...] = ()
    looks: tuple[Point, ...] = ()
    """Unseen scores, only where a look was taken."""
    best: Point | None = None
    """The point of the best checkpoint."""
    caption: str = ""
    lines: tuple[Line, ...] = ()
    """Numbers of a log."""
    boundaries: tuple[Boundary, ...] = ()
    """Of the stages of a training."""


@dataclass(frozen=True, slots=True)
class FewPoints:
    """What would be a chart of one or two points, in words."""

    title: str
    unit: str
    points: tuple[tuple[str, str], ...]
    """Words and link of each."""


@dataclass(frozen=True, slots=True)
class Drawings:
    """What stands side by side, and below it what has too few points to be drawn."""

    charts: tuple[LineChart, ...]
    few: tuple[FewPoints, ...]

    @classmethod
    def of(cls, found: Iterable[LineChart | FewPoints]) -> Drawings:
        """Charts and sentences, each in their order."""
        listed = list(found)
        return cls(
            tuple(one for one in listed if isinstance(one, LineChart)),
            tuple(one for one in listed if isinstance(one, FewPoints)),
        )

    @property
    def columns(self) -> int:
        """How many stand in a row of a wide page, by the widest."""
        widest = max((chart.frame.width for chart in self.charts), default=0)
        return 3 if widest > 310 else 4 if widest > 220 else 6

    def __len__(self) -> int:
        return len(self.charts) + len(self.few)


def step_axis(values: Iterable[float], *, steps: int = 5) -> Axis:
    """An x axis of training steps, with about so many stretches between ticks."""
    return round_axis(values, steps=steps)


def score_chart(
    title: str,
    steps: Axis,
    scores: Sequence[Linked],
    *,
    unit: Unit = "share",
    looks: Sequence[Linked] = (),
    best: int | None = None,
    caption: str = "",
    frame: Frame = FRAME,
    stages: Sequence[tuple[str, float, float]] = (),
    metric: str = "score",
    x_title: str = "step",
) -> LineChart | FewPoints:
    """Scores over steps with their bands; in words where there are too few.

    Args:
        title: of the chart.
        steps: the x axis.
        scores: step, score and link, in order of steps.
        unit: of the scores and the looks; shares are drawn from 0 to 100 at most.
        looks: the same for unseen scores.
        best: index of the best checkpoint among `scores`.
        caption: the line below the title.
        frame: of the drawing.
        stages: name, first and last step of each stage, where there are several.
        metric: what the scores are.
        x_title: what the steps are counted from.
    """
    y_title = f"{metric}, %" if unit == "share" else metric
    if max(len(scores), len(looks)) < LEAST_POINTS:
        words = [(_score_words(unit, one), one.link) for one in scores]
        words += [(f"unseen, {_score_words(unit, one)}", one.link) for one in looks]
        return FewPoints(title, y_title, tuple(words))
    drawn = [*scores, *looks]
    scale = numbers.scale_of(unit)
    axis = round_axis(
        (scale * end for one in drawn for end in _ends(one.score)),
        bounds=numbers.bounds_of(unit),
    )
    frame = with_room(frame, axis)

    def points(found: Sequence[Linked]) -> tuple[Point, ...]:
        return tuple(_point(frame, steps, axis, unit, one) for one in found)

    line = points(scores)
    return LineChart(
        title=title,
        frame=frame,
        data=_score_data(title, y_title, frame, steps, unit, [scores, looks]),
        x_title=x_title,
        y_title=y_title,
        x_ticks=x_ticks(frame, steps),
        y_ticks=y_ticks(frame, axis),
        line=path([(point.x, point.y) for point in line]),
        band=band([(p.x, p.y_high) for p in line], [(p.x, p.y_low) for p in line]),
        points=line,
        looks=points(looks),
        best=None if best is None else line[best],
        caption=caption,
        boundaries=tuple(boundaries(frame, steps, stages)),
    )


def boundaries(
    frame: Frame, steps: Axis, stages: Sequence[tuple[str, float, float]]
) -> Iterator[Boundary]:
    """Where each stage begins, with its name where that has room."""
    for name, first, last in stages:
        x, end = frame.x(steps, first), frame.x(steps, last)
        fits = end - x >= CHARACTER * (len(name) + 1)
        yield Boundary(x, name if fits else "", round((x + end) / 2, 1))


def curve_chart(
    title: str,
    steps: Axis,
    lines: Mapping[str, Sequence[tuple[float, float]]],
    *,
    frame: Frame,
    unit: str = "",
    percent: bool = False,
    x_title: str = "step",
) -> LineChart | FewPoints:
    """Numbers of a log over steps, on one scale; in words where there are too few.

    Args:
        title: of the chart.
        steps: the x axis.
        lines: by what each is called ('' for one that needs no name): steps and numbers.
        frame: of the drawing.
        unit: of all of them.
        percent: whether they are shares, drawn as percentages.
        x_title: what the steps are counted from.
    """
    scale = 100 if percent else 1
    thin = {
        name: [(step, scale * value) for step, value in _thinned(points)]
        for name, points in lines.items()
    }
    if max(map(len, thin.values())) < LEAST_POINTS:
        words = [
            (_log_words(name, step, value), "")
            for name, points in thin.items()
            for step, value in points
        ]
        return FewPoints(title, unit, tuple(words))
    axis = round_axis(
        (value for points in thin.values() for _, value in points),
        steps=3,
        bounds=_bounds_of_percent(thin) if percent else None,
    )
    frame = with_room(frame, axis)
    return LineChart(
        title=title,
        frame=frame,
        data=_log_data(title, unit, frame, steps, thin),
        x_title=x_title,
        y_title=unit,
        x_ticks=x_ticks(frame, steps),
        y_ticks=y_ticks(frame, axis),
        lines=tuple(
            _line(frame, steps, axis, name, number, points)
            for number, (name, points) in enumerate(thin.items(), 1)
        ),
    )


def _bounds_of_percent(
    lines: Mapping[str, Sequence[tuple[float, float]]],
) -> tuple[float, float] | None:
    """0 to 100, unless something lies outside: explained variance may be negative."""
    inside = all(0 <= value <= 100 for points in lines.values() for _, value in points)
    return (0, 100) if inside else None


def _line(
    frame: Frame,
    steps: Axis,
    axis: Axis,
    name: str,
    series: int,
    values: Sequence[tuple[float, float]],
) -> Line:
    points = tuple(
        Point(
            x=frame.x(steps, step), y=(y := frame.y(axis, value)), y_low=y, y_high=y,
            words=_log_words(name, step, value), link="",
        )
        for step, value in values
    )  # fmt: skip
    return Line(
        name=name, series=series, d=path([(point.x, point.y) for point in points]),
        dots=points if len(points) <= DOTS else (),
    )  # fmt: skip


def _thinned(values: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most `LOG_POINTS` means over stretches of equal length."""
    size = math.ceil(len(values) / LOG_POINTS)
    stretches = [values[at : at + size] for at in range(0, len(values), size)]
    return [
        (sum(x for x, _ in part) / len(part), sum(y for _, y in part) / len(part))
        for part in stretches
    ]


def _ends(score: Score) -> tuple[float, float, float]:
    assert score.value is not None
    low, high = numbers.ends_of(score.value, score.ci_low, score.ci_high)
    return low, score.value, high


def _point(frame: Frame, steps: Axis, axis: Axis, unit: Unit, one: Linked) -> Point:
    low, value, high = _ends(one.score)
    scale = numbers.scale_of(unit)
    return Point(
        x=frame.x(steps, one.step),
        y=frame.y(axis, scale * value),
        y_low=frame.y(axis, scale * low),
        y_high=frame.y(axis, scale * high),
        words=_score_words(unit, one),
        link=one.link,
    )


def _score_words(unit: Unit, one: Linked) -> str:
    return f"step {one.step:,g}: {one.words(unit)}"


def _log_words(name: str, step: float, value: float) -> str:
    return f"{name + ', ' if name else ''}update {step:,.0f}: {value:.4g}"


def _x(frame: Frame, steps: Axis) -> tuple[float, float, float, float]:
    return steps.low, steps.high, frame.left, frame.x_end


def _score_data(
    title: str,
    y_title: str,
    frame: Frame,
    steps: Axis,
    unit: Unit,
    sides: Sequence[Sequence[Linked]],
) -> ChartData:
    scale = numbers.scale_of(unit)

    def scaled(value: float | None) -> float | None:
        return rounded(None if value is None else scale * value)

    rows = [
        (
            series,
            one.step,
            scaled(one.score.value),
            *map(scaled, (one.score.ci_low, one.score.ci_high)),
            one.score.n,
        )
        for series, points in enumerate(sides)
        for one in points
    ]
    return ChartData(
        name=title,
        columns=("series", "step", y_title, "ci_low", "ci_high", "n"),
        rows=tuple(rows),
        series=("dev", "unseen"),
        x=_x(frame, steps),
        words=tuple(one.words(unit) for points in sides for one in points),
    )


def _log_data(
    title: str,
    unit: str,
    frame: Frame,
    steps: Axis,
    lines: Mapping[str, Sequence[tuple[float, float]]],
) -> ChartData:
    return ChartData(
        name=title,
        columns=("series", "step", unit or title),
        rows=tuple(
            (series, rounded(step), rounded(value))
            for series, points in enumerate(lines.values())
            for step, value in points
        ),
        series=tuple(name or title for name in lines),
        x=_x(frame, steps),
    )
