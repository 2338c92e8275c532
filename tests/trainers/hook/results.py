"""A result as the queue keeps it, where a test wants any."""

from __future__ import annotations

from typing import Any

from olmes.trainers.checkpoints.results import ScoreResult


def some_result(**changes: Any) -> ScoreResult:
    result: ScoreResult = {
        "record": "a-record", "folder": "/runs/a-record", "suite": "mini", "complete": True,
        "held_out": False, "value": 0.5, "stderr": 0.1, "ci_low": 0.3, "ci_high": 0.7, "n": 12,
        "tasks": {}, "missing": [],
    }  # fmt: skip
    result.update(changes)  # type: ignore[typeddict-item]
    return result
