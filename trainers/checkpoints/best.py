"""What a training's checkpoints scored, and which is best: `scores.jsonl` and `best.json`.

Both are written again from the queue and the records after each scoring, so nothing in them can be
torn or doubled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from olmes.comparison.best import shared_by_suite
from olmes.comparison.items import SharedItems
from olmes.records.aggregate import run_mean
from olmes.records.record import Record
from olmes.records.schema import MetricScore, TaskResult
from olmes.tools.jsonl import dumps, write, write_atomically
from olmes.trainers.checkpoints.manifest import Training
from olmes.trainers.checkpoints.queue import Job, Queue
from olmes.trainers.checkpoints.results import (
    BestEntry,
    BestNumbers,
    JobRow,
    ScoreResult,
    ScoreRow,
    TaskScore,
)


def outcome(record: Record) -> ScoreResult:
    """What the queue keeps of a record: its name and its headline numbers."""
    run, suite = record.run, record.run.suite
    total = run_mean(run) or MetricScore.of(None)
    return ScoreResult(
        record=record.id,
        folder=str(record.folder.resolve()),
        suite=run.what,
        complete=record.complete and (suite is None or suite.complete),
        held_out=run.held_out is not None,
        demo_data=bool(run.demo_tasks),
        value=total.value,
        stderr=total.stderr,
        ci_low=total.ci_low,
        ci_high=total.ci_high,
        n=total.n,
        unit=total.unit,
        higher_is_better=record.run.higher_is_better,
        tasks={name: task_score(task) for name, task in record.tasks.items()},
        missing=suite.missing if suite else [],
    )


def task_score(task: TaskResult) -> TaskScore:
    """What the queue keeps of a task: its primary metric."""
    score = task.score
    return TaskScore(
        metric=task.primary,
        value=score.value,
        stderr=score.stderr,
        ci_low=score.ci_low,
        ci_high=score.ci_high,
        n=score.n,
        unit=score.unit,
        higher_is_better=score.higher_is_better,
    )


def publish(queue: Queue, training: Training, items: SharedItems) -> set[str]:
    """Write `scores.jsonl` and `best.json`; give the folders of the best checkpoints.

    Where none can be chosen (the tasks have no mean in common, or no checkpoint was scored whole) all
    that were scored are given: what is not known to be worse is not to be removed.

    Args:
        queue: of the training.
        training: whose name they bear.
        items: what was read of the samples before; it keeps what is read now.
    """
    jobs = sorted(queue.jobs(), key=lambda job: (job.step is None, job.step or 0, job.number))
    write(queue.folder / "scores.jsonl", (row_of(job) for job in jobs if job.over))
    found, undecided = [], []
    kept: set[str] = set()
    for request_hash in dict.fromkeys(job.request_hash for job in jobs):
        asked = [job for job in jobs if job.request_hash == request_hash]
        candidates = [job for job in asked if eligible(job)]
        if candidates:
            found.append(best_among(candidates, items))
            kept.add(found[-1].job.folder)
        elif scored := [job for job in asked if job.result and not job.score["held_out"]]:
            undecided.append(
                {"ask": request_hash, "suite": scored[0].score["suite"], "note": why_none(scored)}
            )
            kept |= {job.folder for job in scored}
    best = [one.to_json(queue.folder) for one in found]
    data = {"schema": 1, "training": training.name, "best": best, "undecided": undecided}
    write_atomically(queue.folder / "best.json", dumps(data) + "\n")
    return kept


def why_none(scored: Sequence[Job]) -> str:
    """Why none of some scored checkpoints is the best."""
    if any(job.score["complete"] for job in scored):
        return "the tasks have no mean: their units or directions differ; choose by one of them"
    return "no checkpoint was scored completely"


def row_of(job: Job) -> JobRow | ScoreRow:
    """One line of `scores.jsonl`."""
    row: JobRow = {
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
    }
    return row if job.result is None else {**row, **job.result}


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
    numbers: BestNumbers
    note: str

    def to_json(self, training: Path) -> BestEntry:
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
            "unit": result.get("unit", "share"),
            "note": self.note,
        }


def best_among(jobs: Sequence[Job], items: SharedItems) -> Best:
    """The checkpoint with the best mean, and what that mean is worth, given the choice.

    The correction is `olmes.comparison.best` over the items that all checkpoints have. Where it
    cannot be made, the score stands uncorrected and the note says why.
    """
    results = [job.score for job in jobs]
    means = [result["value"] or 0.0 for result in results]  # of eligible jobs; none is missing
    records = [Record.load(Path(result["folder"])) for result in results]
    names = records[0].run.mean_tasks
    directions = {record.tasks[name].score.higher_is_better for record in records for name in names}
    best = max if True in directions else min
    top = best(range(len(jobs)), key=means.__getitem__)
    plain: BestNumbers = {
        "score": results[top]["value"],
        "stderr": results[top]["stderr"],
        "corrected": None,
        "bias": None,
        "ci_low": None,
        "ci_high": None,
        "k": len(jobs),
        "n": results[top]["n"],
    }
    if len(directions) > 1:
        note = "not corrected: on some tasks more is better and on others less"
        return Best(jobs[top], plain, note)
    shared = shared_by_suite(names, records, items, least=1)
    if shared is None or len(set(shared.strata or ())) < len(names):
        return Best(jobs[top], plain, "not corrected: the checkpoints share too few items")
    found = shared.best()
    note = ""
    if not math.isclose(means[found.index], found.score, abs_tol=1e-6):
        note = f"over the {found.n} items that all checkpoints have a value for"
    numbers: BestNumbers = {
        "score": found.score,
        "stderr": found.stderr,
        "corrected": found.corrected,
        "bias": found.bias,
        "ci_low": found.ci_low,
        "ci_high": found.ci_high,
        "n": found.n,
        "k": found.checkpoints,
    }
    return Best(jobs[found.index], numbers, note)
