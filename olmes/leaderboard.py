"""A leaderboard: many runs side by side, and which differences between them are real.

Only numbers of the same thing share a column: a task's formulation and data have to be equal. A run
on sample data, an incomplete run, a limited run and a non-standard formulation are shown apart and
never ranked.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from olmes import stats
from olmes.comparison.alignment import Item, Key, align, describe, has_samples, items_of
from olmes.comparison.compare import paired_difference
from olmes.record import Record, Row
from olmes.stats import PairedDifference

ColumnKey = tuple[str, str, str]
"""Task, formulation hash, data hash."""
MARGIN = 0.01


@dataclass(kw_only=True)
class Column:
    """One task in one formulation on one set of data."""

    key: str
    """`task`, or `task (2)` for a second formulation or set of data."""
    task: str
    title: str
    metric: str
    formulation_hash: str
    data_hash: str
    standard: bool
    held_out: bool
    higher_is_better: bool

    def to_json(self) -> dict[str, Any]:
        """A JSON object with every field."""
        return dict(vars(self))


@dataclass(kw_only=True)
class Entry:
    """One run."""

    record: Record
    cells: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The primary metric's estimate by column."""
    why_not: list[str] = field(default_factory=list)
    """Why it is not ranked; empty when it is."""

    def to_json(self) -> dict[str, Any]:
        """The run, its numbers, and why it is not ranked."""
        suite = self.record.data.get("suite")
        keys = ("name", "title", "value", "stderr", "ci_low", "ci_high", "n", "complete", "missing")
        return {
            "run": describe(self.record),
            "suite": {key: suite.get(key) for key in keys} if suite else None,
            "cells": self.cells,
            "why_not": self.why_not,
        }


def leaderboard(records: Iterable[Record], *, margin: float = MARGIN) -> dict[str, Any]:
    """Runs side by side.

    Args:
        records: any runs; of several runs of one suite by one model the newest is shown.
        margin: half-width within which two scores count as tied.

    Returns:
        `columns`; `ranked` and `apart`, the runs (best suite mean first; without a suite, best first
        column first), each with its cells, and for those apart the reasons; `pairs`, by column and
        for `suite`, the differences between ranked runs (`a` and `b` are positions in `ranked`,
        differences are `b` less `a`, p-values corrected by Holm within the column).
    """
    chosen = newest(records)
    columns = columns_of(chosen)
    entries = [entry_of(record, columns) for record in chosen]
    by_key = {column.key: column for column in columns.values()}
    ranked = sorted((e for e in entries if not e.why_not), key=lambda e: rank(e, by_key))
    apart = [entry for entry in entries if entry.why_not]
    return {
        "margin": margin,
        "columns": [column.to_json() for column in by_key.values()],
        "ranked": [entry.to_json() for entry in ranked],
        "apart": [entry.to_json() for entry in apart],
        "pairs": pairs(ranked, list(by_key.values()), margin),
    }


def newest(records: Iterable[Record]) -> list[Record]:
    """One record a model, suite and set of formulations: the one made last."""
    found: dict[tuple[Any, ...], Record] = {}
    for record in sorted(records, key=lambda record: str(record.data["created"])):
        hashes = tuple(sorted((n, t["formulation_hash"]) for n, t in record.tasks.items()))
        limit = record.data.get("limit")
        found[record.data["model"]["fingerprint"], hashes, limit] = record
    return list(found.values())


def column_key(name: str, task: dict[str, Any]) -> ColumnKey:
    """What must be equal for two numbers to be of the same thing."""
    return name, task["formulation_hash"], task["data"]["content_hash"]


def columns_of(records: Sequence[Record]) -> dict[ColumnKey, Column]:
    """The columns of a leaderboard: standard formulations on official data come first."""
    found: dict[ColumnKey, Column] = {}
    places = [(name, task, record) for record in records for name, task in record.tasks.items()]
    places.sort(key=lambda place: (not place[1]["standard"], not place[1]["data"]["official"]))
    counts: dict[str, int] = {}
    for name, task, record in places:
        key = column_key(name, task)
        if key in found:
            continue
        counts[name] = counts.get(name, 0) + 1
        held = record.data.get("held_out") or {"tasks": {}}
        found[key] = Column(
            key=name if counts[name] == 1 else f"{name} ({counts[name]})",
            task=name,
            title=task["title"],
            metric=task["primary"],
            formulation_hash=key[1],
            data_hash=key[2],
            standard=task["standard"],
            held_out=name in held["tasks"],
            higher_is_better=task["metrics"][task["primary"]].get("higher_is_better", True),
        )
    return found


def entry_of(record: Record, columns: dict[ColumnKey, Column]) -> Entry:
    """A run's cells, and why it is not ranked."""
    entry = Entry(record=record)
    for name, task in record.tasks.items():
        column = columns[column_key(name, task)]
        entry.cells[column.key] = task["metrics"][task["primary"]]
    tasks = record.tasks.values()
    suite = record.data.get("suite") or {"complete": True}
    reasons = {
        "sample data": any(task["data"]["origin"] == "sample" for task in tasks),
        "data differ from the official set": any(
            not task["data"]["official"] and task["data"]["origin"] != "sample" for task in tasks
        ),
        "incomplete": not (record.complete and suite["complete"]),
        # A limit that left nothing out is none.
        "limited": any(task["n"] < task["data"]["n"] for task in tasks),
        "not the standard formulation": not all(task["standard"] for task in tasks),
    }
    entry.why_not = [reason for reason, holds in reasons.items() if holds]
    return entry


def rank(entry: Entry, columns: dict[str, Column]) -> tuple[bool, float]:
    """Sort key: the suite's mean, or else the first column the run has; best first."""
    suite = entry.record.data.get("suite")
    if suite and suite["value"] is not None:
        return False, -float(suite["value"])
    for key, column in columns.items():
        value = (entry.cells.get(key) or {}).get("value")
        if value is not None:
            return True, -float(value) if column.higher_is_better else float(value)
    return True, 0.0


def pairs(
    entries: Sequence[Entry], columns: Sequence[Column], margin: float
) -> dict[str, list[dict[str, Any]]]:
    """The differences between every two ranked runs, by column and for the suites' means."""
    found: dict[str, list[dict[str, Any]]] = {}
    of_suite: dict[tuple[int, int], dict[str, PairedDifference]] = {}
    for column in columns:
        items = {
            position: items_of(light(entry.record.samples(column.task)))
            for position, entry in enumerate(entries)
            if column.key in entry.cells and has_samples(column.task, entry.record)
        }
        differences = column_pairs(column, entries, items, margin)
        found[column.key] = [
            {"a": a, "b": b, **difference.to_json()} for (a, b), difference in differences.items()
        ]
        for pair, difference in differences.items():
            of_suite.setdefault(pair, {})[column.key] = difference
    found["suite"] = []
    for (a, b), tasks in of_suite.items():
        # A mean over fewer tasks is another number: only pairs with every column of both.
        if entries[a].cells.keys() == entries[b].cells.keys() == tasks.keys():
            mean = stats.suite_difference(tasks)
            if mean is not None:
                found["suite"].append({"a": a, "b": b, **mean.to_json()})
    return found


def light(rows: Iterable[Row]) -> Iterator[Row]:
    """Rows without their texts: a leaderboard holds many runs at once."""
    kept = ("subtask", "doc_id", "doc_hash", "prompt_hash", "cluster", "values")
    for row in rows:
        yield {key: row.get(key) for key in kept}


def column_pairs(
    column: Column,
    entries: Sequence[Entry],
    items: dict[int, dict[Key, Item]],
    margin: float,
) -> dict[tuple[int, int], PairedDifference]:
    """The paired differences of one column, corrected by Holm."""
    differences = {}
    for a, b in itertools.combinations(sorted(items), 2):
        aligned = align(items[a], items[b], column.metric)
        if aligned.keys:
            task = entries[a].record.tasks[column.task]
            # Student's t where McNemar's test does not apply: a matrix multiplies p-values by many.
            differences[a, b] = paired_difference(aligned, column.metric, task, margin, test="t")
    return stats.with_holm(differences)
