"""The rows of a run's samples (docs/record.md), on disk until the run is finished, and their sheet.

A row says nothing that differs from one undisturbed run to the next: no times, no cache hits.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, TypedDict, cast

from olmes.records.schema import ResponseRow
from olmes.requests.items import Docs, Item
from olmes.requests.plan import TaskPlan
from olmes.runs.score_sheet import ScoreSheet, answer_of, unanswered
from olmes.runs.spool import Spool
from olmes.tools.jsonl import line_of
from olmes.types import Doc, Message, Question, Response


class AskedRow(TypedDict):
    """The part of a row that is there before its response."""

    doc_id: int
    subtask: str
    doc_hash: str
    cluster: str
    repeat: int
    prompt_hash: str
    messages: list[Message]
    prompt: str | None
    prefill: str
    continuations: list[str]
    answers: NotRequired[list[str]]
    gold: Any


def asked_row(plan: TaskPlan, item: Item) -> AskedRow:
    """The part of a row that is there before its response: what was asked, and the gold."""
    instance, request = item.instance, item.first
    row: AskedRow = {
        "doc_id": instance.doc_id,
        "subtask": instance.subtask,
        "doc_hash": instance.doc_hash,
        "cluster": plan.task.cluster(instance.doc),
        "repeat": item.repeat,
        "prompt_hash": item.request_hash,
        "messages": list(request.messages[len(plan.shared_messages) :]),
        "prompt": request.prompt,
        "prefill": request.prefill,
        "continuations": list(request.continuations),
        "gold": plan.task.gold(instance.doc),
    }
    if request.answers:
        row["answers"] = list(request.answers)
    return row


class ResponseRows:
    """The rows of one task by position: read, filled in and set again, as of a list."""

    def __init__(self, plan: TaskPlan, folder: Path, *, packed: bool = False) -> None:
        """Rows of a plan, kept below `folder`; `packed` where they are under seal."""
        self.plan = plan
        self.spool = Spool(folder, len(plan.items), packed=packed)
        self.latest: tuple[Doc, AskedRow] | None = None
        """The document of the row made last, and that row: its repeats differ in two fields."""

    def __len__(self) -> int:
        return len(self.plan.items)

    def __getitem__(self, position: int) -> ResponseRow:
        line = self.spool.get(position)
        if line is None:
            return self.fresh(position)
        row: ResponseRow = json.loads(line)
        return row

    def __setitem__(self, position: int, row: ResponseRow) -> None:
        self.spool.put(position, line_of(row))

    def __iter__(self) -> Iterator[ResponseRow]:
        return (self[position] for position in range(len(self)))

    def fresh(self, position: int) -> ResponseRow:
        """A row without a response."""
        item, latest = self.plan.items[position], self.latest
        if latest is None or latest[0] is not item.instance.doc:
            latest = self.latest = (item.instance.doc, asked_row(self.plan, item))
        own = {"repeat": item.repeat, "prompt_hash": item.request_hash}
        row: Any = {**latest[1], **own, **unanswered()}
        return cast(ResponseRow, row)

    def lines(self) -> Iterator[bytes]:
        """The rows as lines of the samples file, in their order."""
        for position in range(len(self)):
            yield self.spool.get(position) or line_of(self.fresh(position))

    def close(self) -> None:
        """Give the file back."""
        self.spool.close()


class RunSheet(ScoreSheet):
    """The score sheet of one task in a run."""

    rows: ResponseRows

    def __init__(self, plan: TaskPlan, folder: Path, *, packed: bool = False) -> None:
        super().__init__(plan.task, Docs(plan.items), ResponseRows(plan, folder, packed=packed))
        self.plan = plan

    def to_judge(self) -> Iterator[ToJudge]:
        """The answers that a judge is to be asked about.

        There is none where a request failed or a thought never ended.
        """
        for position, row in enumerate(self.rows):
            response = row["response"] and Response.from_json(row["response"])
            if response and not response.error and not response.unfinished_thinking:
                yield ToJudge(self, position, answer_of(response))


@dataclass(frozen=True, slots=True)
class ToJudge:
    """A response that a judge is asked about."""

    sheet: RunSheet
    row: int
    response: Response

    def questions(self, number: int) -> tuple[int, Item, tuple[Question, ...]]:
        """What is asked, as `judge_responses` wants it."""
        asked = self.sheet.task.questions(self.sheet.docs[self.row], self.response)
        return number, self.sheet.plan.items[self.row], asked
