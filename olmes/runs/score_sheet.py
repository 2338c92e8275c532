"""The score sheet of a task: its rows are filled in as responses and verdicts arrive."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol, TypedDict

from olmes.benchmark.task import Scored, Task
from olmes.reasoning.families import MARK
from olmes.records.reasons import Reasons, reason_of, strings_in
from olmes.records.schema import FLAGS, ResponseRow, RowValue
from olmes.scoring.process.job import Outcome
from olmes.scoring.process.pool import ScoringPool
from olmes.types import Doc, Judgement, Question, Response, ResponseJson, VerdictPart

REFUSAL = re.compile(
    r"\s*(?:I['’]m (?:very |so )?sorry|I am (?:very |so )?sorry|Sorry(?=,)|I apologi[sz]e|My apologies"
    r"|I can(?:not|['’]t| not)|I(?:['’]m| am) (?:not able|unable)|As an AI)\b",
    re.IGNORECASE,
)
"""How refusals begin. A response that begins so and then answers is counted too: read the samples."""


MARKS_LEFT = (
    "answers hold the marks of a thought, which nothing took out (--reasoning-tags says which marks "
    "stand round this model's thoughts)"
)
NOT_ASKED = "the response ended inside its thought, so the judge was not asked"
NO_VALUE = "no scorer gave %s"


class Unanswered(TypedDict):
    """The part of a row that a response and its verdict fill in."""

    response: ResponseJson | None
    values: dict[str, RowValue]
    extracted: Any
    flags: list[str]
    note: str
    parts: list[VerdictPart]


def unanswered() -> Unanswered:
    """That part, before there is a response."""
    return {
        "response": None,
        "values": {},
        "extracted": None,
        "flags": [],
        "note": "",
        "parts": [],
    }


class Rows(Protocol):
    """Rows by position: a list of them, or a run's rows on disk."""

    def __len__(self) -> int: ...

    def __getitem__(self, position: int, /) -> ResponseRow: ...

    def __setitem__(self, position: int, row: ResponseRow, /) -> None: ...


class ScoreSheet:
    """Fills in one task's rows. Safe to fill from several threads.

    A row is in memory from its response to its last verdict, and set in `rows` before and after.
    """

    def __init__(self, task: Task, docs: Sequence[Doc], rows: Rows) -> None:
        self.task = task
        self.docs = docs
        self.rows = rows
        self.to_ask = 0
        """Responses that a judge is to be asked about."""
        self.open: dict[int, ResponseRow] = {}
        """Rows that wait for verdicts."""
        self.outcomes: dict[int, dict[str, Outcome]] = {}
        """What the scorers of such rows have said so far."""
        self.reasons = Reasons()
        """Why responses have no score."""
        self.heard: Callable[[ResponseRow], None] | None = None
        """Called with every row that has its verdict, from the thread that gave it."""
        self.lock = threading.Lock()

    def score(
        self,
        position: int,
        response: Response,
        pool: ScoringPool,
        judgements: Sequence[Judgement] | None = None,
    ) -> None:
        """Have a response scored whose request did not fail; scorers see its answer alone."""
        doc = self.docs[position]
        done = partial(self.scored, position)
        pool.submit(self.task.name, doc, answer_of(response), done, judgements)

    def responded(self, position: int, response: Response) -> None:
        """Write a response into its row."""
        row = self.rows[position]
        made: ResponseJson = {**response.to_json(), "logprobs": list(response.logprobs)}
        if response.rewards:
            made["rewards"] = list(response.rewards)
        row["response"] = made
        row["flags"] = flags_of(response)
        row["note"] = response.error
        if self.task.judged and not response.error:
            if response.unfinished_thinking:
                # There is nothing to ask about, and a judge would weigh what it was not given.
                row["values"] = {**self.task.wrong_values(self.docs[position])}
                row["note"] = NOT_ASKED
                if self.heard:
                    self.heard(row)
            else:
                with self.lock:
                    self.to_ask += 1
        if response.error:
            self.has_no_score("failed", response.error, position, row)
        self.waits(position, row, scored=not response.error and not self.task.judged)

    def record_judgements(
        self, position: int, questions: Sequence[Question], judgements: Sequence[Judgement]
    ) -> None:
        """Write what was asked about a response, and what came back, into its row."""
        row = self.rows[position]
        asked: list[Any] = [
            question.to_json() | judgement.to_json()
            for question, judgement in zip(questions, judgements, strict=True)
        ]
        row["judgements"] = asked
        errors = dict.fromkeys(one.error for one in judgements if one.error)
        if errors:
            row["flags"] = [name for name in FLAGS if name in {*row["flags"], "unjudged"}]
            row["note"] = "; ".join(errors)
            told = next(iter(errors)).removeprefix("no judgement: ")
            self.has_no_score("unjudged", told, position, row)
        self.waits(position, row, scored=not errors)

    def waits(self, position: int, row: ResponseRow, *, scored: bool) -> None:
        """Keep a row in memory if it will be `scored` now, else set it."""
        if scored:
            self.open[position] = row
        else:
            self.rows[position] = row

    def scored(self, position: int, scorer: str, outcome: Outcome) -> None:
        """Write a scorer's outcome into its row; the last of the task's scorers completes it."""
        with self.lock:
            outcomes = self.outcomes.setdefault(position, {})
            outcomes[scorer] = outcome
            if len(outcomes) < len(self.task.scorers):
                return
            del self.outcomes[position]
        # In the scorers' own order, not in that of arrival: the row must not depend on timing.
        ordered = [outcomes[name] for name in self.task.scorers]
        row = self.open.pop(position)
        complete_row(row, ordered)
        if executions := next((one.executions for one in ordered if one.executions), ()):
            row["executions"] = [execution.to_json() for execution in executions]  # type: ignore[misc]
        if any(outcome.timeout for outcome in ordered):
            row["values"] = {**self.task.wrong_values(self.docs[position]), **row["values"]}
        if "unfinished_thinking" in row["flags"]:
            row["values"] = {**row["values"], **unanswered_values(self.task, self.docs[position])}
        require_value(row, self.task)
        if "crashed" in row["flags"]:
            told = next((one.crash for one in ordered if one.crash), NO_VALUE % self.task.decisive)
            self.has_no_score("crashed", told, position, row)
        self.rows[position] = row
        if self.heard and row["values"]:
            self.heard(row)

    def settle(self) -> None:
        """Write the values that need every verdict of the set into their rows.

        Raises:
            OlmesError: the task breaks on them.
        """
        if not any(metric.settled for metric in self.task.metrics):
            return
        at: list[int] = []
        scored: list[Scored] = []
        for position, doc in enumerate(self.docs):
            row = self.rows[position]
            response = row["response"]
            if response and not response.get("error") and row["values"]:
                at.append(position)
                scored.append(
                    Scored(
                        doc=doc,
                        doc_id=row["doc_id"],
                        subtask=row["subtask"],
                        repeat=row["repeat"],
                        values=row["values"],
                        extracted=row["extracted"],
                        characters=len(response["text"]),
                    )
                )
        for position, values in zip(at, self.task.settle(scored), strict=True):
            if values:
                row = self.rows[position]
                self.rows[position] = {**row, "values": {**row["values"], **values}}

    def has_no_score(self, flag: str, error: str, position: int, row: ResponseRow) -> None:
        """Count why a response has no score; nothing of the item may be told with it."""
        reason = reason_of(error, strings_in([self.docs[position], *texts_in(row)]))
        with self.lock:
            self.reasons.add(flag, reason)


def answer_of(response: Response) -> Response:
    """A response without its thought, as scorers and judges see it."""
    return replace(response, reasoning="") if response.reasoning else response


def unanswered_values(task: Task, doc: Doc) -> dict[str, float | list[bool]]:
    """What honest metrics give a response that ended inside its thought: it is no answer.

    The protocol's own metrics say what they say of the text they are given.
    """
    honest = {metric.name for metric in task.metrics if metric.honest}
    worst = task.wrong_values(doc)
    return {name: value for name, value in worst.items() if name in honest}


def flags_of(response: Response) -> list[str]:
    """What is to be counted of a response before it is scored, in the order of `FLAGS`."""
    found = {
        "failed": bool(response.error),
        "empty": not (response.error or response.unfinished_thinking)
        and not (response.logprobs or response.rewards or response.text.strip()),
        "refusal": response.filtered or REFUSAL.match(response.text) is not None,
        "truncated": response.finish == "length",
        "unfinished_thinking": response.unfinished_thinking,
        "prompt_truncated": response.prompt_truncated > 0,
        "thought_marks": MARK.search(response.text) is not None,
    }
    return [name for name, true in found.items() if true]


def texts_in(row: ResponseRow) -> list[Any]:
    """What of a row is the item's text, or was made of it, or came back; why it failed is not."""
    fields: Mapping[str, Any] = row
    answer = fields["response"] or {}
    return [
        *map(fields.get, ("messages", "prompt", "continuations", "answers", "gold")),
        *map(answer.get, ("text", "reasoning")),
        *({**judgement, "error": ""} for judgement in fields.get("judgements") or ()),
    ]


def complete_row(row: ResponseRow, outcomes: Sequence[Outcome]) -> None:
    """Join the outcomes of a response's scorers into its row."""
    notes = [row["note"]]
    flags = set(row["flags"])
    for outcome in outcomes:
        notes += [outcome.timeout, outcome.crash]
        flags |= {"timeout"} if outcome.timeout else set()
        flags |= {"crashed"} if outcome.crash else set()
        if verdict := outcome.verdict:
            row["values"] = {**row["values"], **verdict.values}
            row["parts"].extend(verdict.parts)
            if row["extracted"] is None:
                row["extracted"] = verdict.extracted
            flags |= {"unparsed"} if verdict.unparsed else set()
            flags |= {"misformatted"} if verdict.misformatted else set()
            notes.append(verdict.note)
    row["flags"] = [name for name in FLAGS if name in flags]
    row["note"] = "; ".join(filter(None, notes))


def require_value(row: ResponseRow, task: Task) -> None:
    """Count a scored response without a value of its decisive metric as one that crashed its scorer.

    It would leave the mean in silence: 8 right of 10 scored and 10 not would stand there as 80 %.
    Only where a judge's answer could not be read may the scorer say so instead (`unparsed`).
    """
    unread = task.judged and "unparsed" in row["flags"]
    if row["values"].get(task.decisive) is None and not unread and "crashed" not in row["flags"]:
        row["flags"] = [name for name in FLAGS if name in {*row["flags"], "crashed"}]
        row["note"] = "; ".join(filter(None, (row["note"], NO_VALUE % task.decisive)))
