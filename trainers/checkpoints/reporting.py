"""Reporting how jobs ended, each once, to whoever waits for them."""

from __future__ import annotations

import json
from collections.abc import Callable

from olmes.records.shown import interval, shown
from olmes.trainers.checkpoints.queue import Job, Queue
from olmes.trainers.checkpoints.results import BestEntry, ScoreResult
from olmes.types import Unit


class ScoreReporter:
    """Reports the jobs of a queue, and remembers which it has reported.

    Args:
        queue: of the training.
        say: where the lines go.
    """

    def __init__(self, queue: Queue, say: Callable[[str], None]) -> None:
        self.queue = queue
        self.say = say
        self.reported: set[tuple[str, str, str, int]] = set()

    def skip_what_ended(self) -> None:
        """Do not report what has ended before now."""
        self.reported.update(key_of(job) for job in self.queue.jobs())

    def report(self) -> None:
        """Report what has ended since the last time."""
        for job in self.queue.jobs():
            if job.over and key_of(job) not in self.reported:
                self.reported.add(key_of(job))
                self.say(sentence(job))

    def report_best(self) -> None:
        """Report which checkpoint is best, where there is a choice."""
        try:
            best: list[BestEntry] = json.loads(
                (self.queue.folder / "best.json").read_text("utf-8")
            )["best"]
        except (OSError, ValueError, KeyError):
            return
        for one in best:
            if one["k"] > 1:
                self.say(best_sentence(one))


def key_of(job: Job) -> tuple[str, str, str, int]:
    """What makes the end of a job news."""
    return job.id, job.signature, job.state, job.attempts


def sentence(job: Job) -> str:
    """How a job ended."""
    if job.state == "failed":
        return f"{job.label} could not be scored: {job.reason}"
    if job.state == "skipped":
        return f"{job.label} was not scored: {job.reason}"
    result = job.score
    complete = "" if result["complete"] else " (incomplete)"
    same = f", duplicate of {result['same_as']}" if "same_as" in result else ""
    return f"{job.label}: {result['suite']} {number(result)}{complete}{same}, {result['folder']}"


def number(result: ScoreResult) -> str:
    """A score with its interval, where there is one."""
    if result["value"] is None:
        return "has no number"
    unit = result.get("unit") or "share"
    return shown(result["value"], unit) + in_brackets(result["ci_low"], result["ci_high"], unit)


def in_brackets(low: float | None, high: float | None, unit: Unit) -> str:
    """An interval behind a number; nothing where there is none."""
    return "" if low is None or high is None else f" {interval(low, high, unit)}"


def best_sentence(best: BestEntry) -> str:
    """Which checkpoint is best, and what its score is worth."""
    unit = best["unit"]
    text = (
        f"best of {best['k']} on {best['suite']}: {best['checkpoint']} with "
        f"{shown(best['score'], unit)}"
    )
    if best["corrected"] is not None:
        text += f", {shown(best['corrected'], unit)} corrected for the choice"
        text += in_brackets(best["ci_low"], best["ci_high"], unit)
    return text
