"""The geometry of charts: axes with round numbers, and values as pixels in a frame.

Charts are SVG made here, not by a script: they are there without JavaScript, on paper and to a
screen reader, take a few bytes a point and obey the page's content security policy.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from olmes.reports.numbers import is_number
from olmes.tools.visible_text import visible

CHARACTER = 6.2
"""Width of a letter of a tick's label, in pixels."""
LEAST_POINTS = 3
"""Two points are a sentence, not a chart."""


@dataclass(frozen=True, slots=True)
class Axis:
    """A stretch of numbers with round ends, and its ticks."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def part(self, value: float) -> float:
        """Where a value lies, 0 at the low end and 1 at the high one; clipped to the axis."""
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))


@dataclass(frozen=True, slots=True)
class Frame:
    """A drawing in pixels and the margins around its axes."""

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float

    @property
    def x_end(self) -> float:
        """The right end of the x axis."""
        return self.width - self.right

    @property
    def y_end(self) -> float:
        """The low end of the y axis."""
        return self.height - self.bottom

    def x(self, axis: Axis, value: float) -> float:
        """Where a value lies on the x axis, in pixels."""
        return round(self.left + axis.part(value) * (self.x_end - self.left), 1)

    def y(self, axis: Axis, value: float) -> float:
        """Where a value lies on the y axis, which points upwards, in pixels."""
        return round(self.y_end - axis.part(value) * (self.y_end - self.top), 1)


@dataclass(frozen=True, slots=True)
class Tick:
    """A tick: its position in pixels and its words."""

    position: float
    label: str
    label_at: float = 0.0
    """Where the middle of the label is, of an x axis: within the drawing at both ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartData:
    """The numbers of a chart: for the line that follows the pointer and for its CSV (`charts.js`)."""

    name: str
    """Of the files that are saved."""
    columns: tuple[str, ...]
    rows: tuple[tuple[str | float | None, ...], ...]
    """In the order of `columns`, as drawn: shares in percent. Of lines the first number is the index
    of the series, the second the step."""
    series: tuple[str, ...] = ()
    x: tuple[float, float, float, float] | None = None
    """Ends of the x axis, then the same in pixels; None for a chart that is not over steps."""
    words: tuple[str, ...] = ()
    """A row each, as the page writes it; empty where numbers are shown as they are."""

    def to_json(self) -> Mapping[str, Any]:
        """For an attribute of the page; texts with what steers made visible."""
        return {
            "name": visible(self.name),
            "columns": self.columns,
            "rows": [
                [visible(one) if isinstance(one, str) else one for one in r] for r in self.rows
            ],
            "series": [visible(one) for one in self.series],
            "x": self.x,
            "words": self.words,
        }


def rounded(value: float | None) -> float | None:
    """A number with six digits, as charts keep it."""
    return None if value is None or not is_number(value) else float(f"{value:.6g}")


def frame_of(points: int, full: Frame, *, pitch: float, least: float) -> Frame:
    """A frame no wider than its data.

    Args:
        points: along the x axis.
        full: the widest.
        pitch: pixels that a point has room for.
        least: width of the axes at the least.
    """
    axes = min(full.x_end - full.left, max(least, pitch * points))
    return replace(full, width=full.left + axes + full.right)


def with_room(frame: Frame, axis: Axis) -> Frame:
    """A frame whose labels of the y axis are not cut off."""
    needed = 8 + CHARACTER * max(map(len, tick_labels(axis)))
    if needed <= frame.left:
        return frame
    return replace(frame, left=needed, width=frame.width + needed - frame.left)


def fits(frame: Frame, words: str) -> bool:
    """Whether words have room in a line of a drawing."""
    return CHARACTER * len(words) <= frame.width


def round_axis(
    values: Iterable[float | None], *, steps: int = 4, bounds: tuple[float, float] | None = None
) -> Axis:
    """An axis that holds all values between round numbers.

    Args:
        values: what it must hold; those that are missing or not finite do not count.
        steps: about how many stretches between ticks.
        bounds: ends that the axis never exceeds, such as (0, 100).
    """
    known = [value for value in values if value is not None and is_number(value)] or [0.0, 1.0]
    low, high = min(known), max(known)
    if low == high:
        low, high = low - (abs(low) / 2 or 0.5), high + (abs(high) / 2 or 0.5)
        if bounds:
            low, high = max(low, bounds[0]), min(high, bounds[1])
    step = _round_step((high - low) / steps)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = [round(number * step, 10) for number in range(first, last + 1)]
    if bounds:
        ticks = [tick for tick in ticks if bounds[0] <= tick <= bounds[1]]
    return Axis(ticks[0], ticks[-1], tuple(ticks))


def _round_step(step: float) -> float:
    """The next of 1, 2, 2.5, 5 times a power of ten that is not below `step`."""
    power: float = 10.0 ** math.floor(math.log10(step))
    return next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= step * (1 - 1e-9))


def tick_labels(axis: Axis) -> list[str]:
    """The words of an axis' ticks, all in one unit: as few digits as say it, or `12k`, or `1.5M`."""
    largest = max(map(abs, axis.ticks))
    if largest >= 1e9:
        words = [f"{tick:.4g}" for tick in axis.ticks]
    elif largest >= 1e4:
        scale, unit = (1e6, "M") if largest >= 1e6 else (1e3, "k")
        words = [f"{tick / scale:,.10g}{unit}" if tick else "0" for tick in axis.ticks]
    else:
        words = [f"{tick:,.10g}" for tick in axis.ticks]
    return [word.replace("-", "−") for word in words]


def x_ticks(frame: Frame, axis: Axis) -> tuple[Tick, ...]:
    """The ticks of an x axis."""
    found: list[Tick] = []
    for tick, label in zip(axis.ticks, tick_labels(axis), strict=True):
        position, half = frame.x(axis, tick), CHARACTER * len(label) / 2
        middle = max(half, min(position, frame.width - half))
        # A label that would touch the one before it is left out; its tick stays.
        last = next((one for one in reversed(found) if one.label), None)
        touches = last and middle - half < last.label_at + CHARACTER * (len(last.label) + 1) / 2
        found.append(Tick(position, "" if touches else label, round(middle, 1)))
    return tuple(found)


def y_ticks(frame: Frame, axis: Axis) -> tuple[Tick, ...]:
    """The ticks of a y axis."""
    labels = zip(axis.ticks, tick_labels(axis), strict=True)
    return tuple(Tick(frame.y(axis, tick), label) for tick, label in labels)


def path(points: Sequence[tuple[float, float]]) -> str:
    """The `d` of a line through points."""
    return "M" + "L".join(f"{x:g},{y:g}" for x, y in points) if points else ""


def band(upper: Sequence[tuple[float, float]], lower: Sequence[tuple[float, float]]) -> str:
    """The `d` of the area between two lines."""
    return f"{path([*upper, *reversed(lower)])}Z" if upper else ""
