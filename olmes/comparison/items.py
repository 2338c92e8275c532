"""The values of the items that several runs share, without their texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from olmes.comparison.alignment import Key, cluster_label
from olmes.records.record import Record, Row

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
    """A task's items that every run has a value of the primary metric for, in the first's order."""
    metric = records[-1].tasks[name]["primary"]
    clusters: dict[Key, tuple[str, str]] = {}
    first, *others = [
        values_of(record.verdicts(name), metric, None if number else clusters)
        for number, record in enumerate(records)
    ]
    keys = [key for key in first if all(key in found for found in others)]
    values = [[first[key], *[found[key] for found in others]] for key in keys]
    return values, [clusters[key] for key in keys], [key[0] for key in keys]


def values_of(
    rows: Iterable[Row], metric: str, clusters: dict[Key, tuple[str, str]] | None = None
) -> dict[Key, float]:
    """Each item's value of a metric: the mean over its responses and parts.

    Args:
        rows: of a samples file, whole or as `Record.verdicts` gives them.
        metric: a name in their `values`.
        clusters: where the cluster of each item is put.
    """
    sums: dict[Key, float] = {}
    counts: dict[Key, int] = {}
    for row in rows:
        value = row["values"].get(metric)
        if value is None:
            continue
        total, count = (sum(value), len(value)) if isinstance(value, list) else (value, 1)
        key = row["subtask"], row["doc_id"], row["doc_hash"]
        if key in sums:
            sums[key] += total
            counts[key] += count
            continue
        sums[key], counts[key] = total, count
        if clusters is not None:
            clusters[key] = cluster_label(row)
    return {key: total / counts[key] for key, total in sums.items() if counts[key]}


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
