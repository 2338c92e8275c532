"""Recorded responses brought to the items they answer, so that `replay:FILE` can answer a run."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence

from olmes.benchmark.task import Task
from olmes.data.dataset import Dataset, by_file
from olmes.errors import OlmesError
from olmes.models.recorded_rows import RecordedResponse
from olmes.models.replay import RecordedResponses, ReplayModel
from olmes.requests.plan import Plan
from olmes.types import Doc, Instance, Response

MISSING = -1
"""In place of an offset, where there is no such response."""


class RecordedIndex:
    """Where in a recording the responses to the items of some tasks are: 8 bytes a response."""

    def __init__(self, recorded: RecordedResponses) -> None:
        self.recorded = recorded
        self.offsets: dict[str, array[int]] = {}
        """By the instance's id: the offset of each repeat's line."""

    def add(self, instance_id: str, repeat: int, offset: int) -> int | None:
        """Add a response; the offset of an earlier one to the same item, if there is one."""
        own = self.offsets.setdefault(instance_id, array("q"))
        own.extend([MISSING] * (repeat + 1 - len(own)))
        before, own[repeat] = own[repeat], offset
        return None if before == MISSING else before

    def row(self, instance_id: str, repeat: int) -> RecordedResponse | None:
        """The line of an item, if it is recorded."""
        own = self.offsets.get(instance_id, ())
        if repeat >= len(own) or own[repeat] == MISSING:
            return None
        return self.recorded.at(own[repeat])

    def response(self, instance_id: str, repeat: int) -> Response | None:
        """The response to an item, if it is recorded."""
        row = self.row(instance_id, repeat)
        return row.to_response() if row else None


def index_recorded(
    recorded: RecordedResponses, tasks: Sequence[Task], datasets: Mapping[str, Dataset]
) -> RecordedIndex:
    """Find the items of some tasks that recorded responses answer.

    Raises:
        OlmesError: a row names no task where there are several, or two rows answer one item.
    """
    finders = {task.name: Finder(task, datasets[task.name]) for task in tasks}
    only = next(iter(finders))
    found = RecordedIndex(recorded)
    for offset, response in recorded:
        if not response.task and len(finders) > 1:
            raise OlmesError(
                f"{response.source}: the run has several tasks; name each response's `task`."
            )
        if (finder := finders.get(response.task or only)) is None:
            continue
        before = found.add(finder.instance(response).id, response.repeat, offset)
        if before is not None:
            raise OlmesError(
                f"{response.source}: answers the same item as {recorded.source_of(before)}; "
                "number several responses to one item with repeat = 0, 1, ..., or remove one."
            )
    return found


def check_prompts(plan: Plan, index: RecordedIndex) -> None:
    """Hold a recording that says who gave its responses against what is asked: the same, to the byte.

    Raises:
        OlmesError: a response was given to another prompt, or with other settings.
    """
    head = index.recorded.head
    if head is None:
        return
    for task in plan.tasks:
        for item in task.items:
            row = index.row(item.instance.id, item.repeat)
            if row is None or row.prompt_hash in ("", item.request_hash):
                continue
            settings = head.settings(task.task.name)
            raise OlmesError(
                f"{index.recorded.path}: the response to {item.instance.id} was given to another prompt "
                f"or with other settings; replay it with those it was recorded with "
                f"({settings or 'the standard formulation of that time'}), or record again."
            )


def set_answers(model: ReplayModel, index: RecordedIndex) -> None:
    """Have a replay model find its answers to planned requests.

    By the item a request was made for, never by its content: two items can have the same prompt, and
    the response to one is none to the other.
    """
    model.find = lambda request: index.response(request.item, request.repeat)


class Finder:
    """Finds the instance that a recorded response answers."""

    def __init__(self, task: Task, dataset: Dataset | None) -> None:
        self.task = task
        instances = dataset.instances if dataset else ()
        self.by_position = {(one.subtask, one.doc_id): one for one in instances}
        # Where one file holds all sub-tasks the row number alone names the item.
        self.by_row: dict[int, list[Instance]] = {}
        for one in instances:
            self.by_row.setdefault(one.doc_id, []).append(one)
        self.by_content: dict[str, list[Instance]] = {}
        """A data set can hold a document twice."""
        for one in instances:
            self.by_content.setdefault(one.doc_hash, []).append(one)
        self.weighs: bool | None = None
        """Whether the task weighs continuations; None until a text had to be held against it."""
        self.answered: Counter[tuple[str, int]] = Counter()
        """Responses found so far, by the document's hash and the repeat."""

    def instance(self, row: RecordedResponse) -> Instance:
        """The instance a row answers.

        Raises:
            OlmesError: there is no such item, the row does not say which of several, it was recorded
                for an item of another content, or it is no answer to what the task asks.
        """
        found = self.by_number(row) if row.doc is None else self.from_doc(row, row.doc)
        if row.doc is None and row.doc_hash and row.doc_hash != found.doc_hash:
            raise OlmesError(
                f"{row.source}: the response is to another item than document {row.doc_id} of "
                f"{self.task.name} as it is read here; give the run's own data with --data."
            )
        self.check_kind(row, found)
        return found

    def check_kind(self, row: RecordedResponse, found: Instance) -> None:
        """Hold a row against what the task asks: a text, or the log-probability of each continuation.

        Raises:
            OlmesError: it has the one where the other is asked for, or another number of them.
        """
        response = row.to_response()
        if response.error:
            return
        given, name = len(response.logprobs), self.task.name
        if self.task.for_reward_models or response.rewards:
            self.check_rewards(row, found, len(response.rewards))
            return
        if not given:
            if self.weighs is None:
                try:
                    self.weighs = bool(self.task.continuations(found.doc))
                except (KeyError, OlmesError):
                    # An inline item may have what is scored and lack what is asked.
                    return
            if self.weighs:
                raise OlmesError(
                    f"{row.source}: {name} weighs continuations; give 'logprobs' instead of a text, "
                    "one summed value a continuation."
                )
            return
        asked = len(self.task.continuations(found.doc))
        if not asked:
            raise OlmesError(
                f"{row.source}: {name} generates text; give 'response' instead of 'logprobs'."
            )
        if given != asked:
            raise OlmesError(
                f"{row.source}: {given} 'logprobs' for the {asked} continuations of {found.id}; give "
                f"one summed value a continuation, in the order of `olmes show {name} --json`."
            )

    def check_rewards(self, row: RecordedResponse, found: Instance, given: int) -> None:
        """Hold a row against a task that compares rewards: one for each answer.

        Raises:
            OlmesError: it has another number of them, or the task compares none.
        """
        asked = len(self.task.request(found.doc).answers) if self.task.for_reward_models else 0
        if given != asked:
            raise OlmesError(
                f"{row.source}: {given} 'rewards' for the {asked} answers of {found.id}; give one "
                "number an answer, in the order of `olmes show TASK --json`."
                if asked
                else f"{row.source}: {self.task.name} compares no rewards; give what it asks for."
            )

    def by_number(self, row: RecordedResponse) -> Instance:
        """The instance a row names by its place in the official file.

        Raises:
            OlmesError: there is no such item, or the row does not say which of several.
        """
        assert row.doc_id is not None
        if found := self.by_position.get((row.subtask, row.doc_id)):
            return found
        candidates = self.by_row.get(row.doc_id, [])
        if row.subtask and by_file(self.task.source):
            raise self.not_found(row, [one for one in self.by_position if one[0] == row.subtask])
        if not candidates:
            raise self.not_found(row, list(self.by_position))
        if len(candidates) == 1:
            return candidates[0]
        names = sorted({one.subtask for one in candidates})
        raise OlmesError(
            f"{row.source}: document {row.doc_id} is in several files of {self.task.name}; "
            f"give `subtask`, one of {', '.join(names)}."
        )

    def not_found(self, row: RecordedResponse, positions: Sequence[tuple[str, int]]) -> OlmesError:
        """The error that a row names no item, with the names or numbers there are."""
        if not positions:
            names = sorted({subtask for subtask, _ in self.by_position})
            return OlmesError(
                f"{row.source}: {self.task.name} has no sub-task '{row.subtask}'; "
                f"write one of {', '.join(names)}."
            )
        where = f" in {row.subtask}" if row.subtask and by_file(self.task.source) else ""
        return OlmesError(
            f"{row.source}: {self.task.name} has no document {row.doc_id}{where}; "
            f"the last row is {max(row for _, row in positions)}."
        )

    def from_doc(self, row: RecordedResponse, doc: Doc) -> Instance:
        """The instance of an inline document: the data set's own where the content is the same."""
        doc = self.in_known_form(row, doc)
        if (field := self.task.source.row_field) and row.doc_id is not None:
            doc = {field: row.doc_id, **doc}
        subtask = row.subtask or doc.get("subtask") or self.subtask_of(row, doc)
        source = self.task.source
        known = {name: doc[name] for name in (*source.fields, *source.optional) if name in doc}
        named = {"subtask": subtask} if by_file(self.task.source) else {}
        instance = Instance(self.task.name, row.doc_id or 0, known | named, subtask)
        same = self.by_content.get(instance.doc_hash, [instance])
        if row.doc_id is not None:
            return next((one for one in same if one.doc_id == row.doc_id), same[0])
        # Of a document that is there twice the first response is the first one's.
        seen = (instance.doc_hash, row.repeat)
        self.answered[seen] += 1
        return same[min(self.answered[seen], len(same)) - 1]

    def in_known_form(self, row: RecordedResponse, doc: Doc) -> Doc:
        """An inline document in the form that the task reads."""
        try:
            return self.task.source.known_form(doc)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise self.no_item(row, error) from None

    def no_item(self, row: RecordedResponse, error: Exception) -> OlmesError:
        """The error that an inline document is no item of the task."""
        # What a task says of a gated item may quote it.
        said = "" if self.task.source.gated and not isinstance(error, KeyError) else f": {error}"
        return OlmesError(
            f"{row.source}: the inline doc is not an item of {self.task.name} "
            f"({type(error).__name__}{said}); give it the official file's fields "
            f"({', '.join(self.task.source.fields)})."
        )

    def subtask_of(self, row: RecordedResponse, doc: Doc) -> str:
        """The sub-task the task itself reads from a document; '' where the document has none."""
        try:
            self.task.gold(doc)
        except (KeyError, TypeError, ValueError) as error:
            raise self.no_item(row, error) from None
        try:
            return self.task.subtask(doc)
        except KeyError:
            return ""
