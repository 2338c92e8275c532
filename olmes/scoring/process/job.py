"""What a scoring process is asked, and what comes of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from olmes.benchmark.task import Task
from olmes.sandbox.program import Execution, Program
from olmes.tools.jsonl import compact_json
from olmes.types import Doc, Judgement, Response, Verdict


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one scorer made of one response: a verdict, or why there is none."""

    verdict: Verdict | None = None
    timeout: str = ""
    """The limit of time or memory that was hit: the answer was not shown to be right within it."""
    crash: str = ""
    """A fault of the scorer, never counted as a wrong answer."""
    programs: tuple[Program, ...] | None = None
    """What is to be executed before there can be a verdict; never reported to whom submitted."""
    executions: Sequence[Execution] = ()
    """What came of these programs."""


@dataclass(frozen=True, slots=True)
class ScoringJob:
    """One scorer on one response."""

    task: str
    scorer: str
    doc: Doc
    response: Response
    limit: float
    done: Callable[[Outcome], None]
    judgements: Sequence[Judgement] | None = None
    executions: Sequence[Execution] | None = None

    def to_json(self) -> bytes:
        """What the worker needs, as a JSON object."""
        response = self.response.to_json()
        parts = [
            b'{"task":' + compact_json(self.task),
            b'"scorer":' + compact_json(self.scorer),
            b'"doc":' + ascii_json(self.doc),
            # A log-probability may be NaN, which `compact_json` cannot write.
            b'"response":'
            + (ascii_json(response) if response["logprobs"] else compact_json(response)),
        ]
        if self.judgements is not None:
            rows = [judgement.to_json() for judgement in self.judgements]
            parts.append(b'"judgements":' + ascii_json(rows))
        if self.executions is not None:
            rows = [execution.to_json() for execution in self.executions]
            parts.append(b'"executions":' + ascii_json(rows))
        return b",".join(parts) + b"}"


@dataclass(frozen=True, slots=True)
class Case:
    """A response that is scored."""

    task: Task
    doc: Doc
    response: Response
    done: Callable[[str, Outcome], None]
    judgements: Sequence[Judgement] | None

    def job(
        self,
        scorer: str,
        done: Callable[[Outcome], None],
        executions: Sequence[Execution] | None = None,
    ) -> ScoringJob:
        """One thing that a worker is asked about it."""
        return ScoringJob(
            task=self.task.name,
            scorer=scorer,
            doc=self.doc,
            response=self.response,
            limit=self.task.time_limit,
            done=done,
            judgements=self.judgements,
            executions=executions,
        )

    def jobs(self, executions: Sequence[Execution] | None = None) -> list[ScoringJob]:
        """All of the task's scorers."""
        return [
            self.job(scorer, partial(self.done, scorer), executions) for scorer in self.task.scorers
        ]


def ascii_json(value: Any) -> bytes:
    """JSON of any value, without line ends."""
    return json.dumps(value).encode("ascii")
