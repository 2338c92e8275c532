"""Recorded responses scored without a model: what `olmes score` does."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

from olmes.benchmark.task import Task
from olmes.data.dataset import Dataset
from olmes.models.recorded_judgements import judgements_for
from olmes.models.recorded_rows import RecordedResponse
from olmes.reasoning import ANY, Reader, split
from olmes.records.aggregate import Numbers, task_numbers
from olmes.records.schema import MetricScore, ResponseRow, RowValue, TaskRepeats
from olmes.requests.recorded import Finder
from olmes.runs.score_sheet import ScoreSheet, answer_of, unanswered
from olmes.scoring.process.pool import ScoringPool
from olmes.types import Response, VerdictPart


@dataclass(frozen=True)
class Rescored:
    """Recorded responses with their verdicts."""

    task: Task
    rows: list[ResponseRow]
    """One a response, in the order of the recording."""
    numbers: Numbers

    @property
    def primary(self) -> str:
        """The task's primary metric."""
        return self.task.primary

    @property
    def standard(self) -> bool:
        """Whether the formulation is the published one."""
        return self.task.standard

    @property
    def metrics(self) -> dict[str, MetricScore]:
        """By name."""
        return self.numbers.metrics

    @property
    def counts(self) -> dict[str, int]:
        """Responses by what happened."""
        return self.numbers.counts

    @property
    def n(self) -> int:
        """Responses."""
        return self.numbers.n

    @property
    def items(self) -> int:
        """Items that these are of."""
        return self.numbers.items

    @property
    def title(self) -> str:
        """The task's name in reports."""
        return self.task.title

    @property
    def repeats(self) -> TaskRepeats | None:
        """Of several responses an item; None where each has one."""
        return self.numbers.repeats


def score_recorded(
    task: Task,
    recorded: Sequence[RecordedResponse],
    dataset: Dataset | None,
    *,
    scoring_processes: int | None = None,
    reader: Reader = ANY,
    k: Sequence[int] = (),
) -> Rescored:
    """Score recorded responses; no model is asked for anything.

    Args:
        task: whose scorers are used.
        recorded: responses; several to one item are clustered in the standard error.
        dataset: where `doc_id` rows are looked up; may be None when every row holds its `doc`.
        scoring_processes: how many; None takes every processor, as no model needs one.
        reader: how responses are taken apart into thought and answer.
        k: of several responses an item, which pass@k are shown; 1, 2, 4, ... by default.

    Raises:
        OlmesError: a row names no item.
    """
    reader = reader.said(task.formulation.reasoning)
    finder = Finder(task, dataset)
    instances = [finder.instance(row) for row in recorded]
    rows: list[Any] = [
        {
            "doc_id": row.doc_id,
            "subtask": instance.subtask,
            "doc_hash": instance.doc_hash,
            "cluster": task.cluster(instance.doc),
            "repeat": row.repeat,
            **unanswered(),
        }
        for row, instance in zip(recorded, instances, strict=True)
    ]
    sheet = ScoreSheet(task, [instance.doc for instance in instances], rows)
    with ScoringPool({task.name: task}, scoring_processes or os.cpu_count()) as pool:
        for position, row in enumerate(recorded):
            response = split(row.to_response(), reader)
            sheet.responded(position, response)
            if task.judged:
                score_judged(sheet, position, row, response, pool)
            elif not response.error:
                sheet.score(position, response, pool)
        pool.join()
    sheet.settle()
    return Rescored(task, rows, task_numbers(task, rows, k=k))


def score_judged(
    sheet: ScoreSheet,
    position: int,
    row: RecordedResponse,
    response: Response,
    pool: ScoringPool,
) -> None:
    """Score a response by the judgements that are recorded with it.

    Raises:
        OlmesError: they are not the answers to what the task asks.
    """
    if response.error or response.unfinished_thinking:
        return
    questions = sheet.task.questions(sheet.docs[position], answer_of(response))
    found = judgements_for(row.judgements or (), questions, row.source)
    sheet.record_judgements(position, questions, found)
    if not any(one.error for one in found):
        sheet.score(position, response, pool, found)


def needs_data(recorded: Sequence[RecordedResponse]) -> bool:
    """Whether a row names its item by `doc_id` alone."""
    return any(row.doc is None for row in recorded)


class VerdictRow(TypedDict):
    """What `olmes score --verdicts` writes for one response."""

    doc_id: int
    subtask: str
    repeat: int
    values: Mapping[str, RowValue]
    extracted: Any
    flags: list[str]
    note: str
    instructions: NotRequired[list[VerdictPart]]


def verdict_row(row: ResponseRow) -> VerdictRow:
    """The verdict of a row."""
    verdict = VerdictRow(
        doc_id=row["doc_id"],
        subtask=row["subtask"],
        repeat=row["repeat"],
        values=row["values"],
        extracted=row["extracted"],
        flags=row["flags"],
        note=row["note"],
    )
    if row["parts"]:
        verdict["instructions"] = row["parts"]
    return verdict


LETTERS = 2
"""Characters of an extracted answer that can quote nothing: a letter, a digit."""


def verdict_of_gated(row: ResponseRow) -> VerdictRow:
    """The verdict of a row on a gated item, without anything that could quote the item."""
    extracted = row["extracted"]
    short = isinstance(extracted, str) and len(extracted) <= LETTERS
    return VerdictRow(
        doc_id=row["doc_id"],
        subtask=row["subtask"],
        repeat=row["repeat"],
        values=row["values"],
        extracted=extracted if short else None,
        flags=row["flags"],
        note="",
    )
