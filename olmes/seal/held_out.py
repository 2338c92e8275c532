"""Which tasks of a run are held out: those of a held-out suite, by their name or by their data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

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
    for one in exams(suite):
        for task in tasks:
            if one.holds(task.name, task.source.content_hash):
                held.setdefault(task.name, []).append(one.suite)
    return held


@dataclass(frozen=True, slots=True)
class Exam:
    """What a held-out suite keeps closed."""

    suite: str
    names: frozenset[str]
    """Of its tasks, as the suite writes them and as they call themselves."""
    data: frozenset[str]
    """Content hashes of their real data."""

    def holds(self, name: str, data: str) -> bool:
        """Whether a task of a name, or data of a content hash, is held out."""
        return name in self.names or data in self.data


def exams(suite: Suite | None = None) -> list[Exam]:
    """Every held-out suite that is installed, and the one that is run if it is one."""
    found = []
    for one in held_out_suites(suite):
        members = [task for name in one.tasks if (task := installed(name))]
        found.append(
            Exam(
                one.name,
                frozenset({*one.tasks, *(member.name for member in members)}),
                frozenset(member.source.content_hash for member in members) - {""},
            )
        )
    return found


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
