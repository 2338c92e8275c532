"""Telling how jobs ended, each once, to whoever waits for them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from olmes.trainers.checkpoints.queue import Job, Queue


class Teller:
    """Remembers what it has told.

    Args:
        say: where the lines go.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.told: set[tuple[str, str, str, int]] = set()

    def pass_over(self, queue: Queue) -> None:
        """Take what is over already for told."""
        self.told.update(key_of(job) for job in queue.jobs())

    def tell(self, queue: Queue) -> list[Job]:
        """Tell what has ended since, and give it."""
        ended = [job for job in queue.jobs() if job.over and key_of(job) not in self.told]
        for job in ended:
            self.told.add(key_of(job))
            self.say(sentence(job))
        return ended

    def tell_best(self, queue: Queue) -> None:
        """Tell which checkpoint is best, where there is a choice."""
        try:
            best = json.loads((queue.folder / "best.json").read_text("utf-8"))["best"]
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
    result = job.result or {}
    whole = "" if result["complete"] else " (incomplete)"
    twin = f", the same weights as {result['same_as']}" if "same_as" in result else ""
    return f"{job.label}: {result['suite']} {number(result)}{whole}{twin}, {result['folder']}"


def number(result: dict[str, Any]) -> str:
    """A score in percent with its interval."""
    if result["value"] is None:
        return "has no number"
    text = f"{100 * result['value']:.1f}"
    if result["ci_low"] is not None:
        text += f" [{100 * result['ci_low']:.1f}, {100 * result['ci_high']:.1f}]"
    return text


def best_sentence(best: dict[str, Any]) -> str:
    """Which checkpoint is best, and what its score is worth."""
    text = (
        f"best of {best['k']} on {best['suite']}: {best['checkpoint']} with "
        f"{100 * best['score']:.1f}"
    )
    if best["corrected"] is not None:
        text += f", {100 * best['corrected']:.1f} after the choosing"
        if best["ci_low"] is not None:
            text += f" [{100 * best['ci_low']:.1f}, {100 * best['ci_high']:.1f}]"
    return text
