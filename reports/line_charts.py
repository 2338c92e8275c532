"""Scores and training logs over steps, drawn."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from olmes.records.schema import Score
from olmes.records.shown import interval, shown
from olmes.reports import numbers
from olmes.reports.charts import Axis, Frame, Tick, band, path, round_axis, x_ticks, y_ticks
from olmes.types import Unit

FRAME = Frame(width=390, height=210, left=44, right=12, top=12, bottom=30)
Linked = tuple[float, Score, str]
"""Step, score and link of a point; the score is one that has a value."""
LOG_POINTS = 300
"""A longer log is averaged into so many stretches: more than a drawing has room for is noise."""

BESIDE_REWARD = frozenset((
    "kl", "mean_length", "response_tokens", "distinct_3", "held_out_constraints",
))  # fmt: skip
"""Numbers of a log, by the last part of their name, in which a policy that games its reward shows."""


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
class LineChart:
    """Lines over steps."""

    title: str
    frame: Frame
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    line: str
    """The `d` of the line."""
    band: str
    """The `d` of the 95 % band; '' for none."""
    points: tuple[Point, ...]
    looks: tuple[Point, ...]
    """Unseen scores, only where a look was taken."""
    best: Point | None
    """The point of the best checkpoint."""
    caption: str


def step_axis(steps: Iterable[float]) -> Axis:
    """The x axis that all charts of a page share."""
    return round_axis(steps, steps=5)


def score_chart(
    title: str,
    steps: Axis,
    scores: Sequence[Linked],
    *,
    unit: Unit = "share",
    looks: Sequence[Linked] = (),
    best: int | None = None,
    caption: str = "",
) -> LineChart:
    """Scores over steps with their bands.

    Args:
        title: of the chart.
        steps: the x axis.
        scores: step, score and link, in order of steps.
        unit: of the scores and the looks; shares are drawn from 0 to 100 at most.
        looks: the same for unseen scores.
        best: index of the best checkpoint among `scores`.
        caption: the line below the title.
    """
    drawn = [*scores, *looks]
    scale = numbers.scale_of(unit)
    axis = round_axis(
        (scale * end for _, score, _ in drawn for end in _ends(score)),
        bounds=numbers.bounds_of(unit),
    )

    def points(found: Sequence[Linked]) -> tuple[Point, ...]:
        return tuple(_point(steps, axis, unit, *one) for one in found)

    line = points(scores)
    return LineChart(
        title=title,
        frame=FRAME,
        x_ticks=x_ticks(FRAME, steps),
        y_ticks=y_ticks(FRAME, axis),
        line=path([(point.x, point.y) for point in line]),
        band=band([(p.x, p.y_high) for p in line], [(p.x, p.y_low) for p in line]),
        points=line,
        looks=points(looks),
        best=None if best is None else line[best],
        caption=caption,
    )


def log_charts(steps: Axis, log: Sequence[Mapping[str, Any]]) -> list[LineChart]:
    """A chart for each number of a log that is a loss, a reward, or what betrays a gamed reward."""
    names = dict.fromkeys(key for row in log for key in row if "step" in row)
    charts = []
    for name in filter(_is_drawn, names):
        known = [(row["step"], row[name]) for row in log if numbers.is_number(row.get(name))]
        if known:
            charts.append(_log_chart(name, steps, _thinned(known)))
    return charts


def _is_drawn(name: str) -> bool:
    """Whether a number of a log is drawn: `rlvr/kl` is, `reward_std` is not."""
    if name.rsplit("/", 1)[-1] in BESIDE_REWARD:
        return True
    return any(word in name for word in ("loss", "reward")) and "std" not in name


def _log_chart(name: str, steps: Axis, values: Sequence[tuple[float, float]]) -> LineChart:
    axis = round_axis(value for _, value in values)
    points = [(FRAME.x(steps, step), FRAME.y(axis, value)) for step, value in values]
    return LineChart(
        title=name,
        frame=FRAME,
        x_ticks=x_ticks(FRAME, steps),
        y_ticks=y_ticks(FRAME, axis),
        line=path(points),
        band="",
        points=(),
        looks=(),
        best=None,
        caption="From the log of the training.",
    )


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


def _point(steps: Axis, axis: Axis, unit: Unit, step: float, score: Score, link: str) -> Point:
    low, value, high = _ends(score)
    scale = numbers.scale_of(unit)
    return Point(
        x=FRAME.x(steps, step),
        y=FRAME.y(axis, scale * value),
        y_low=FRAME.y(axis, scale * low),
        y_high=FRAME.y(axis, scale * high),
        words=f"step {step:,g}: {shown(value, unit)} {interval(score.ci_low, score.ci_high, unit)}",
        link=link,
    )
