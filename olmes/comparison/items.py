"""The values of the items that several runs share, and how statistics are to weigh them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, KeysView, Sequence
from dataclasses import dataclass, field

from olmes.records.aggregate import common_unit
from olmes.records.items import Key, cluster_of, key_of, parts_of, stratum_of
from olmes.records.record import Record
from olmes.records.schema import ResponseRow, TaskResult
from olmes.stats import Part


@dataclass(frozen=True, slots=True)
class TaskItems:
    """The items of one task that some runs all have a value for, in the first run's order."""

    values: list[list[float]]
    """Items by runs."""
    clusters: list[tuple[str, str]]
    subtasks: list[str]
    parts: list[int]

    def strata(self, task: TaskResult) -> list[Hashable] | None:
        """What the items are averaged within first: the sub-tasks of a task's macro average."""
        return [stratum_of(one, task.aggregate) for one in self.subtasks] if task.macro else None

    def sizes(self) -> list[float] | None:
        """The weight of each item, where they differ: its parts."""
        differ = any(count != 1 for count in self.parts)
        return [float(count) for count in self.parts] if differ else None


class SharedItems:
    """Reads the samples of some runs once, however often they are asked for; sealed ones too.

    What it holds serves differences, which are scores: no item of it is ever shown.

    Args:
        each: keep each run's values too, for a set of runs that grows by one at a time.
    """

    def __init__(self, *, each: bool = False) -> None:
        self.tasks: dict[tuple[str, ...], TaskItems] = {}
        self.runs: dict[tuple[str, str], TaskValues] | None = {} if each else None

    def of(self, name: str, records: Sequence[Record]) -> TaskItems:
        """A task's items that every run has a value of the primary metric for."""
        if self.runs is not None:
            return joined([self.values(name, record, self.runs) for record in records])
        key = (name, *(str(record.folder) for record in records))
        if key not in self.tasks:
            runs = [values_of(name, record, clusters=at == 0) for at, record in enumerate(records)]
            self.tasks[key] = joined(runs)
        return self.tasks[key]

    def keys(self, name: str, record: Record) -> KeysView[Key]:
        """The items that one run has a value of the primary metric for."""
        kept = {} if self.runs is None else self.runs
        return self.values(name, record, kept).values.keys()

    def values(
        self, name: str, record: Record, kept: dict[tuple[str, str], TaskValues]
    ) -> TaskValues:
        """One run's values, read once."""
        key = (name, str(record.folder))
        if key not in kept:
            kept[key] = values_of(name, record)
        return kept[key]


@dataclass(frozen=True, slots=True)
class TaskValues:
    """One run's items of a task: several hundred thousand of them fit into memory."""

    values: dict[Key, float] = field(default_factory=dict)
    """The mean over an item's responses, and over the parts of each."""
    parts: dict[Key, int] = field(default_factory=dict)
    """Of an item's first response, where there is not one."""
    clusters: dict[Key, tuple[str, str]] = field(default_factory=dict)


def values_of(name: str, record: Record, *, clusters: bool = True) -> TaskValues:
    """Each item's value of a task's primary metric."""
    return item_values(
        record.verdicts_to_compare(name), record.tasks[name].primary, clusters=clusters
    )


def item_values(rows: Iterable[ResponseRow], metric: str, *, clusters: bool = True) -> TaskValues:
    """Each item's value of a metric, from rows of a samples file or their verdicts alone.

    Args:
        rows: of a samples file.
        metric: a name in their `values`.
        clusters: whether parts and clusters are kept, which are the same in every run.
    """
    counts: dict[Key, int] = {}
    found = TaskValues()
    for row in rows:
        numbers = parts_of(row, metric)
        if not numbers:
            continue
        key = key_of(row)
        if clusters and key not in counts:
            found.clusters[key] = cluster_of(row)
            if len(numbers) != 1:
                found.parts[key] = len(numbers)
        found.values[key] = found.values.get(key, 0.0) + sum(numbers)
        counts[key] = counts.get(key, 0) + len(numbers)
    for key, count in counts.items():
        if count != 1:
            found.values[key] /= count
    return found


def joined(runs: Sequence[TaskValues]) -> TaskItems:
    """The items that all of some runs have."""
    first = runs[0]
    keys = [key for key in first.values if all(key in run.values for run in runs[1:])]
    return TaskItems(
        values=[[run.values[key] for run in runs] for key in keys],
        clusters=[first.clusters[key] for key in keys],
        subtasks=[key[0] for key in keys],
        parts=[first.parts.get(key, 1) for key in keys],
    )


@dataclass(frozen=True, slots=True)
class SuiteItems:
    """The items of several tasks, as the mean of the tasks' numbers weighs them."""

    values: list[list[float]]
    """Items by runs; with their sign changed where less is better on that task, and more on others."""
    higher_is_better: bool
    is_share: bool
    """Whether every task's metric is one."""
    clusters: list[Hashable]
    strata: list[Part]
    """The task and, of a macro average, the sub-task of each item."""
    sizes: list[float]
    """The parts of each item."""


def suite_items(records: Sequence[Record], names: Sequence[str], items: SharedItems) -> SuiteItems:
    """The items of some tasks that all runs have a value for."""
    higher = any(records[0].tasks[name].score.higher_is_better for name in names)
    unit = common_unit(record.tasks[name].score.unit for record in records for name in names)
    found = SuiteItems([], higher, unit == "share", [], [], [])
    for name in names:
        task, own = records[0].tasks[name], items.of(name, records)
        sign = 1 if task.score.higher_is_better == higher else -1
        found.values.extend([sign * value for value in row] for row in own.values)
        found.clusters.extend((name, *cluster) for cluster in own.clusters)
        found.strata.extend(Part(name, stratum_of(one, task.aggregate)) for one in own.subtasks)
        found.sizes.extend(float(count) for count in own.parts)
    return found
