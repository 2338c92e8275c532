"""Recorded responses scored without a model: what `olmes score` does."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from olmes.records.aggregate import task_numbers
from olmes.data.resolve import Dataset
from olmes.models.replay import RecordedResponse
from olmes.records.record import Row
from olmes.requests.recorded import Finder
from olmes.scoring.process.pool import ScoringPool
from olmes.runs.score_sheet import ScoreSheet, unanswered
from olmes.benchmark.task import Task


@dataclass(frozen=True)
class Rescored:
    """Recorded responses with their verdicts."""

    task: Task
    rows: list[Row]
    """One a response, in the order of the recording."""
    numbers: dict[str, Any]
    """As a task's part of a record: `n`, `metrics`, `subtasks`, `counts`."""


def score_recorded(
    task: Task,
    recorded: Sequence[RecordedResponse],
    dataset: Dataset | None,
    *,
    scoring_processes: int | None = None,
) -> Rescored:
    """Score recorded responses; no model is asked for anything.

    Args:
        task: whose scorers are used.
        recorded: responses; several to one item are clustered in the standard error.
        dataset: where `doc_id` rows are looked up; may be None when every row holds its `doc`.
        scoring_processes: how many; None takes every processor, as no model needs one.

    Raises:
        OlmesError: a row names no item.
    """
    finder = Finder(task, dataset)
    instances = [finder.instance(row) for row in recorded]
    rows: list[Row] = [
        {
            "doc_id": row.doc_id,
            "subtask": instance.subtask,
            "doc_hash": instance.doc_hash,
            "cluster": task.cluster(instance.doc),
            "repeat": row.repeat,
            **unanswered(),
        }
        for row, instance in zip(recorded, instances, strict=True)
    ]
    sheet = ScoreSheet(task, [instance.doc for instance in instances], rows)
    with ScoringPool({task.name: task}, scoring_processes or os.cpu_count()) as pool:
        for position, row in enumerate(recorded):
            response = row.to_response()
            sheet.responded(position, response)
            if not response.error:
                sheet.score(position, response, pool)
        pool.join()
    return Rescored(task, rows, task_numbers(task, rows))


def needs_data(recorded: Sequence[RecordedResponse]) -> bool:
    """Whether a row names its item by `doc_id` alone."""
    return any(row.doc is None for row in recorded)


def verdict_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """What `olmes score --verdicts` writes for one response."""
    kept = ("doc_id", "subtask", "repeat", "values", "extracted", "flags", "note")
    verdict = {name: row[name] for name in kept}
    if row["parts"]:
        verdict["instructions"] = row["parts"]
    return verdict
