"""What a training's checkpoints scored, and which is best: `scores.jsonl` and `best.json`.

Both are written again from the queue and the records after each scoring, so nothing in them can be
torn or doubled.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olmes.comparison.alignment import items_of
from olmes.records.aggregate import suite_numbers
from olmes.records.record import Record
from olmes.tools.jsonl import dumps, write, write_atomically
from olmes.trainers.checkpoints.manifest import Training
from olmes.trainers.checkpoints.queue import Job, Queue

NUMBERS = ("value", "stderr", "ci_low", "ci_high", "n")
ItemKey = tuple[str, str, int, str]
"""Task, sub-task, row in the official file, content hash."""


@dataclass(frozen=True, slots=True)
class ItemValue:
    """What one item adds to a task's primary metric."""

    value: float
    parts: int
    cluster: str


Values = dict[ItemKey, ItemValue]


def outcome(record: Record) -> dict[str, Any]:
    """What the queue keeps of a record: its name and its headline numbers."""
    suite = record.data["suite"]
    scored = {
        name: task
        for name, task in record.tasks.items()
        if task["metrics"][task["primary"]]["value"] is not None
    }
    total = suite or suite_numbers(scored)
    return {
        "record": record.id,
        "folder": str(record.folder.resolve()),
        "suite": suite["name"] if suite else "-".join(record.tasks),
        "complete": record.complete and (suite is None or suite["complete"]),
        "held_out": record.data["held_out"] is not None,
        "sample_data": any(task["data"]["origin"] == "sample" for task in record.tasks.values()),
        **{key: total[key] for key in NUMBERS},
        "tasks": {
            name: {
                "metric": task["primary"],
                **{key: task["metrics"][task["primary"]][key] for key in NUMBERS},
            }
            for name, task in record.tasks.items()
        },
        "missing": suite["missing"] if suite else [],
    }


def publish(queue: Queue, training: Training, values: dict[str, Values]) -> set[str]:
    """Write `scores.jsonl` and `best.json`; give the folders of the best checkpoints.

    Args:
        queue: of the training.
        training: whose name they bear.
        values: by record id, of records read before; those read now are added.
    """
    jobs = sorted(queue.jobs(), key=lambda job: (job.step is None, job.step or 0, job.number))
    write(queue.folder / "scores.jsonl", (row_of(job) for job in jobs if job.over))
    found = []
    for request_hash in dict.fromkeys(job.request_hash for job in jobs):
        candidates = [job for job in jobs if job.request_hash == request_hash and eligible(job)]
        if candidates:
            found.append(best_among(candidates, values))
    best = [one.to_json(queue.folder) for one in found]
    data = {"schema": 1, "training": training.name, "best": best}
    write_atomically(queue.folder / "best.json", dumps(data) + "\n")
    return {one.job.folder for one in found}


def row_of(job: Job) -> dict[str, Any]:
    """One line of `scores.jsonl`."""
    return {
        "checkpoint": job.label,
        "step": job.step,
        "state": job.state,
        "reason": job.reason,
        "source": job.source,
        "ask": job.request_hash,
        "limit": job.request.limit,
        "fingerprint": job.fingerprint or None,
        "queued": job.created,
        "ended": job.updated,
        **(job.result or {}),
    }


def eligible(job: Job) -> bool:
    """Whether a checkpoint may be the best: completely scored, on tasks that one may choose by."""
    result = job.result
    return bool(
        job.state == "done"
        and result
        and result["complete"]
        and not result["held_out"]
        and result["value"] is not None
        and "same_as" not in result
    )


@dataclass(frozen=True, slots=True)
class Best:
    """The best of a training's checkpoints at one evaluation request."""

    job: Job
    numbers: dict[str, Any]
    note: str

    def to_json(self, training: Path) -> dict[str, Any]:
        """An entry of `best.json`."""
        result = self.job.score
        staged = training / self.job.folder
        return {
            "suite": result["suite"],
            "ask": self.job.request_hash,
            "limit": self.job.request.limit,
            "checkpoint": self.job.label,
            "step": self.job.step,
            "source": self.job.source,
            "aside": str(staged) if staged.is_dir() else None,
            "record": result["record"],
            "folder": result["folder"],
            **self.numbers,
            "note": self.note,
        }


def best_among(jobs: Sequence[Job], values: dict[str, Values]) -> Best:
    """The checkpoint with the highest mean, and what that mean is worth, given the choice.

    The correction is `olmes.stats.best_of` over the items all checkpoints have, with the tasks as
    strata: their mean is the suite's. Where an item's value is missing, the score stands
    uncorrected and the note says why.
    """
    from olmes.stats import best_of

    results = [job.score for job in jobs]
    means = [result["value"] or 0.0 for result in results]  # of eligible jobs; none is missing
    top = max(range(len(jobs)), key=means.__getitem__)
    plain = {
        "score": results[top]["value"],
        "stderr": results[top]["stderr"],
        "corrected": None,
        "bias": None,
        "ci_low": None,
        "ci_high": None,
        "k": len(jobs),
        "n": results[top]["n"],
    }
    read = []
    macro: dict[str, bool] = {}
    for result in results:
        record = Record.load(Path(result["folder"]))
        if not all(higher_is_better(task) for task in record.tasks.values()):
            return Best(jobs[top], plain, "not corrected: a task's lower value is the better one")
        macro = {
            name: task["formulation"]["aggregate"] == "macro" for name, task in record.tasks.items()
        }
        if result["record"] not in values:
            values[result["record"]] = item_values(record)
        read.append(values[result["record"]])
    keys = [key for key in read[0] if all(key in one for one in read)]
    if not keys or len({key[0] for key in keys}) < len(macro):
        return Best(jobs[top], plain, "not corrected: the checkpoints share too few items")
    found = best_of(
        [[one[key].value for one in read] for key in keys],
        clusters=[(key[1], read[0][key].cluster) for key in keys],
        strata=[key[0] for key in keys],
        sizes=sizes_of(keys, read[0], macro),
    )
    score = means[found.index]
    note = ""
    if not math.isclose(score, found.score, abs_tol=1e-6):
        note = f"over the {len(keys)} items that all checkpoints have a value for"
    names = ("score", "stderr", "corrected", "bias", "ci_low", "ci_high", "n")
    numbers = {name: getattr(found, name) for name in names}
    return Best(jobs[found.index], {**numbers, "k": found.checkpoints}, note)


def higher_is_better(task: Mapping[str, Any]) -> bool:
    """Whether more of a task's primary metric is better."""
    return bool(task["metrics"][task["primary"]].get("higher_is_better", True))


def item_values(record: Record) -> Values:
    """The primary metric of every item of a record."""
    return {key: value for name in record.tasks for key, value in task_values(record, name)}


def task_values(record: Record, name: str) -> Iterator[tuple[ItemKey, ItemValue]]:
    """The primary metric of every item of a task that has a value."""
    metric = record.tasks[name]["primary"]
    for (subtask, doc_id, doc_hash), item in items_of(record.samples(name)).items():
        if (value := item.value(metric)) is not None:
            label = item.rows[0].get("cluster")
            cluster = f"cluster {label}" if label else f"{doc_id}/{doc_hash}"
            yield (
                (name, subtask, doc_id, doc_hash),
                ItemValue(value, item.parts(metric), cluster),
            )


def sizes_of(keys: Sequence[ItemKey], values: Values, macro: Mapping[str, bool]) -> list[float]:
    """The weight of each item in its task.

    Its parts (IFEval's instructions); in a task that averages its sub-tasks, divided by those of the
    sub-task, so that the sub-tasks weigh the same.
    """  # fmt: skip
    parts: dict[tuple[str, str], int] = {}
    for key in keys:
        parts[key[:2]] = parts.get(key[:2], 0) + values[key].parts
    return [
        values[key].parts / (parts[key[:2]] if macro.get(key[0]) else 1) for key in keys
    ]  # fmt: skip
