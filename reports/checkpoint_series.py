"""A training's series: the mean, the tasks, the unseen tasks, each with its best and its latest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from olmes.comparison.best import SharedValues, shared_by_suite, shared_by_task
from olmes.comparison.falls import mean_alarm, task_alarm
from olmes.comparison.items import SharedItems
from olmes.records.record import Record
from olmes.records.schema import MetricScore
from olmes.records.shown import metric_label
from olmes.reports.checkpoint_scores import (
    CheckpointRecords,
    CheckpointScore,
    series_unit,
    suite_series,
    task_series,
)
from olmes.reports.scores import suite_score
from olmes.stats import Alarm, BestOf
from olmes.types import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One task or suite over the checkpoints that have it."""

    title: str
    """With the signs of its metric."""
    task: str
    """'' for the suite."""
    points: Sequence[CheckpointScore]
    metric: MetricScore
    """The latest checkpoint's."""
    unit: Unit
    best: BestOf | None
    """None for unseen tasks, by which nothing is chosen, and where samples are missing."""
    alarm: Alarm | None

    @property
    def fallen(self) -> bool:
        """Whether the latest checkpoint is below an earlier one beyond chance."""
        return self.alarm is not None and self.alarm.raised

    @property
    def of_shared_items(self) -> bool:
        """Whether the best one's number is over fewer items than its record's own."""
        if self.best is None:
            return False
        own = self.points[self.best.index].score.value
        return own is None or not math.isclose(own, self.best.score, abs_tol=1e-6)

    @property
    def best_score(self) -> float | None:
        """The best one's number: its record's own, which a sum in another order may round otherwise."""
        if self.best is None:
            return None
        own = self.points[self.best.index].score.value
        return self.best.score if self.of_shared_items else own


def series_of(
    steps: Sequence[CheckpointRecords],
) -> tuple[Series | None, list[Series], list[Series]]:
    """The suite, its tasks and the unseen tasks; alarms are corrected for how many these are."""
    items = SharedItems()
    means = suite_series(steps, held_out=False)
    tasks, unseen = (task_series(steps, held_out=held_out) for held_out in (False, True))
    count = sum(len(points) > 1 for points in (means, *tasks.values(), *unseen.values()))

    suite = None
    if means and (mean := suite_score(means[-1].record)):
        records = records_of(means)
        shared = shared_by_suite(means[-1].record.run.mean_tasks, records, items)
        alarm = mean_alarm(records, steps_of(means), items, series=count)
        suite = one_series("Suite mean", "", means, mean, shared, alarm)

    def of_task(prefix: str, name: str, points: Sequence[CheckpointScore], choose: bool) -> Series:
        run, records = points[-1].record.run, records_of(points)
        shared = shared_by_task(name, records, items) if choose else None
        alarm = task_alarm(name, records, steps_of(points), items, series=count)
        title = f"{prefix}{run.title(name)}"
        return one_series(title, name, points, run.tasks[name].score, shared, alarm)

    return (
        suite,
        [of_task("", name, points, True) for name, points in tasks.items()],
        [of_task("unseen: ", name, points, False) for name, points in unseen.items()],
    )


def one_series(
    title: str,
    task: str,
    points: Sequence[CheckpointScore],
    metric: MetricScore,
    shared: SharedValues | None,
    alarm: Alarm | None,
) -> Series:
    """A series with what its items say of the best checkpoint."""
    return Series(
        title=metric_label(title, metric),
        task=task,
        points=points,
        metric=metric,
        unit=series_unit(points),
        best=shared.best() if shared else None,
        alarm=alarm,
    )


def records_of(points: Sequence[CheckpointScore]) -> list[Record]:
    """The records of a series."""
    return [point.record for point in points]


def steps_of(points: Sequence[CheckpointScore]) -> list[str]:
    """The names of its checkpoints."""
    return [f"{point.step:,g}" for point in points]
