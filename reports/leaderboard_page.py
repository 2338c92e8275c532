"""The leaderboard of a store: runs ranked where they can be, and who differs beyond chance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from olmes.comparison.boards import Board, BoardColumn, boards_of, tags_of, title_of
from olmes.comparison.overlap import run_overlap
from olmes.comparison.overlap_words import marked_line, overlap_lines
from olmes.comparison.pairs import open_ranks, pairwise, verdict_table
from olmes.comparison.repeats import BoardRepeats, board_repeats
from olmes.records.aggregate import run_mean
from olmes.records.record import Record
from olmes.records.shown import (
    MISSING,
    count_over,
    difference_interval,
    shown,
    shown_difference,
    shown_interval,
    shown_thoughts,
    signs_of,
)
from olmes.records.shown_repeats import RepeatCell, repeat_cell, repeat_legend
from olmes.reports.dates import date
from olmes.reports.held_out import look_line
from olmes.reports.links import HELD_OUT, page_link, samples_link
from olmes.reports.notices import DEMO_DATA, ONLY_RUNS, demo_notice
from olmes.reports.page import render_page
from olmes.reports.scores import ScoreView, legend_of, score_view
from olmes.stats import PairedDifference
from olmes.stats.verdicts import GLYPHS
from olmes.tools import jsonl
from olmes.types import Unit


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
    """The mean, where there is one, then every task."""
    counts: tuple[str, ...]
    """Beside each, over how many items it is; '' where the column says so."""
    thoughts: tuple[tuple[str, ...], ...]
    """Below each, the share of responses whose thought never ended or that hold its marks."""
    values: tuple[float, ...]
    """By which the columns are sorted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnHead:
    """The mean or a task."""

    title: str
    signs: tuple[str, ...]
    ascending: bool
    """Whether the best is the lowest, by which a first click sorts."""
    count: str
    """Over how many items every number is; '' where they differ and stand beside the numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardCell:
    """One run against another."""

    glyph: str
    verdict: str
    difference: str
    words: str
    link: str
    """The page on which the two are compared; '' where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatsView:
    """What several responses an item say of one task on a board."""

    title: str
    metric: str
    heads: tuple[str, ...]
    rows: tuple[tuple[RepeatCell, ...], ...]
    """One a run, a cell a head."""
    noise: tuple[str, ...]
    """Of each run."""
    legend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardView:
    """A board, ready to be shown."""

    id: str
    title: str
    version: str
    demo: bool
    """Whether its numbers are of demo data, which a banner says."""
    tags: tuple[str, ...]
    """Why the whole board cannot be compared with published numbers."""
    ranked: int
    """The place of the column that the ranks are by."""
    order: str
    """What the ranks are by, where that is not the mean; else ''."""
    columns: tuple[ColumnHead, ...]
    legend: str
    """What the signs of the columns mean."""
    shares: bool
    """Whether any column is one of percentages."""
    compared: str
    """The number by which the runs are compared in pairs."""
    points: bool
    """Whether runs are compared in percentage points."""
    lines: tuple[Line, ...]
    matrix: tuple[tuple[BoardCell | None, ...], ...]
    """Row less column; empty where nothing was compared."""
    overlaps: tuple[str, ...]
    """What items have in common with the training data of a run's model, a line a run and task."""
    repeats: tuple[RepeatsView, ...]
    """Tasks with several responses an item."""
    folders: tuple[str, ...]
    """Of the runs, by name, for a command."""
    pairs: int
    not_compared: str
    """Why no pair was compared; '' where all were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRankedLine:
    """A run that is on no board, with its score all the same."""

    name: str
    run: str
    link: str
    title: str
    """What it is a run of."""
    why: str
    look: str
    score: str
    interval: str
    n: str


PairLink = Callable[[str, str], str]
"""The address of the page that compares two runs: the baseline's name, then the candidate's."""


def write_leaderboard_page(
    records: Iterable[Record], output: Path, *, compare_link: PairLink | None = None
) -> Path:
    """Write the leaderboard of some runs.

    Args:
        records: any runs; those of other suites, formulations, data or items stand on boards of their
            own, and those without a number or not complete on none.
        output: the HTML file to write.
        compare_link: where the comparison of two runs is; without it the page says by which command
            to make one.

    Returns:
        `output`.
    """
    boards, left_out = boards_of(records)
    context = {
        "boards": [_board(board, output, compare_link) for board in boards],
        "left_out": [_not_ranked(record, why, output) for record, why in left_out],
        "models": len({r.run.model.fingerprint for b in boards for r in b.records}),
        "linked": compare_link is not None,
        "demo": demo_notice(f"{DEMO_DATA[:1].upper()}{DEMO_DATA[1:]}. {ONLY_RUNS}"),
    }
    page = render_page("leaderboard.html.jinja", context, scripts=("leaderboard.js",))
    jsonl.write_atomically(output, page)
    return output


def _not_ranked(record: Record, why: str, output: Path) -> NotRankedLine:
    run = record.run
    mean = run_mean(run)
    # One number at the most: that of the suite, or of the only task.
    score = mean or (next(iter(run.tasks.values())).score if len(run.tasks) == 1 else None)
    tasks = [run.tasks[name] for name in run.mean_tasks] if mean else list(run.tasks.values())
    return NotRankedLine(
        name=run.model.name,
        run=record.id,
        link=page_link(record.folder, output),
        title=title_of(record),
        why=why,
        look=look_line(run.held_out, record.altered),
        score=shown(score.value, score.unit) if score else MISSING,
        interval=shown_interval(score, score.unit) if score and score.value is not None else "",
        n=count_over(score.n, tasks) if score and score.value is not None else "",
    )


def _board(board: Board, output: Path, compare_link: PairLink | None) -> BoardView:
    columns = board.columns()
    compared = next(one for one in columns if list(one.tasks) == board.ranked_by)
    pairs = pairwise(board.records, board.ranked_by)
    found = pairs.differences
    verdicts = verdict_table(found, len(board.records)) if found else []
    return BoardView(
        id=f"board-{board.version}",
        title=board.title,
        version=board.version,
        demo=board.demo,
        tags=tuple(tags_of(board)),
        ranked=columns.index(compared),
        order=board.order_in_words,
        columns=tuple(
            ColumnHead(
                title=column.title,
                signs=tuple(signs_of(column.scores[0])),
                ascending=not column.higher_is_better,
                count=column.count,
            )
            for column in columns
        ),
        legend=legend_of(column.scores[0] for column in columns),
        shares=any(column.unit == "share" for column in columns),
        compared=compared.title,
        points=compared.unit == "share",
        lines=tuple(
            _line(index, record, columns, verdicts, output)
            for index, record in enumerate(board.records)
        ),
        matrix=_matrix(board.records, found, verdicts, compared.unit, compare_link),
        overlaps=tuple(
            f"{record.run.model.name}: {line}"
            for record in board.records
            for line in overlap_lines(run_overlap(record))
        ),
        repeats=tuple(map(_repeats, board_repeats(board))),
        folders=tuple(record.folder.name for record in board.records),
        pairs=len(found),
        not_compared=pairs.why_not,
    )


def _repeats(found: BoardRepeats) -> RepeatsView:
    return RepeatsView(
        title=found.title,
        metric=found.metric,
        heads=tuple(column.name for column in found.columns),
        rows=tuple(
            tuple(repeat_cell(column.scores[place], found.unit) for column in found.columns)
            for place in range(len(found.noise))
        ),
        noise=tuple(shown(sd, found.unit) for sd in found.noise),
        legend=repeat_legend([column.name for column in found.columns]),
    )


def _line(
    index: int,
    record: Record,
    columns: Sequence[BoardColumn],
    verdicts: list[list[str]],
    output: Path,
) -> Line:
    look, overlap = record.run.held_out, run_overlap(record)
    ranks = ""
    if verdicts:
        low, high = open_ranks(verdicts[index])
        ranks = f"{low} to {high}" if low < high else ""
    return Line(
        rank=index + 1,
        ranks=ranks,
        name=record.run.model.name,
        link=page_link(record.folder, output),
        created=date(record.run.created),
        look=look_line(look, record.altered),
        cells=tuple(
            score_view(
                column.scores[index],
                metric=record.tasks[column.name].primary if column.name else "mean",
                unit=column.unit,
                link=page_link(record.folder, output, _fragment(record, column.name)),
                overlap=marked_line(overlap, column.name),
            )
            for column in columns
        ),
        counts=tuple("" if column.count else column.counts[index] for column in columns),
        thoughts=tuple(
            tuple(shown_thoughts(record.tasks[name] for name in column.tasks)) for column in columns
        ),
        values=tuple(round(column.values[index], 6) for column in columns),
    )


def _fragment(record: Record, name: str) -> str:
    """Where the samples behind a column are on the page of a run; of the mean, all of them."""
    if not name:
        return "#main"
    return HELD_OUT if record.sealed(name) else samples_link(task=name)


def _matrix(
    records: list[Record],
    found: dict[tuple[int, int], PairedDifference],
    table: list[list[str]],
    unit: Unit,
    compare_link: PairLink | None,
) -> tuple[tuple[BoardCell | None, ...], ...]:
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
            f"{'p < 0.001' if p < 0.001 else f'p = {p:.3f}'}, {verdict} (n = {difference.n:,})"
        )
        link = compare_link(records[column].id, records[row].id) if compare_link else ""
        return BoardCell(
            glyph=GLYPHS[verdict], verdict=verdict, difference=text, words=words, link=link
        )

    indices = range(len(table))
    return tuple(tuple(cell(row, column) for column in indices) for row in indices)
