"""Several responses an item where runs stand side by side: on boards, and beside a difference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from olmes.comparison.boards import Board
from olmes.records.record import Record
from olmes.records.schema import MetricRepeats, Score, TaskResult
from olmes.records.shown import shown
from olmes.records.shown_repeats import readings
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


def primary_repeats(task: TaskResult) -> MetricRepeats | None:
    """What several responses an item say of a task's primary metric; None where each has one."""
    return task.repeats.metrics.get(task.primary) if task.repeats else None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunNoise:
    """How far two runs' numbers move from run to run on the same items, as standard deviations.

    It is the luck of the sampled responses alone. The interval of a difference holds it together with
    the choice of the items.
    """

    a: float | None
    """Of the score of one response an item; None where the run has one response an item."""
    b: float | None
    runs_a: int
    """Responses an item, over whose whole means the standard deviation is."""
    runs_b: int
    difference: float | None
    """Of the difference of the two scores as they are: of means over so many responses."""


def noise_of(name: str, a: Record, b: Record) -> RunNoise | None:
    """The noise beside the difference of two runs on a task; None where neither was repeated."""
    first, second = primary_repeats(a.tasks[name]), primary_repeats(b.tasks[name])
    if not (first and first.sd is not None) and not (second and second.sd is not None):
        return None
    runs = [len(one.means) if one else 1 for one in (first, second)]
    sds = [one.sd if one else None for one in (first, second)]
    known = [sd for sd in sds if sd is not None]
    both = len(known) == len(sds)
    variances = [sd**2 / count for sd, count in zip(known, runs, strict=False)] if both else []
    return RunNoise(
        a=sds[0],
        b=sds[1],
        runs_a=runs[0],
        runs_b=runs[1],
        difference=math.sqrt(math.fsum(variances)) if both else None,
    )


def mean_noise(tasks: Sequence[RunNoise | None]) -> float | None:
    """How far the mean of some tasks' differences moves from run to run; None if one does not say."""
    known = [task.difference for task in tasks if task and task.difference is not None]
    if not known or len(known) < len(tasks):
        return None
    return math.sqrt(math.fsum(sd**2 for sd in known)) / len(known)


def noise_words(noise: RunNoise, unit: Unit) -> str:
    """The noise of two runs and of their difference, in a sentence."""
    points = " points" if unit == "share" else ""
    said = [
        f"{letter} by {shown(sd, unit)}{points} (sd over {runs} runs)"
        for letter, sd, runs in (("A", noise.a, noise.runs_a), ("B", noise.b, noise.runs_b))
        if sd is not None
    ]
    words = f"from run to run on the same items one response an item moves {' and '.join(said)}"
    if noise.difference is not None:
        return f"{words}, the difference of their means by {shown(noise.difference, unit)}{points}"
    letter = "A" if noise.a is None else "B"
    return f"{words}; {letter} has one response an item, so that its own noise is not known"
