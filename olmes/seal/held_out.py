"""Which tasks of a run are held out: those of a held-out suite, by their name or by their data."""

from __future__ import annotations

from collections.abc import Iterable

from olmes.benchmark.registry import load_suite, load_task, suite_names
from olmes.benchmark.suite import Suite
from olmes.benchmark.task import Task
from olmes.errors import OlmesError


def held_out_tasks(tasks: Iterable[Task], suite: Suite | None) -> dict[str, list[str]]:
    """The held-out ones of `tasks`, with the names of the suites that hold them out.

    A task is held out wherever it runs, alone or in another suite, and so is a task of another name
    on the same data: it is the data that must not be looked at.
    """
    tasks = list(tasks)
    held: dict[str, list[str]] = {}
    for one in held_out_suites(suite):
        members = [found for name in one.tasks if (found := installed(name))]
        names = {*one.tasks, *(member.name for member in members)}
        data = {member.source.content_hash for member in members} - {""}
        for task in tasks:
            if task.name in names or task.source.content_hash in data:
                held.setdefault(task.name, []).append(one.name)
    return held


def installed(name: str) -> Task | None:
    """A suite's task; None where it is not installed here, so that only its name is held out."""
    try:
        return load_task(name)
    except OlmesError:
        return None


def held_out_suites(suite: Suite | None) -> list[Suite]:
    """Every held-out suite that is installed, and the one that is run if it is one."""
    suites = {name: load_suite(name) for name in suite_names()}
    if suite is not None:
        suites[suite.name] = suite
    return [one for one in suites.values() if one.held_out]
