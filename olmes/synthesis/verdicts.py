"""Responses held against items of a task, in the killable processes of evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from olmes.benchmark.task import Task
from olmes.scoring.process.job import Outcome
from olmes.scoring.process.pool import ScoringPool
from olmes.types import Doc, Response, VerdictPart


@dataclass(slots=True)
class Held:
    """What a task's scorers made of one response."""

    values: dict[str, Any] = field(default_factory=dict)
    parts: list[VerdictPart] = field(default_factory=list)
    extracted: Any = None
    unparsed: bool = False
    misformatted: bool = False
    troubles: list[str] = field(default_factory=list)
    """Why there is no verdict: a limit that was hit, or a crash."""


def verdicts(
    task: Task, cases: Sequence[tuple[Doc, Response]], processes: int | None = None
) -> list[Held]:
    """What a task says of responses, in their order; nothing of theirs can hang this process.

    Raises:
        OlmesError: no process could be started.
    """
    found = [Held() for _ in cases]
    if not cases:
        return found

    def filler(held: Held) -> Any:
        def fill(_: str, outcome: Outcome) -> None:
            verdict = outcome.verdict
            if verdict is None:
                held.troubles.append(outcome.timeout or outcome.crash)
                return
            held.values.update(verdict.values)
            # Of several scorers one has the answer and the parts.
            held.parts = held.parts or verdict.parts
            if held.extracted is None and verdict.extracted is not None:
                held.extracted = verdict.extracted
            held.unparsed |= verdict.unparsed
            held.misformatted |= verdict.misformatted

        return fill

    with ScoringPool({task.name: task}, processes) as pool:
        for (doc, response), held in zip(cases, found, strict=True):
            pool.submit(task.name, doc, response, filler(held))
        pool.join()
    return found
