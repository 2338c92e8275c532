"""What is kept of a checkpoint's score: in the queue, in `scores.jsonl` and in `best.json`."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from olmes.types import Unit

State = Literal["queued", "running", "done", "failed", "skipped"]
"""Of a job."""


class Numbers(TypedDict):
    """A number with its error and interval."""

    value: float | None
    stderr: float | None
    ci_low: float | None
    ci_high: float | None
    n: int


class TaskScore(Numbers):
    """The primary metric of a task."""

    metric: str
    unit: NotRequired[Unit]
    """Older versions did not write it."""
    higher_is_better: NotRequired[bool]
    """Older versions did not write it."""


class ScoreResult(Numbers):
    """The name and the headline numbers of a record; `value` is the suite's mean."""

    record: str
    folder: str
    suite: str
    complete: bool
    held_out: bool
    demo_data: NotRequired[bool]
    """Older versions wrote `sample_data`."""
    unit: NotRequired[Unit]
    """Older versions did not write it."""
    higher_is_better: NotRequired[bool]
    """Older versions did not write it."""
    tasks: dict[str, TaskScore]
    missing: list[str]
    """Tasks without a number."""
    same_as: NotRequired[str]
    """The checkpoint with the same weights whose record it shares."""
    seconds: NotRequired[float]
    """How long the scoring took."""


class JobRow(TypedDict):
    """A row of `scores.jsonl`: how a job ended."""

    checkpoint: str
    step: int | None
    state: State
    reason: str
    source: str
    ask: str
    """Hash of the evaluation request."""
    limit: int | float | None
    fingerprint: str | None
    queued: float
    ended: float


class ScoreRow(JobRow, ScoreResult):
    """A row of a checkpoint that has a score."""


class BestNumbers(TypedDict):
    """The score of the best checkpoint, and what it is worth, given the choice."""

    score: float | None
    stderr: float | None
    corrected: float | None
    bias: float | None
    ci_low: float | None
    ci_high: float | None
    k: int
    """Checkpoints that it was chosen from."""
    n: int


class BestEntry(BestNumbers):
    """An entry of `best.json`."""

    unit: Unit
    """Of the score."""
    suite: str
    ask: str
    """Hash of the evaluation request."""
    limit: int | float | None
    checkpoint: str
    step: int | None
    source: str
    aside: str | None
    """Folder of its staged files, as long as they are there."""
    record: str
    folder: str
    note: str
