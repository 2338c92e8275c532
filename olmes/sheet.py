"""The score sheet of a run: one row an item, filled in as responses and verdicts arrive.

A row is what the samples file holds (docs/record.md). It says nothing that differs from one
undisturbed run to the next: no times, no cache hits.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from functools import partial

from olmes.plan import Item, TaskPlan
from olmes.record import Row
from olmes.scoring.pool import Outcome, ScoringPool
from olmes.task import Task
from olmes.types import Doc, Judgement, Question, Response

FLAGS = (
    "failed",
    "empty",
    "refusal",
    "truncated",
    "prompt_truncated",
    "unparsed",
    "misformatted",
    "unjudged",
    "timeout",
    "crashed",
)
"""What is counted beside a score: request failed; blank response; the response refuses; cut at the
token limit; prompt cut from the left; no answer found; the answer is not in the form asked for; the
judge gave no judgement; a scorer hit its time or memory limit; a scorer broke."""

REFUSAL = re.compile(
    r"\s*(?:I['’]m (?:very |so )?sorry|I am (?:very |so )?sorry|Sorry(?=,)|I apologi[sz]e|My apologies"
    r"|I can(?:not|['’]t| not)|I(?:['’]m| am) (?:not able|unable)|As an AI)\b",
    re.IGNORECASE,
)
"""How refusals begin. A response that begins so and then answers is counted too: read the samples."""


def sample_row(plan: TaskPlan, item: Item) -> Row:
    """A run's row before its response: what was asked, and the gold."""
    instance, request = item.instance, item.request
    return {
        "doc_id": instance.doc_id,
        "subtask": instance.subtask,
        "doc_hash": instance.doc_hash,
        "cluster": plan.task.cluster(instance.doc),
        "repeat": request.repeat,
        "prompt_hash": item.request_hash,
        "messages": list(request.messages[len(plan.shared_messages) :]),
        "prompt": request.prompt,
        "prefill": request.prefill,
        "continuations": list(request.continuations),
        "gold": plan.task.gold(instance.doc),
        **unanswered(),
    }


def unanswered() -> Row:
    """The part of a row that a response and its verdict fill in."""
    return {
        "response": None,
        "values": {},
        "extracted": None,
        "flags": [],
        "note": "",
        "parts": [],
    }


class ScoreSheet:
    """Rows of one task beside the items they are about. Safe to fill from several threads."""

    def __init__(self, task: Task, docs: Sequence[Doc], rows: list[Row]) -> None:
        self.task = task
        self.docs = docs
        self.rows = rows
        self.outcomes: list[dict[str, Outcome]] = [{} for _ in rows]
        self.lock = threading.Lock()

    @classmethod
    def of_plan(cls, plan: TaskPlan) -> ScoreSheet:
        """The sheet of a run: one row an item."""
        docs = [item.instance.doc for item in plan.items]
        return cls(plan.task, docs, [sample_row(plan, item) for item in plan.items])

    def score(
        self,
        position: int,
        response: Response,
        pool: ScoringPool,
        judgements: Sequence[Judgement] | None = None,
    ) -> None:
        """Have a response scored whose request did not fail."""
        doc = self.docs[position]
        done = partial(self.scored, position)
        pool.submit(self.task.name, doc, response, done, judgements)

    def responded(self, position: int, response: Response) -> None:
        """Write a response into its row."""
        row = self.rows[position]
        row["response"] = response.to_json() | {"logprobs": list(response.logprobs)}
        flags = {
            "failed": bool(response.error),
            "empty": not response.error and not response.logprobs and not response.text.strip(),
            "refusal": REFUSAL.match(response.text) is not None,
            "truncated": response.finish == "length",
            "prompt_truncated": response.prompt_truncated > 0,
        }
        row["flags"] = [name for name in FLAGS if flags.get(name)]
        row["note"] = response.error

    def judged(
        self, position: int, questions: Sequence[Question], judgements: Sequence[Judgement]
    ) -> None:
        """Write what was asked about a response, and what came back, into its row."""
        row = self.rows[position]
        row["judgements"] = [
            question.to_json() | judgement.to_json()
            for question, judgement in zip(questions, judgements, strict=True)
        ]
        if errors := dict.fromkeys(one.error for one in judgements if one.error):
            row["flags"] = [name for name in FLAGS if name in {*row["flags"], "unjudged"}]
            row["note"] = "; ".join(errors)

    def scored(self, position: int, scorer: str, outcome: Outcome) -> None:
        """Write a scorer's outcome into its row; the last of the task's scorers completes it."""
        with self.lock:
            self.outcomes[position][scorer] = outcome
            if len(self.outcomes[position]) < len(self.task.scorers):
                return
        # In the scorers' own order, not in that of arrival: the row must not depend on timing.
        ordered = [self.outcomes[position][name] for name in self.task.scorers]
        complete_row(self.rows[position], ordered)
        if any(outcome.timeout for outcome in ordered):
            missing = self.task.wrong_values(self.docs[position])
            self.rows[position]["values"] = missing | self.rows[position]["values"]


def complete_row(row: Row, outcomes: Sequence[Outcome]) -> None:
    """Join the outcomes of a response's scorers into its row."""
    notes = [row["note"]]
    flags = set(row["flags"])
    for outcome in outcomes:
        notes += [outcome.timeout, outcome.crash]
        flags |= {"timeout"} if outcome.timeout else set()
        flags |= {"crashed"} if outcome.crash else set()
        if verdict := outcome.verdict:
            row["values"].update(verdict.values)
            row["parts"].extend(verdict.parts)
            if row["extracted"] is None:
                row["extracted"] = verdict.extracted
            flags |= {"unparsed"} if verdict.unparsed else set()
            flags |= {"misformatted"} if verdict.misformatted else set()
            notes.append(verdict.note)
    row["flags"] = [name for name in FLAGS if name in flags]
    row["note"] = "; ".join(filter(None, notes))
