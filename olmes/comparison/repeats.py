"""Several responses an item on a board: what they say of every run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from olmes.comparison.boards import Board
from olmes.records.schema import MetricRepeats, Score
from olmes.records.shown_repeats import primary_repeats, readings
from olmes.types import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatColumn:
    """One number of k responses an item, of every run on a board; None where a run has none."""

    name: str
    """`pass@4`."""
    scores: tuple[Score | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardRepeats:
    """What several responses an item say of one task, run by run in the board's order."""

    task: str
    title: str
    metric: str
    unit: Unit
    columns: tuple[RepeatColumn, ...]
    noise: tuple[float | None, ...]
    """The run-to-run standard deviation of each run."""


def board_repeats(board: Board) -> list[BoardRepeats]:
    """The tasks of a board that have several responses an item; runs of a board have as many."""
    found = []
    for name in board.records[0].tasks:
        runs = [primary_repeats(record.tasks[name]) for record in board.records]
        if any(runs):
            found.append(of_task(board, name, runs))
    return found


def of_task(board: Board, name: str, runs: Sequence[MetricRepeats | None]) -> BoardRepeats:
    """One of them, at the k that its first run shows."""
    tasks = [record.tasks[name].repeats for record in board.records]
    shown_k = next(task.k for task in tasks if task)
    wanted = [k for k in shown_k if k > 1] or shown_k
    numbers = [
        {reading.name: reading.score for reading in readings(run, wanted)} if run else {}
        for run in runs
    ]
    names = dict.fromkeys(reading for own in numbers for reading in own)
    kinds = dict.fromkeys(reading.rstrip("0123456789") for reading in names)
    ordered = [reading for kind in kinds for reading in names if reading.startswith(kind)]
    return BoardRepeats(
        task=name,
        title=board.records[0].run.title(name),
        metric=board.records[0].tasks[name].primary,
        unit=board.unit(name),
        columns=tuple(
            RepeatColumn(name=reading, scores=tuple(own.get(reading) for own in numbers))
            for reading in ordered
        ),
        noise=tuple(run.sd if run else None for run in runs),
    )
