"""Responses held against items of a task, in the killable processes of evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
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


class Scorers:
    """Scoring processes of a session, started when they are first needed. A context manager."""

    def __init__(self) -> None:
        self.pools: dict[str, ScoringPool] = {}
        self.open = ExitStack()

    def __enter__(self) -> Scorers:
        return self

    def __exit__(self, *_: object) -> None:
        self.open.close()

    def verdicts(self, task: Task, cases: Sequence[tuple[Doc, Response]]) -> list[Held]:
        """What a task says of responses, in their order; nothing of theirs can hang this process.

        Raises:
            OlmesError: no process could be started.
        """
        found = [Held() for _ in cases]
        if not cases:
            return found
        if task.name not in self.pools:
            self.pools[task.name] = self.open.enter_context(ScoringPool({task.name: task}))
        pool = self.pools[task.name]
        for (doc, response), held in zip(cases, found, strict=True):
            pool.submit(task.name, doc, response, partial(fill, held))
        pool.join()
        return found


def fill(held: Held, _: str, outcome: Outcome) -> None:
    """Take what one scorer says; of several one has the answer and the parts."""
    verdict = outcome.verdict
    if verdict is None:
        held.troubles.append(outcome.timeout or outcome.crash)
        return
    held.values.update(verdict.values)
    held.parts = held.parts or verdict.parts
    if held.extracted is None and verdict.extracted is not None:
        held.extracted = verdict.extracted
    held.unparsed |= verdict.unparsed
    held.misformatted |= verdict.misformatted
