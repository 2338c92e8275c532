"""A training's checkpoints: which records count, and which items all of them share."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from olmes import stats
from olmes.comparison.alignment import has_samples
from olmes.comparison.items import SharedItems, common_items
from olmes.records.record import Record
from olmes.seal.ledger import Ledger
from olmes.stats import Alarm, BestOf


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
    estimate: dict[str, Any]


def checkpoints_of(
    found: Iterable[tuple[float, Record]],
) -> tuple[list[CheckpointRecords], list[str]]:
    """Records by step, and what was left out.

    A record of held-out tasks counts only where its look is in the ledger beside it: a number that
    nobody answers for is not drawn.
    """
    steps: dict[float, CheckpointRecords] = {}
    notes = []
    newest_first = sorted(found, key=lambda pair: str(pair[1].data["created"]), reverse=True)
    for step, record in newest_first:
        checkpoint = steps.setdefault(step, CheckpointRecords(step))
        if not record.data.get("held_out"):
            checkpoint.dev.append(record)
        elif look_is_in_ledger(record):
            checkpoint.unseen.append(record)
        else:
            notes.append(f"{record.id}: its look is not in the ledger, so it is not drawn")
    return [steps[step] for step in sorted(steps)], notes


def look_is_in_ledger(record: Record) -> bool:
    """Whether the store's ledger has the line that a record of held-out tasks names."""
    named = record.data["held_out"]["ledger"]
    return any(
        entry.get("number") == named["number"] and entry.get("hash") == named["hash"]
        for entry in Ledger(record.folder.resolve().parent).entries()
    )


def task_series(
    checkpoints: Sequence[CheckpointRecords], *, held_out: bool
) -> dict[str, list[CheckpointScore]]:
    """By task, its primary metric at each checkpoint that has a number for it.

    Where the formulation or the data changed under way, the latest ones' numbers alone are kept.
    """
    series: dict[str, list[CheckpointScore]] = {}
    for checkpoint in checkpoints:
        seen: set[str] = set()
        for record in checkpoint.unseen if held_out else checkpoint.dev:
            names = record.data["held_out"]["tasks"] if held_out else record.tasks
            for name in names:
                task = record.tasks[name]
                estimate = task["metrics"][task["primary"]]
                if name not in seen and estimate["value"] is not None:
                    seen.add(name)
                    series.setdefault(name, []).append(
                        CheckpointScore(checkpoint.step, record, estimate)
                    )
    return {name: _latest_version(name, points) for name, points in series.items()}


def _latest_version(name: str, points: list[CheckpointScore]) -> list[CheckpointScore]:
    def version(point: CheckpointScore) -> tuple[str, str]:
        task = point.record.tasks[name]
        return task["formulation_hash"], task["data"]["content_hash"]

    return [point for point in points if version(point) == version(points[-1])]


def suite_series(
    checkpoints: Sequence[CheckpointRecords], *, held_out: bool
) -> list[CheckpointScore]:
    """The newest suite's mean at each checkpoint that has all of it."""
    found = []
    for checkpoint in checkpoints:
        for record in checkpoint.unseen if held_out else checkpoint.dev:
            suite = record.data.get("suite")
            if suite and suite["value"] is not None and suite.get("complete", True):
                found.append(CheckpointScore(checkpoint.step, record, suite))
                break
    return [
        point
        for point in found
        if point.record.data["suite"]["name"] == found[-1].record.data["suite"]["name"]
    ]


@dataclass(frozen=True, slots=True)
class Shared:
    """The items that all checkpoints of a series have a value for."""

    values: Sequence[Sequence[float]]
    """Items by checkpoints; of a suite, higher is better whatever the metric."""
    clusters: Sequence[Hashable]
    strata: Sequence[Hashable] | None
    sizes: Sequence[float] | None
    higher_is_better: bool

    def best(self) -> BestOf:
        """The best checkpoint, allowing for the choice."""
        return stats.best_of(
            self.values,
            clusters=self.clusters,
            strata=self.strata,
            sizes=self.sizes,
            higher_is_better=self.higher_is_better,
        )

    def alarm(self, names: Sequence[str]) -> Alarm | None:
        """Whether the latest checkpoint has fallen below an earlier one."""
        return stats.regression_alarm(
            self.values,
            names,
            clusters=self.clusters,
            strata=self.strata,
            sizes=self.sizes,
            higher_is_better=self.higher_is_better,
        )


def shared_by_task(
    name: str, points: Sequence[CheckpointScore], items: SharedItems
) -> Shared | None:
    """The items of one task; None where samples are missing or there is one checkpoint."""
    if not _comparable([name], points):
        return None
    task = points[-1].record.tasks[name]
    values, labels, _ = items.of(name, [point.record for point in points])
    macro = (task.get("formulation") or {}).get("aggregate") == "macro"
    higher = task["metrics"][task["primary"]].get("higher_is_better", True)
    strata = [label[0] for label in labels] if macro else None
    return Shared(values, labels, strata, None, higher) if values else None


def shared_by_suite(points: Sequence[CheckpointScore], items: SharedItems) -> Shared | None:
    """The items of a suite, every task weighing the same."""
    if not points or not _comparable(list(points[-1].record.tasks), points):
        return None
    values, clusters, sizes = common_items(
        [point.record for point in points], list(points[-1].record.tasks), items
    )
    strata = [label[0] for label in clusters]
    return Shared(values, clusters, strata, sizes, True) if values else None


def _comparable(names: Sequence[str], points: Sequence[CheckpointScore]) -> bool:
    """Whether there is a choice, and samples to judge it by."""
    return len(points) > 1 and all(
        name in point.record.tasks and has_samples(name, point.record)
        for point in points
        for name in names
    )
