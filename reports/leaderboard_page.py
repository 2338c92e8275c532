"""The leaderboard of a store: runs ranked where they can be, and who differs beyond chance."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olmes.comparison.boards import Board, boards_of, estimate_of, pairwise, task_titles
from olmes.records.record import Record
from olmes.reports import numbers
from olmes.reports.dates import date
from olmes.reports.held_out import look_line
from olmes.reports.links import HELD_OUT, samples_link
from olmes.reports.page import render_page
from olmes.reports.places import page_link
from olmes.reports.scores import Score, score
from olmes.stats import PairedDifference
from olmes.tools import jsonl

GLYPHS = {"better": "▲", "worse": "▼", "tied": "=", "not enough data": "·"}
"""Verdicts in the matrix, told apart without colour."""


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
    cells: tuple[Score, ...]
    """The mean, then every task."""
    values: tuple[float, ...]
    """By which the columns are sorted."""


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
    """Why the whole board cannot be set beside published numbers."""
    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    matrix: tuple[tuple[BoardCell | None, ...], ...]
    """Row less column; empty where nothing was compared."""
    pairs: int


def write_leaderboard_page(records: Iterable[Record], output: Path) -> Path:
    """Write the leaderboard of some runs.

    Args:
        records: any runs; those of other suites, formulations or data stand on boards of their own,
            and those on sample data, incomplete or limited ones on none.
        output: the HTML file to write.

    Returns:
        `output`.
    """
    boards, left_out = boards_of(records)
    context = {
        "boards": [_board(board, output) for board in boards],
        "left_out": [
            (_name(record), record.id, page_link(record.folder, output), _title(record), why)
            for record, why in left_out
        ],
        "models": len({r.data["model"]["fingerprint"] for b in boards for r in b.records}),
    }
    page = render_page("leaderboard.html.jinja", context, scripts=("leaderboard.js",))
    jsonl.write_atomically(output, page)
    return output


def _board(board: Board, output: Path) -> BoardView:
    found = pairwise(board.records)
    names = list(board.records[0].tasks)
    titles = task_titles(board.records[0])
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
        columns=tuple(titles) if len(titles) == 1 else ("Mean", *titles),
        lines=tuple(
            _line(place, record, names, verdicts, output)
            for place, record in enumerate(board.records)
        ),
        matrix=_matrix(board.records, found) if found else (),
        pairs=len(found or ()),
    )


def _line(
    place: int,
    record: Record,
    names: list[str],
    verdicts: list[list[str]] | None,
    output: Path,
) -> Line:
    mean = estimate_of(record)
    estimates = [record.tasks[name]["metrics"][record.tasks[name]["primary"]] for name in names]
    links = [page_link(record.folder, output, "#main")] + [
        page_link(
            record.folder, output, HELD_OUT if record.sealed(name) else samples_link(task=name)
        )
        for name in names
    ]
    metrics = ["mean", *(record.tasks[name]["primary"] for name in names)]
    shown = list(zip([mean, *estimates], metrics, links, strict=True))
    if len(names) == 1:  # the mean of one task is that task
        shown = shown[1:]
    held = record.data.get("held_out")
    ranks = ""
    if verdicts:
        low = 1 + verdicts[place].count("worse")
        high = len(verdicts) - verdicts[place].count("better")
        ranks = f"{low} to {high}" if low < high else ""
    return Line(
        rank=place + 1,
        ranks=ranks,
        name=_name(record),
        link=page_link(record.folder, output),
        created=date(str(record.data["created"])),
        look=look_line(held) if held else "",
        cells=tuple(score(estimate, metric=metric, link=link) for estimate, metric, link in shown),
        values=tuple(round(float(one["value"]), 6) for one, _, _ in shown),
    )


def _verdicts(found: dict[tuple[int, int], PairedDifference], count: int) -> list[list[str]]:
    """What each run is against each other: its own place is left as ''."""
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
        words = (
            f"{_name(records[row])} less {_name(records[column])}: "
            f"{numbers.points(sign * difference.difference)} points "
            f"{numbers.points_interval(*ends)}, "
            f"{'p < 0.001' if p < 0.001 else f'p = {p:.3f}'}, {verdict}"
        )
        text = numbers.points(sign * difference.difference)
        return BoardCell(glyph=GLYPHS[verdict], verdict=verdict, difference=text, words=words)

    places = range(len(records))
    return tuple(tuple(cell(row, column) for column in places) for row in places)


def _name(record: Record) -> str:
    return str(record.data["model"]["name"])


def _title(record: Record) -> str:
    suite: dict[str, Any] | None = record.data.get("suite")
    return str(suite["title"]) if suite else ", ".join(task_titles(record))
