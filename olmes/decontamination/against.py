"""Which evaluations training data are compared with: tasks of suites, as far as their data are here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from olmes.benchmark.suite import Suite
from olmes.benchmark.task import Task
from olmes.data.dataset import Dataset, Say
from olmes.data.resolve import data_folder, resolve
from olmes.decontamination.evaluations import Evaluation, Field, evaluation
from olmes.errors import OlmesError
from olmes.seal.held_out import held_out_tasks
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
    data: Path | None,
    fields: Sequence[Field],
    *,
    say: Say,
    looks: Iterable[Entry] = (),
) -> Against:
    """The items of tasks, as they are compared; a task without data is skipped, with the reason.

    Args:
        named: suites and tasks; a task that several name is compared once.
        data: a folder of benchmark files, as for a run.
        fields: what of an item is compared.
        say: is given each line about where data come from.
        looks: lines of a ledger; what they were looks at is held out.

    Raises:
        OlmesError: two tasks have one name, the folder does not exist, or no task has any item.
    """
    data_folder(data)
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
    return held
