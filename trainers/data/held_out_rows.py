"""Rows of RLVR that would reward a model for what is held out or gated: refused, never trained on.

By the verifier's task (its name, an alias, a file that declares the same data) and by the items that
a row holds, whoever verifies them, as far as the data of the held-out tasks lie on this machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from olmes.benchmark.registry import load_task
from olmes.errors import OlmesError
from olmes.seal.exam_items import exam_of_docs
from olmes.seal.held_out import Exam, exams, members_of


@cache
def installed_exams() -> tuple[Exam, ...]:
    """Every held-out suite that is installed, read once."""
    return tuple(exams())


@cache
def held_out_names() -> tuple[str, ...]:
    """The tasks of those suites."""
    return tuple(members_of(installed_exams()))


def refuse_held_out_task(name: str) -> None:
    """Refuse a verifier's task that is held out, or whose items may not be published.

    Args:
        name: of the task, or its file.

    Raises:
        OlmesError: it is.
    """
    if suites := suites_of(name):
        raise OlmesError(
            f"'{name}' is held out by the suite {', '.join(suites)}, so that no model may be rewarded "
            "by it; take these rows out, or verify them by another task on other items"
        )
    if is_gated(name):
        raise OlmesError(
            f"'{name}' has gated items, which the logs and samples of a training would hold in plain "
            "text; take these rows out, or verify them by another task on other items"
        )


@cache
def is_gated(name: str) -> bool:
    """Whether a task's items may not be published in plain text."""
    try:
        return load_task(name).source.gated
    except OlmesError:
        return False


@cache
def suites_of(name: str) -> tuple[str, ...]:
    """The suites that hold a task out; none for one that is not there, which others tell."""
    names, data = {name}, ""
    try:
        task = load_task(name)
        names |= {task.name, type(task).name}
        data = task.source.content_hash
    except OlmesError:
        pass
    found = (one for one in installed_exams() if any(one.holds(each, data) for each in names))
    return tuple(one.suite for one in found)


def refuse_held_out_items(verifiers: Iterable[Mapping[str, Any]], prompt: Iterable[Any]) -> None:
    """Refuse a row that is an item of a held-out task.

    Args:
        verifiers: of the row; the `doc` of each is read.
        prompt: its turns, or texts.

    Raises:
        OlmesError: it is.
    """
    docs = (verifier.get("doc") for verifier in verifiers)
    if exam := exam_of_docs([*docs, *prompt], held_out_names()):
        suites = ", ".join(one.suite for one in installed_exams() if exam in one.names)
        raise OlmesError(
            f"it holds an item of {exam}, which the suite {suites} holds out, so that no model may be "
            "rewarded by it; take the row out"
        )
