"""Records of older schemas, read as today's. Each step is kept for good, and frozen records test it.

Schema 1 (before 2026-12) had no units, counted responses alone, hashed the names of all metrics into
the formulation, and called the built-in demo data "sample".
"""

from __future__ import annotations

from typing import Any

from olmes.records.schema import SCHEMA
from olmes.tools.hashing import content_hash
from olmes.types import JsonObject, Unit


def upgraded(data: JsonObject) -> JsonObject:
    """`run.json` of any schema with the fields of today's; `schema` says what it was written as.

    Whatever is not of the form that it should be is left for the check of the types.
    """
    if data.get("schema") == SCHEMA or not isinstance(data.get("tasks"), dict):
        return data
    tasks = {
        name: upgraded_task(name, task) if isinstance(task, dict) else task
        for name, task in data["tasks"].items()
    }
    suite = data.get("suite")
    if isinstance(suite, dict):
        suite = {**suite, "unit": suite_unit(suite, tasks)}
    return {**data, "tasks": tasks, "suite": suite, "held_out": upgraded_look(data.get("held_out"))}


def upgraded_look(look: Any) -> Any:
    """The look of a record of schema 1; its development score had no unit."""
    if isinstance(look, dict) and isinstance(dev := look.get("dev"), dict):
        return {**look, "dev": {**dev, "unit": guessed_unit(dev)}}
    return look


def upgraded_task(name: str, task: JsonObject) -> JsonObject:
    """A task's part of a record of schema 1."""
    new = dict(task)
    if isinstance(metrics := task.get("metrics"), dict):
        new["metrics"] = {
            metric: {**found, "unit": guessed_unit(found)} if isinstance(found, dict) else found
            for metric, found in metrics.items()
        }
        new["formulation_hash"] = upgraded_hash(name, task)
    data = task.get("data")
    if isinstance(data, dict) and data.get("origin") == "sample":
        new["data"] = {**data, "origin": "demo"}
    new["items"] = items_of(task)
    return new


def guessed_unit(metric: JsonObject) -> Unit:
    """What a number of schema 1 was shown as: a share where it lies between 0 and 1."""
    numbers = [metric.get("value"), metric.get("ci_low"), metric.get("ci_high")]
    return "number" if any(is_outside(number) for number in numbers) else "share"


def is_outside(number: Any) -> bool:
    """Whether it is a number that no share can be."""
    return isinstance(number, (int, float)) and not 0 <= number <= 1


def suite_unit(suite: JsonObject, tasks: JsonObject) -> Unit:
    """The unit of a suite's mean: that of its members, where they have one."""
    members = suite.get("tasks")
    for name in members if isinstance(members, list) else ():
        task = tasks.get(name) if isinstance(name, str) else None
        if isinstance(task, dict) and isinstance(task.get("metrics"), dict):
            primary = task["metrics"].get(str(task.get("primary")))
            if isinstance(primary, dict) and primary.get("unit") == "number":
                return "number"
    return guessed_unit(suite)


def upgraded_hash(name: str, task: JsonObject) -> Any:
    """The hash of a formulation without the names of metrics that are not compared.

    Only where today's hash is known to be over the same formulation: the old one is made again first.
    """
    described = {
        "task": name,
        "formulation": task.get("formulation"),
        "primary": task.get("primary"),
    }
    old = content_hash({**described, "metrics": list(task["metrics"])})[:16]
    return (
        content_hash(described)[:16]
        if old == task.get("formulation_hash")
        else task.get("formulation_hash")
    )


def items_of(task: JsonObject) -> int | None:
    """How many items a task's responses were to, where the formulation says how many each has."""
    formulation = task.get("formulation")
    generation = formulation.get("generation") if isinstance(formulation, dict) else None
    repeats = generation.get("n") if isinstance(generation, dict) else None
    n = task.get("n")
    if isinstance(n, int) and isinstance(repeats, int) and repeats > 0 and n % repeats == 0:
        return n // repeats
    return None
