"""Who judges which task: one judge for all, or one of its own for some."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from olmes.errors import OlmesError
from olmes.judging.judge import Judge
from olmes.records.schema import JudgeModel

Named = str | Judge
"""A judge, or how a user writes its model."""
Given = Named | Mapping[str, Named] | None
"""One judge for every judged task, or judges by task's name; under '' for those that are not named."""
Written = str | Mapping[str, str] | None
"""The same where all are written, as another process can read it."""
EVERY = ""
OF_TASK = re.compile(r"([A-Za-z0-9_.+-]+)=(.+)", re.DOTALL)
"""`TASK=MODEL`; what holds a `/` or `:` before its first `=` is a model's name."""


def named(given: Given, task: str) -> Named | None:
    """The judge that is given for a task."""
    if isinstance(given, Mapping):
        return given.get(task, given.get(EVERY))
    return given


def parse_judges(values: Sequence[str]) -> Written:
    """What `--judge MODEL` and `--judge TASK=MODEL` say together.

    Raises:
        OlmesError: two are given for one task, or for all tasks.
    """
    found: dict[str, str] = {}
    for value in values:
        match = OF_TASK.fullmatch(value)
        task, model = match.groups() if match else (EVERY, value)
        if task in found:
            raise OlmesError(
                f"--judge {value}: {task or 'every task'} has a judge already; give one for all tasks, "
                "and TASK=MODEL for each that has its own."
            )
        found[task] = model
    return found.get(EVERY) if found.keys() <= {EVERY} else found


class Judges:
    """The judges of a run. A model that is named for several tasks is one judge, with one budget."""

    def __init__(self, every: Judge | None = None, own: Mapping[str, Judge] | None = None) -> None:
        """One judge for tasks that have none of their own, and those that are a task's own."""
        self.every = every
        self.own = dict(own or {})

    def of(self, task: str) -> Judge | None:
        """Who judges a task."""
        return self.own.get(task, self.every)

    def __iter__(self) -> Iterator[Judge]:
        """Each judge once."""
        found = [*self.own.values(), *([self.every] if self.every else [])]
        return iter({id(judge): judge for judge in found}.values())

    def described(self, tasks: Sequence[str]) -> JudgeModel | dict[str, JudgeModel] | None:
        """How the judges of tasks are described: one description where it is the same for all."""
        found = {task: judge.describe() for task in tasks if (judge := self.of(task))}
        ones = list(found.values())
        if not ones:
            return None
        return ones[0] if all(one == ones[0] for one in ones) else found
