"""Which evaluations training data are compared with: tasks of suites, as far as their data are here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from olmes.benchmark.registry import TASKS
from olmes.benchmark.suite import Suite
from olmes.benchmark.task import Task
from olmes.data.dataset import Dataset, Say
from olmes.data.places import DataFolders, data_folders
from olmes.data.resolve import resolve
from olmes.decontamination.evaluations import Evaluation, Field, evaluation
from olmes.errors import OlmesError
from olmes.seal.exam_items import ExamItems, digests
from olmes.seal.held_out import foreign_docs, held_out_tasks
from olmes.seal.ledger import Entry
from olmes.seal.sight import seen

Named = tuple[Suite | None, Sequence[Task]]
"""What a name stands for: a suite with its tasks, or tasks."""
STORE = "that was run in this store"
"""Stands for the name of a held-out suite that only a ledger knows."""


@dataclass(frozen=True, slots=True)
class Against:
    """What is compared with, and what was asked for and is not."""

    evaluations: tuple[Evaluation, ...]
    skipped: Mapping[str, str]
    """By task, why it cannot be compared with."""


def find_evaluations(
    named: Sequence[Named],
    data: DataFolders,
    fields: Sequence[Field],
    *,
    say: Say,
    looks: Iterable[Entry] = (),
) -> Against:
    """The items of tasks, as they are compared; a task without data is skipped, with the reason.

    Args:
        named: suites and tasks; a task that several name is compared once.
        data: folders of benchmark files, as for a run.
        fields: what of an item is compared.
        say: is given each line about where data come from.
        looks: lines of a ledger; what they were looks at is held out.

    Raises:
        OlmesError: two tasks have one name, the folder does not exist, or no task has any item.
    """
    data_folders(data)
    tasks = each_once(task for _, some in named for task in some)
    datasets: dict[str, Dataset] = {}
    skipped: dict[str, str] = {}
    for task in tasks:
        try:
            # Exemplars are part of what is compared only where the prompt is.
            datasets[task.name] = resolve(task, data, say=say, prompts=not task.source.question)
        except OlmesError as error:
            skipped[task.name] = str(error).removeprefix(f"{task.name}: ")
    there = [task for task in tasks if task.name in datasets]
    held = held_out([suite for suite, _ in named if suite], there, datasets, list(looks))
    found = tuple(
        evaluation(task, datasets[task.name], held.get(task.name, ()), fields) for task in there
    )
    for one in found:
        if one.items and one.without_tokens == len(one.items):
            skipped[one.task] = f"no {' or '.join(fields)} of its items has a word to compare."
    kept = tuple(one for one in found if one.items and one.task not in skipped)
    if not kept:
        raise OlmesError(
            "there is nothing to compare with: "
            + " ".join(f"{name}: {why}" for name, why in skipped.items())
        )
    return Against(kept, skipped)


def each_once(tasks: Iterable[Task]) -> list[Task]:
    """Tasks by their names, in order.

    Raises:
        OlmesError: two tasks have one name.
    """
    found: dict[str, Task] = {}
    for task in tasks:
        if found.setdefault(task.name, task).reference != task.reference:
            raise OlmesError(f"two tasks are named {task.name}; rename one.")
    return list(found.values())


def held_out(
    suites: Sequence[Suite],
    tasks: Sequence[Task],
    datasets: Mapping[str, Dataset],
    looks: Sequence[Entry],
) -> dict[str, list[str]]:
    """The held-out ones of some tasks, with the suites that hold them out.

    Those of suites that are installed or named, and what was looked at in the store by a suite that
    is neither. Demo items of a held-out task are counted as its real ones are.
    """
    held: dict[str, list[str]] = {}
    for suite in (None, *(one for one in suites if one.held_out)):
        for name, names in held_out_tasks(tasks, suite, datasets).items():
            held[name] = list(dict.fromkeys([*held.get(name, ()), *names]))
    for task in tasks:
        if task.name not in held and any(
            seen(entry, task.name, datasets[task.name]) for entry in looks
        ):
            held[task.name] = [STORE]
    return held | parts_of_exams(held, tasks, datasets)


def parts_of_exams(
    held: Mapping[str, list[str]], tasks: Sequence[Task], datasets: Mapping[str, Dataset]
) -> dict[str, list[str]]:
    """Tasks with items of the held-out ones beside them, with the suites that hold those out.

    Of installed suites these are known already; this is for a suite that is a file alone.
    """
    exams = [
        (ExamItems.of(task, datasets[task.name]), held[task.name])
        for task in tasks
        if task.name in held and datasets[task.name].origin != "demo"
    ]
    found: dict[str, list[str]] = {}
    for task in tasks:
        dataset = datasets[task.name]
        own = task.reference.startswith(f"{TASKS}.") and (
            dataset.official or dataset.origin == "hub"
        )
        if task.name in held or own or dataset.origin in ("demo", "generated") or not exams:
            continue
        docs = foreign_docs(
            task, [instance.doc for instance in dataset.instances], dataset.location
        )
        for exam, suites in exams:
            if any(exam.has(doc, frozenset(digests(doc))) for doc in docs):
                found[task.name] = suites
    return found
