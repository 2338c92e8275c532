"""`--set` changes what it says it changes, in every bundled task."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from olmes import OlmesError
from olmes.benchmark.formulation import Formulation
from olmes.benchmark.registry import bundled_tasks, load_task
from olmes.data.resolve import resolve

TASKS = sorted(bundled_tasks())
FIELDS = [field.name for field in dataclasses.fields(Formulation) if field.name != "generation"]


def another(value: Any) -> Any:
    """A value of the same type that is not this one and still a template where it was one."""
    match value:
        case bool():
            return not value
        case int():
            return value - 1 if value else 1
        case tuple():
            return tuple("x" + one for one in value)
        case "micro":
            return "macro"
        case "macro":
            return "micro"
        case "trimmed":
            return "verbatim"
    return f"{value} changed"


def asked(task: Any, docs: list[Any]) -> list[Any]:
    system = task.formulation.system
    return [task.request(doc).with_system(system).to_json() for doc in docs]


@pytest.mark.parametrize("name", TASKS)
def test_a_setting_changes_the_requests_or_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLMES_OFFLINE", "1")
    task = load_task(name)
    docs = [one.doc for one in resolve(task, say=lambda _: None).instances]
    standard = asked(task, docs)
    for field in FIELDS:
        value = another(getattr(task.formulation, field))
        if field in task.fixed:
            with pytest.raises(OlmesError, match="changing it would change nothing"):
                task.with_settings({field: value})
            continue
        try:
            changed = task.with_settings({field: value})
            # What reads the response, or averages over sub-tasks, shows in no request.
            shows = (
                field in ("extract", "aggregate", "reasoning") or asked(changed, docs) != standard
            )
        except OlmesError:
            shows = True  # refused with a reason of its own: more shots than there are exemplars
        assert shows, f"--set {name}.{field} changes nothing"
