"""The numbers of a chart beside its drawing: in words, for the line that is followed, for the CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from olmes.records.schema import Score
from olmes.records.shown import interval, shown
from olmes.reports import numbers
from olmes.reports.charts import Axis, Frame
from olmes.reports.numbers import is_number
from olmes.tools.visible_text import visible
from olmes.types import Unit


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


def score_words(unit: Unit, one: Linked) -> str:
    """A score at its step, in words."""
    return f"step {one.step:,g}: {one.words(unit)}"


def log_words(name: str, step: float, value: float) -> str:
    """A number of a log at its update, in words."""
    return f"{name + ', ' if name else ''}update {step:,.0f}: {value:.4g}"


def _x(frame: Frame, steps: Axis) -> tuple[float, float, float, float]:
    return steps.low, steps.high, frame.left, frame.x_end


def score_data(
    title: str,
    y_title: str,
    frame: Frame,
    steps: Axis,
    unit: Unit,
    sides: Sequence[Sequence[Linked]],
) -> ChartData:
    """The numbers of scores over steps: development first, then unseen."""
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


def log_data(
    title: str,
    unit: str,
    frame: Frame,
    steps: Axis,
    lines: Mapping[str, Sequence[tuple[float, float]]],
) -> ChartData:
    """The numbers of a log over steps, as they are drawn."""
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
