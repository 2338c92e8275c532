"""The score of a run that goes on: a task's primary metric over the responses scored so far."""

from __future__ import annotations

import threading
from collections import Counter

from olmes.benchmark.task import Task
from olmes.records.aggregate import Clusters, Sums, overall
from olmes.records.items import parts_of
from olmes.records.schema import MetricScore, ResponseRow


class RunningScore:
    """One task's primary metric, from rows in the order in which they are scored.

    When the last response is scored it is the record's number, but for the order of the sum. Safe to
    fill from several threads.
    """

    def __init__(self, task: Task) -> None:
        self.metric = next(metric for metric in task.metrics if metric.name == task.primary)
        self.aggregate = task.formulation.aggregate
        self.clusters = Clusters()
        self.sums = Sums(self.clusters)
        self.sizes: Counter[str] = Counter()
        """Rows by sub-task."""
        self.lock = threading.Lock()

    def add(self, row: ResponseRow) -> None:
        """Count a scored response in; one without a value of the metric is not in its mean."""
        with self.lock:
            self.sizes[row["subtask"]] += 1
            if (value := row["values"].get(self.metric.name)) is not None:
                parts = parts_of(row, self.metric.name)
                self.sums.add(self.clusters.number(row), parts, over_parts=isinstance(value, list))

    @property
    def score(self) -> MetricScore | None:
        """The metric over what is scored so far; None before the first value."""
        with self.lock:
            found = overall(self.sums, self.sizes, self.aggregate)
            share = self.sums.is_share()
        if found is None:
            return None
        return MetricScore.of(
            found,
            honest=self.metric.honest,
            higher_is_better=self.metric.higher_is_better,
            unit=self.metric.unit if share else "number",
        )


def running_score(task: Task) -> RunningScore | None:
    """The running score of a task; None where its primary metric is known from all responses alone."""
    settled = {metric.name for metric in task.metrics if metric.settled}
    return None if task.primary in settled else RunningScore(task)
