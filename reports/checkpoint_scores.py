"""A training's checkpoints: which records count, and every score over the steps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from olmes.records.aggregate import common_unit
from olmes.records.record import Record
from olmes.records.schema import MetricScore, SuiteResult
from olmes.seal.ledger import Ledger
from olmes.types import Unit


@dataclass(slots=True)
class CheckpointRecords:
    """One step of a training and its records, newest first."""

    step: float
    dev: list[Record] = field(default_factory=list)
    unseen: list[Record] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class CheckpointScore:
    """A number of one checkpoint."""

    step: float
    record: Record
    score: MetricScore | SuiteResult


def checkpoints_of(
    found: Iterable[tuple[float, Record]],
) -> tuple[list[CheckpointRecords], list[str]]:
    """Records by step, and what was left out.

    A record of held-out tasks counts only where its look is in the ledger beside it: a number that
    nobody answers for is not drawn.
    """
    steps: dict[float, CheckpointRecords] = {}
    notes = []
    newest_first = sorted(found, key=lambda pair: pair[1].run.created, reverse=True)
    for step, record in newest_first:
        checkpoint = steps.setdefault(step, CheckpointRecords(step))
        if not record.run.held_out:
            checkpoint.dev.append(record)
        elif look_is_in_ledger(record):
            checkpoint.unseen.append(record)
        else:
            notes.append(f"{record.id}: its look is not in the ledger, so it is not drawn")
    return [steps[step] for step in sorted(steps)], notes


def look_is_in_ledger(record: Record) -> bool:
    """Whether the store's ledger has the line that a record of held-out tasks names."""
    look = record.run.held_out
    return look is not None and any(
        entry.get("number") == look.ledger.number and entry.get("hash") == look.ledger.hash
        for entry in Ledger(record.store).entries()
    )


def task_series(
    checkpoints: Sequence[CheckpointRecords], *, held_out: bool
) -> dict[str, list[CheckpointScore]]:
    """By task, its primary metric at each checkpoint that has a number for it.

    Where the formulation or the data changed under way, only the latest ones' numbers are there.
    """
    series: dict[str, list[CheckpointScore]] = {}
    for checkpoint in checkpoints:
        seen: set[str] = set()
        for record in checkpoint.unseen if held_out else checkpoint.dev:
            look = record.run.held_out
            for name in look.tasks if held_out and look else record.tasks:
                score = record.tasks[name].score
                if name not in seen and score.estimate:
                    seen.add(name)
                    point = CheckpointScore(checkpoint.step, record, score)
                    series.setdefault(name, []).append(point)
    return {name: _latest_version(name, points) for name, points in series.items()}


def _latest_version(name: str, points: list[CheckpointScore]) -> list[CheckpointScore]:
    def version(point: CheckpointScore) -> tuple[str, str]:
        task = point.record.tasks[name]
        return task.formulation_hash, task.data.content_hash

    return [point for point in points if version(point) == version(points[-1])]


def suite_series(
    checkpoints: Sequence[CheckpointRecords], *, held_out: bool
) -> list[CheckpointScore]:
    """The newest suite's mean at each checkpoint that has all of it."""
    found: list[tuple[str, CheckpointScore]] = []
    for checkpoint in checkpoints:
        for record in checkpoint.unseen if held_out else checkpoint.dev:
            suite = record.run.suite
            if suite and suite.estimate and suite.complete:
                found.append((suite.name, CheckpointScore(checkpoint.step, record, suite)))
                break
    return [point for name, point in found if name == found[-1][0]]


def series_unit(points: Iterable[CheckpointScore]) -> Unit:
    """The unit of a series: of older records, which state none, that of the largest number."""
    return common_unit(point.score.unit for point in points)
