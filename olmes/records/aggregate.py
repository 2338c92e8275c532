"""From rows to numbers: metrics with their errors, sub-tasks, counts, and the suite's mean."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import compress
from typing import Any

from olmes import stats
from olmes.benchmark.metrics import Metric
from olmes.benchmark.task import Task
from olmes.records.record import Row
from olmes.runs.score_sheet import FLAGS
from olmes.stats import Estimate

NOTHING = {"value": None, "stderr": None, "ci_low": None, "ci_high": None, "n": 0}


def task_numbers(task: Task, rows: Iterable[Row]) -> dict[str, Any]:
    """The numbers of one task's rows: `n`, `metrics`, `subtasks`, `counts`, `tokens`."""
    numbers = TaskNumbers(task)
    for row in rows:
        numbers.add(row)
    return numbers.entry()


class TaskNumbers:
    """The numbers of one task, from rows that are added one by one, in their order, and not kept.

    A row without a value for a metric (its request failed, its scorer broke) is not in that metric's
    `n`; it is in the counts.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.clusters = Clusters()
        self.sums = {metric.name: Sums(self.clusters) for metric in task.metrics}
        self.sizes: Counter[str] = Counter()
        """Rows by sub-task."""
        self.counts: Counter[str] = Counter()
        self.tokens = {"prompt": 0, "completion": 0}

    def add(self, row: Row) -> None:
        """Count one row in."""
        self.sizes[row["subtask"]] += 1
        for flag in row["flags"]:
            self.counts[flag] += 1
        if response := row["response"]:
            for kind in self.tokens:
                self.tokens[kind] += response[f"{kind}_tokens"]
        values = row["values"]
        cluster = -1
        for name, sums in self.sums.items():
            if (value := values.get(name)) is not None:
                if cluster < 0:
                    cluster = self.clusters.number(row)
                sums.add(cluster, value)

    def entry(self) -> dict[str, Any]:
        """The numbers of the rows so far."""
        return {
            "n": self.sizes.total(),
            "metrics": {
                metric.name: self.overall(metric)
                | {
                    "help": metric.help,
                    "honest": metric.honest,
                    "higher_is_better": metric.higher_is_better,
                }
                for metric in self.task.metrics
            },
            "subtasks": {
                name: {
                    "n": self.sizes[name],
                    "metrics": {
                        metric: as_json(sums.estimated(name)) for metric, sums in self.sums.items()
                    },
                }
                for name in sorted(self.sizes)
                if name
            },
            "counts": {flag: self.counts[flag] for flag in FLAGS},
            "tokens": dict(self.tokens),
        }

    def overall(self, metric: Metric) -> dict[str, Any]:
        """A metric over the task: over all items, or the mean of its sub-tasks' values."""
        sums = self.sums[metric.name]
        pooled = sums.estimated()
        macro = self.task.formulation.aggregate == "macro"
        if not macro or len(self.sizes) < 2 or pooled is None:
            return as_json(pooled)
        found = {name: sums.estimated(name) for name in self.sizes}
        groups = {name: group for name, group in found.items() if group is not None}
        return stats.macro(groups, pooled, is_share=sums.is_share()).to_json()


class Clusters:
    """What rows' errors are clustered by, numbered as they appear."""

    def __init__(self) -> None:
        self.numbers: dict[tuple[str, ...], int] = {}
        self.subtasks: list[str] = []
        """The sub-task of each cluster."""

    def number(self, row: Row) -> int:
        """The number of a row's cluster."""
        key = cluster_of(row)
        if (found := self.numbers.get(key)) is None:
            found = self.numbers[key] = len(self.subtasks)
            self.subtasks.append(row["subtask"])
        return found


class Sums:
    """One metric's total and size by cluster."""

    def __init__(self, clusters: Clusters) -> None:
        self.clusters = clusters
        self.places = array("q")
        """By the cluster's number: where its total and size stand, in the order in which clusters
        had their first value; -1 before that."""
        self.numbers, self.totals, self.sizes = array("q"), array("d"), array("d")
        self.no_shares: set[str] = set()
        """Sub-tasks with a value that does not lie between 0 and 1."""

    def add(self, cluster: int, value: float | list[bool]) -> None:
        """Add one row's value."""
        if cluster >= len(self.places):
            self.places.extend([-1] * (cluster + 1 - len(self.places)))
        if (place := self.places[cluster]) < 0:
            place = self.places[cluster] = len(self.totals)
            self.numbers.append(cluster)
            self.totals.append(0.0)
            self.sizes.append(0.0)
        flags = value if isinstance(value, list) else [value]
        self.totals[place] += math.fsum(flags)
        self.sizes[place] += len(flags)
        if not isinstance(value, list) and not 0 <= value <= 1:
            self.no_shares.add(self.clusters.subtasks[cluster])

    def estimated(self, subtask: str | None = None) -> Estimate | None:
        """The metric over all rows or those of a sub-task, its error clustered (`cluster_of`)."""
        totals: Sequence[float] = self.totals
        sizes: Sequence[float] = self.sizes
        if subtask is not None:
            own = [self.clusters.subtasks[number] == subtask for number in self.numbers]
            totals, sizes = list(compress(totals, own)), list(compress(sizes, own))
        if not sum(sizes):
            return None
        return stats.ratio(totals, sizes, is_share=self.is_share(subtask))

    def is_share(self, subtask: str | None = None) -> bool:
        """Whether every value lies between 0 and 1, so that the mean is a share."""
        return not self.no_shares if subtask is None else subtask not in self.no_shares


def as_json(estimate: Estimate | None) -> dict[str, Any]:
    """An estimate, or that there is none, as JSON."""
    return NOTHING if estimate is None else estimate.to_json()


def cluster_of(row: Row) -> tuple[str, ...]:
    """What the row's error is clustered by, told apart by sub-task.

    The label the task gave the item (`Task.cluster`: a passage, a template); without one the item
    itself, so that its responses (repeats, parts) are one cluster either way. A sub-task that is
    averaged over (DeepMind Mathematics' categories) is a stratum, not a cluster: `stats.macro`.
    """
    if label := row.get("cluster"):
        return row["subtask"], label
    return row["subtask"], str(row["doc_id"]), row["doc_hash"]


def suite_numbers(tasks: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The unweighted mean of the tasks' primary metrics; its error is sqrt(Σ SE²)/T.

    `tasks` have a number each; the caller says which members of the suite are missing.
    """
    primaries = {
        name: Estimate.from_json(task["metrics"][task["primary"]]) for name, task in tasks.items()
    }
    mean = stats.suite_mean(primaries)
    return as_json(mean)
