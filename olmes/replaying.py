"""Recorded responses brought to the items they answer: for a run (`replay:FILE`) and for scoring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from olmes.aggregate import task_numbers
from olmes.data.resolve import Dataset
from olmes.errors import OlmesError
from olmes.models.replay import RecordedResponse, ReplayModel, request_key
from olmes.plan import Plan
from olmes.record import Row
from olmes.scoring.pool import ScoringPool
from olmes.sheet import ScoreSheet, unanswered
from olmes.task import Task
from olmes.types import Doc, Instance


@dataclass(frozen=True)
class Scored:
    """Recorded responses with their verdicts."""

    task: Task
    rows: list[Row]
    """One a response, in the order of the recording."""
    numbers: dict[str, Any]
    """As a task's part of a record: `n`, `metrics`, `subtasks`, `counts`."""


Recorded = dict[tuple[str, int], RecordedResponse]
"""Recorded responses by the id of the instance they answer and their repeat."""


def recorded_answers(
    rows: Sequence[RecordedResponse], tasks: Sequence[Task], datasets: Mapping[str, Dataset]
) -> Recorded:
    """The recorded responses to the items of some tasks.

    Raises:
        OlmesError: a row names no task where there are several, or two rows answer one item.
    """
    finders = {task.name: Finder(task, datasets[task.name]) for task in tasks}
    recorded: Recorded = {}
    for row in rows:
        if not row.task and len(finders) > 1:
            raise OlmesError(
                f"{row.place}: the run has several tasks, so each row must name its `task`."
            )
        if (finder := finders.get(row.task or next(iter(finders)))) is None:
            continue
        key = (finder.instance(row).id, row.repeat)
        if key in recorded:
            raise OlmesError(
                f"{row.place}: answers the same item as {recorded[key].place}; number several "
                "responses to one item with repeat = 0, 1, ..., or remove one."
            )
        recorded[key] = row
    return recorded


def fill_answers(model: ReplayModel, plan: Plan, recorded: Recorded) -> None:
    """Give a replay model its answers to the requests of a plan."""
    for item in plan.items:
        if found := recorded.get((item.instance.id, item.request.repeat)):
            model.answers[request_key(item.request)] = found.to_response()


class Finder:
    """Finds the instance that a recorded response answers."""

    def __init__(self, task: Task, dataset: Dataset | None) -> None:
        self.task = task
        instances = dataset.instances if dataset else ()
        self.by_place = {(one.subtask, one.doc_id): one for one in instances}
        # Where one file holds all sub-tasks the row number alone names the item.
        self.by_row: dict[int, list[Instance]] = {}
        for one in instances:
            self.by_row.setdefault(one.doc_id, []).append(one)
        self.by_content = {one.doc_hash: one for one in instances}

    def instance(self, row: RecordedResponse) -> Instance:
        """The instance a row answers.

        Raises:
            OlmesError: there is no such item, or the row does not say which of several.
        """
        if row.doc is not None:
            return self.from_doc(row, row.doc)
        assert row.doc_id is not None
        candidates = self.by_row.get(row.doc_id, [])
        if len(candidates) == 1:
            return candidates[0]
        if found := self.by_place.get((row.subtask, row.doc_id)):
            return found
        if not candidates:
            raise OlmesError(f"{row.place}: {self.task.name} has no document {row.doc_id}.")
        names = sorted({one.subtask for one in candidates})
        raise OlmesError(
            f"{row.place}: document {row.doc_id} stands in several files of {self.task.name}; "
            f"give `subtask`, one of {', '.join(names)}."
        )

    def from_doc(self, row: RecordedResponse, doc: Doc) -> Instance:
        """The instance of an inline document: the data set's own where the content is the same."""
        reduced = {name: doc[name] for name in self.task.source.fields if name in doc}
        subtask = row.subtask or self.of_task(row, doc)
        made = Instance(self.task.name, row.doc_id or 0, reduced, subtask)
        return self.by_content.get(made.doc_hash, made)

    def of_task(self, row: RecordedResponse, doc: Doc) -> str:
        """The sub-task the task itself reads from a document; '' where the document has none."""
        try:
            self.task.gold(doc)
        except (KeyError, TypeError, ValueError) as error:
            raise OlmesError(
                f"{row.place}: the inline doc is not an item of {self.task.name} "
                f"({type(error).__name__}: {error}); give it the official file's fields "
                f"({', '.join(self.task.source.fields)})."
            ) from None
        try:
            return self.task.subtask(doc)
        except KeyError:
            return ""


def score_recorded(
    task: Task,
    recorded: Sequence[RecordedResponse],
    dataset: Dataset | None,
    *,
    workers: int | None = None,
) -> Scored:
    """Judge recorded responses; no model is asked for anything.

    Args:
        task: whose scorers judge.
        recorded: responses; several to one item are clustered in the standard error.
        dataset: where `doc_id` rows are looked up; may be None when every row holds its `doc`.
        workers: scoring processes.

    Raises:
        OlmesError: a row names no item.
    """
    finder = Finder(task, dataset)
    instances = [finder.instance(row) for row in recorded]
    rows: list[Row] = [
        {
            "doc_id": row.doc_id,
            "subtask": instance.subtask,
            "doc_hash": instance.doc_hash,
            "repeat": row.repeat,
            **unanswered(),
        }
        for row, instance in zip(recorded, instances, strict=True)
    ]
    sheet = ScoreSheet(task, [instance.doc for instance in instances], rows)
    with ScoringPool({task.name: task}, workers) as pool:
        for position, row in enumerate(recorded):
            sheet.judge(position, row.to_response(), pool)
        pool.join()
    return Scored(task, rows, task_numbers(task, rows))


def needs_data(recorded: Sequence[RecordedResponse]) -> bool:
    """Whether a row names its item by `doc_id` alone."""
    return any(row.doc is None for row in recorded)


def verdict_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """What `olmes score --verdicts` writes for one response."""
    kept = ("doc_id", "subtask", "repeat", "values", "extracted", "flags", "note")
    verdict = {name: row[name] for name in kept}
    if row["parts"]:
        verdict["instructions"] = row["parts"]
    return verdict
