"""What a row of samples says to statistics: which item it is of, its value, what it clusters with."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field

from olmes.records.schema import ResponseRow, RowValue
from olmes.stats import Grouped

Key = tuple[str, int, str]
"""Sub-task, row in the official file, content hash: one item, wherever it was run."""


def key_of(row: ResponseRow) -> Key:
    """The item a row is of."""
    return row["subtask"], row["doc_id"], row["doc_hash"]


def cluster_of(row: ResponseRow) -> tuple[str, str]:
    """What a row's error is clustered by, within its sub-task.

    The label the task gave the item (`Task.cluster`: a passage, a template); without one the item
    itself, so that its responses (repeats, parts) are one cluster either way. A sub-task that is
    averaged over (DeepMind Mathematics' categories) is a stratum, not a cluster: `stats.macro`.
    """
    if label := row.get("cluster"):
        return row["subtask"], f"cluster {label}"
    return row["subtask"], f"{row['doc_id']}/{row['doc_hash']}"


def stratum_of(subtask: str, aggregate: str) -> Hashable:
    """What an item is averaged within first: the label that statistics know its sub-task by.

    Args:
        subtask: the item's.
        aggregate: how the formulation averages: `micro` (all items alike: ''), `macro`, or `nested`,
            where the text before a colon names the sub-tasks whose mean is one number of the average.
    """
    if aggregate == "micro":
        return ""
    group, colon, _ = subtask.partition(":")
    return Grouped(group, subtask) if colon and aggregate == "nested" else subtask


def parts_of(row: ResponseRow, metric: str) -> list[float]:
    """A metric's values on one response: one a part, for metrics over parts; none without a value.

    What is not finite is no value: records of an olmes that did not refuse such verdicts hold some.
    """
    value = row["values"].get(metric)
    if value is None:
        return []
    try:
        parts = [float(part) for part in value] if isinstance(value, Sequence) else [float(value)]
    except OverflowError:  # a whole number of hundreds of digits
        return []
    return parts if all(map(math.isfinite, parts)) else []


def mean_value(value: RowValue) -> float | None:
    """A metric's value on one response, the mean over its parts; None where there is none."""
    try:
        if isinstance(value, Sequence):
            value = sum(map(float, value)) / len(value) if value else None
        return float(value) if value is not None and math.isfinite(value) else None
    except OverflowError:  # a whole number of hundreds of digits
        return None


@dataclass(slots=True)
class ItemResponses:
    """One item's responses in one run."""

    rows: list[ResponseRow] = field(default_factory=list)

    def value(self, metric: str) -> float | None:
        """The mean over responses (and over parts of a response); None where there is no value."""
        if len(self.rows) == 1 and type(only := self.rows[0]["values"].get(metric)) is float:
            return only + 0.0 if math.isfinite(only) else None  # the usual one, at once
        found = [part for row in self.rows for part in parts_of(row, metric)]
        return sum(found) / len(found) if found else None

    def parts(self, metric: str) -> int:
        """How many parts the value is a mean over, for metrics over parts; else 1."""
        value = self.rows[0]["values"].get(metric)
        return len(value) if isinstance(value, Sequence) else 1


def items_of(rows: Iterable[ResponseRow]) -> dict[Key, ItemResponses]:
    """The rows of a task by item."""
    items: dict[Key, ItemResponses] = {}
    for row in rows:
        items.setdefault(key_of(row), ItemResponses()).rows.append(row)
    return items
