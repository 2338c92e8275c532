"""Bringing the items of two runs together, or saying why they cannot be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from olmes.records.record import Record, Row

Key = tuple[str, int, str]
"""Sub-task, row in the official file, content hash: one item, wherever it was run."""


@dataclass(slots=True)
class ItemResponses:
    """One item's responses in one run."""

    rows: list[Row] = field(default_factory=list)

    def value(self, metric: str) -> float | None:
        """The mean over responses (and over parts of a response); None where there is no value."""
        found: list[float] = []
        for row in self.rows:
            value = row["values"].get(metric)
            if isinstance(value, list):
                found += [float(flag) for flag in value]
            elif value is not None:
                found.append(float(value))
        return sum(found) / len(found) if found else None

    def parts(self, metric: str) -> int:
        """How many parts the value is a mean over, for metrics over parts; else 1."""
        value = self.rows[0]["values"].get(metric)
        return len(value) if isinstance(value, list) else 1


@dataclass(frozen=True, slots=True)
class Aligned:
    """The items that both runs have a value for."""

    keys: list[Key]
    a: list[ItemResponses]
    b: list[ItemResponses]
    only_a: int
    only_b: int
    """Items that one run alone has a value for."""
    prompts_differ: int
    """Items whose prompts are not the same."""

    def cluster(self, position: int) -> tuple[str, str]:
        """What an item's error is clustered by: its label, or itself."""
        return cluster_label(self.a[position].rows[0])


def cluster_label(row: Row) -> tuple[str, str]:
    """What a row's error is clustered by: the label the task gave it, or else its own item."""
    if label := row.get("cluster"):
        return row["subtask"], f"cluster {label}"
    return row["subtask"], f"{row['doc_id']}/{row['doc_hash']}"


def items_of(rows: Iterable[Row]) -> dict[Key, ItemResponses]:
    """The rows of a task by item."""
    items: dict[Key, ItemResponses] = {}
    for row in rows:
        key = (row["subtask"], row["doc_id"], row["doc_hash"])
        items.setdefault(key, ItemResponses()).rows.append(row)
    return items


def align(a: Mapping[Key, ItemResponses], b: Mapping[Key, ItemResponses], metric: str) -> Aligned:
    """The items of two runs that have a value of a metric in both, in the order of the first."""
    scored_a = {key for key, item in a.items() if item.value(metric) is not None}
    scored_b = {key for key, item in b.items() if item.value(metric) is not None}
    keys = [key for key in a if key in scored_a and key in scored_b]
    first, second = [a[key] for key in keys], [b[key] for key in keys]
    differ = sum(
        one.rows[0].get("prompt_hash") != other.rows[0].get("prompt_hash")
        for one, other in zip(first, second, strict=True)
    )
    common = set(keys)
    return Aligned(keys, first, second, len(scored_a - common), len(scored_b - common), differ)


def mismatch(name: str, a: Record, b: Record) -> list[str]:
    """Why a task's numbers in two runs are not numbers of the same thing; empty where they are."""
    ours, theirs = a.tasks[name], b.tasks[name]
    said = []
    if ours["formulation_hash"] != theirs["formulation_hash"]:
        said.append("the formulations differ")
    if ours["data"]["content_hash"] != theirs["data"]["content_hash"]:
        said.append("the data differ")
    if ours["primary"] != theirs["primary"]:
        said.append("the primary metrics differ")
    return said


def has_samples(name: str, record: Record) -> bool:
    """Whether a task's samples are there to be read."""
    return not record.sealed(name) and record.samples_path(name).exists()


def weights(aligned: Aligned, metric: str) -> list[float]:
    """Parts of each item, by which a metric over parts weighs it."""
    return [float(item.parts(metric)) for item in aligned.a]


def describe(record: Record) -> dict[str, Any]:
    """What a comparison says of a run."""
    data = record.data
    suite = data.get("suite") or {}
    return {
        "id": record.id,
        "folder": str(record.folder),
        "name": data["model"]["name"],
        "fingerprint": data["model"]["fingerprint"],
        "created": data["created"],
        "suite": suite.get("name"),
        "complete": data["complete"],
        "sample_data": sorted(
            name for name, task in record.tasks.items() if task["data"]["origin"] == "sample"
        ),
        "held_out": data.get("held_out"),
    }
