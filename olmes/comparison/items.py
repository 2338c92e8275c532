"""The values of the items that several runs share, without their texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from olmes.comparison.alignment import Item, align, items_of
from olmes.record import Record

PARTS = ("subtask", "doc_id", "doc_hash", "cluster", "values")
"""What statistics need of a sample; texts would fill the memory over a hundred runs."""


Columns = tuple[list[list[float]], list[tuple[str, str]], list[str]]
"""Values, items by runs; the cluster of each item; its sub-task."""


class SharedItems:
    """Reads the samples of some runs once, however often they are asked for."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, ...], Columns] = {}

    def of(self, name: str, records: Sequence[Record]) -> Columns:
        """A task's items that every run has a value for."""
        key = (name, *(str(record.folder) for record in records))
        if key not in self.kept:
            self.kept[key] = light_items(name, records)
        return self.kept[key]


def light_items(name: str, records: Sequence[Record]) -> Columns:
    """A task's items that every run has a value of the primary metric for."""
    metric = records[-1].tasks[name]["primary"]
    every = [items_of(_light(record.samples(name))) for record in records]
    first = align(every[0], every[-1], metric)
    values: list[list[float]] = []
    labels, subtasks = [], []
    for position, key in enumerate(first.keys):
        found = [_value(items.get(key), metric) for items in every]
        known = [value for value in found if value is not None]
        if len(known) == len(found):
            values.append(known)
            labels.append(first.cluster(position))
            subtasks.append(key[0])
    return values, labels, subtasks


def common_items(
    records: Sequence[Record], names: Sequence[str], items: SharedItems
) -> tuple[list[list[float]], list[tuple[str, ...]], list[float]]:
    """Items that all runs have a value for: values by run, cluster, weight within the task."""
    values: list[list[float]] = []
    labels: list[tuple[str, ...]] = []
    sizes: list[float] = []
    for name in names:
        task = records[0].tasks[name]
        sign = 1 if task["metrics"][task["primary"]].get("higher_is_better", True) else -1
        found, clusters, subtasks = items.of(name, records)
        values += [[sign * value for value in row] for row in found]
        labels += [(name, *cluster) for cluster in clusters]
        macro = (task.get("formulation") or {}).get("aggregate") == "macro"
        counts = Counter(subtasks)
        # A macro average gives every sub-task the same weight, whatever its size.
        sizes += [1 / counts[subtask] if macro else 1.0 for subtask in subtasks]
    return values, labels, sizes


def _value(item: Item | None, metric: str) -> float | None:
    return item.value(metric) if item else None


def _light(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for row in rows:
        yield {part: row.get(part) for part in PARTS}
