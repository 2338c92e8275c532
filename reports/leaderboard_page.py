"""The leaderboard of a store: runs ranked where they can be, and who differs beyond chance."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from olmes.comparison.boards import (
    Board,
    boards_of,
    mean_of,
    pairwise,
    title_of,
    unit_of,
)
from olmes.records.aggregate import common_unit
from olmes.records.record import Record
from olmes.records.schema import MetricScore
from olmes.records.shown import difference_interval, shown_difference, signs_of
from olmes.reports.dates import date
from olmes.reports.held_out import look_line
from olmes.reports.links import HELD_OUT, page_link, samples_link
from olmes.reports.page import render_page
from olmes.reports.scores import ScoreView, legend_of, score_view
from olmes.stats import PairedDifference
from olmes.tools import jsonl

GLYPHS = {"better": "▲", "worse": "▼", "tied": "=", "not enough data": "·"}
"""Verdicts in the matrix, distinct without colour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One run on a board."""

    rank: int
    ranks: str
    """The ranks that the comparisons leave open, such as `1 to 3`; '' where nothing was compared."""
    name: str
    link: str
    created: str
    look: str
    """Of a held-out run: which look it was, and the development score at that time."""
    cells: tuple[ScoreView, ...]
    """The mean, then every task."""
    values: tuple[float, ...]
    """By which the columns are sorted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardColumn:
    """The mean or a task."""

    title: str
    signs: tuple[str, ...]
    ascending: bool
    """Whether the best is the lowest, by which a first click sorts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardCell:
    """One run against another."""

    glyph: str
    verdict: str
    difference: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardView:
    """A board, ready to be shown."""

    id: str
    title: str
    version: str
    tags: tuple[str, ...]
    """Why the whole board cannot be compared with published numbers."""
    columns: tuple[BoardColumn, ...]
    legend: str
    """What the signs of the columns mean."""
    shares: bool
    """Whether any column is one of percentages."""
    points: bool
    """Whether runs are compared in percentage points."""
    lines: tuple[Line, ...]
    matrix: tuple[tuple[BoardCell | None, ...], ...]
    """Row less column; empty where nothing was compared."""
    pairs: int


def write_leaderboard_page(records: Iterable[Record], output: Path) -> Path:
    """Write the leaderboard of some runs.

    Args:
        records: any runs; those of other suites, formulations or data stand on boards of their own,
            and those on demo data, incomplete or limited ones on none.
        output: the HTML file to write.

    Returns:
        `output`.
    """
    boards, left_out = boards_of(records)
    context = {
        "boards": [_board(board, output) for board in boards],
        "left_out": [
            (
                record.run.model.name,
                record.id,
                page_link(record.folder, output),
                title_of(record),
                why,
            )
            for record, why in left_out
        ],
        "models": len({r.run.model.fingerprint for b in boards for r in b.records}),
    }
    page = render_page("leaderboard.html.jinja", context, scripts=("leaderboard.js",))
    jsonl.write_atomically(output, page)
    return output


def _board(board: Board, output: Path) -> BoardView:
    found = pairwise(board.records)
    metrics = [metric for _, metric in _columns(board.records[0])]
    verdicts = _verdicts(found, len(board.records)) if found else None
    return BoardView(
        id=f"board-{board.version}",
        title=board.title,
        version=board.version,
        tags=tuple(
            tag
            for tag, holds in (
                ("not standard", not board.standard),
                ("data differs", not board.official),
            )
            if holds
        ),
        columns=tuple(
            BoardColumn(
                title=board.records[0].run.title(name) if name else "Mean",
                signs=tuple(signs_of(metric)),
                ascending=not metric.higher_is_better,
            )
            for name, metric in _columns(board.records[0])
        ),
        legend=legend_of(metrics),
        shares=any(metric.unit == "share" for metric in metrics),
        points=common_unit(map(unit_of, board.records)) == "share",
        lines=tuple(
            _line(index, record, verdicts, output) for index, record in enumerate(board.records)
        ),
        matrix=_matrix(board.records, found) if found else (),
        pairs=len(found or ()),
    )


def _columns(record: Record) -> list[tuple[str, MetricScore]]:
    """The mean of a run ('') and its tasks; the mean of one task is that task."""
    tasks = [(name, task.score) for name, task in record.tasks.items()]
    if len(tasks) == 1:
        return tasks
    mean = MetricScore.of(
        mean_of(record), unit=unit_of(record), higher_is_better=record.run.higher_is_better
    )
    return [("", mean), *tasks]


def _line(index: int, record: Record, verdicts: list[list[str]] | None, output: Path) -> Line:
    columns = _columns(record)
    look = record.run.held_out
    ranks = ""
    if verdicts:
        low = 1 + verdicts[index].count("worse")
        high = len(verdicts) - verdicts[index].count("better")
        ranks = f"{low} to {high}" if low < high else ""
    return Line(
        rank=index + 1,
        ranks=ranks,
        name=record.run.model.name,
        link=page_link(record.folder, output),
        created=date(record.run.created),
        look=look_line(look) if look else "",
        cells=tuple(
            score_view(
                metric,
                metric=record.tasks[name].primary if name else "mean",
                unit=metric.unit,
                link=page_link(record.folder, output, _fragment(record, name)),
            )
            for name, metric in columns
        ),
        # A run on a board has a number for every task.
        values=tuple(round(metric.value or 0.0, 6) for _, metric in columns),
    )


def _fragment(record: Record, name: str) -> str:
    """Where the samples behind a column are on the page of a run; of the mean, all of them."""
    if not name:
        return "#main"
    return HELD_OUT if record.sealed(name) else samples_link(task=name)


def _verdicts(found: dict[tuple[int, int], PairedDifference], count: int) -> list[list[str]]:
    """What each run is against each other: itself is ''."""
    opposite = {"better": "worse", "worse": "better"}
    table = [[""] * count for _ in range(count)]
    for (one, other), difference in found.items():
        table[one][other] = difference.verdict
        table[other][one] = opposite.get(difference.verdict, difference.verdict)
    return table


def _matrix(
    records: list[Record], found: dict[tuple[int, int], PairedDifference]
) -> tuple[tuple[BoardCell | None, ...], ...]:
    table = _verdicts(found, len(records))
    unit = common_unit(map(unit_of, records))
    points = " points" if unit == "share" else ""

    def cell(row: int, column: int) -> BoardCell | None:
        if row == column:
            return None
        difference = found[min(row, column), max(row, column)]
        sign = 1 if row < column else -1
        ends = [
            None if end is None else sign * end for end in (difference.ci_low, difference.ci_high)
        ][::sign]
        verdict = table[row][column]
        p = difference.p_adjusted
        text = shown_difference(sign * difference.difference, unit)
        low, high = ends
        words = (
            f"{records[row].run.model.name} less {records[column].run.model.name}: "
            f"{text}{points} {difference_interval(low, high, unit)}, "
            f"{'p < 0.001' if p < 0.001 else f'p = {p:.3f}'}, {verdict}"
        )
        return BoardCell(glyph=GLYPHS[verdict], verdict=verdict, difference=text, words=words)

    indices = range(len(records))
    return tuple(tuple(cell(row, column) for column in indices) for row in indices)
