"""Writing the record of a run: samples, then `run.json` (docs/record.md)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from olmes.tools import jsonl
from olmes.records.aggregate import TaskNumbers, suite_numbers
from olmes.runs.cost import Cost
from olmes.records.diagnosis import Diagnosis
from olmes.records.environment import environment, program
from olmes.judging.stage import Judging, JudgementCounts
from olmes.models.base import Model
from olmes.models.checkpoint.lineage import family, lineage, training_step
from olmes.requests.plan import Plan, TaskPlan
from olmes.records.record import SCHEMA, Record, Row
from olmes.runs.response_rows import RunSheet
from olmes.seal.look import TakenLook
from olmes.seal.sealing import sealed_entries, sealed_samples
from olmes.benchmark.task import Task

BROKEN = ("failed", "crashed", "unjudged")
"""Flags of responses that have no score; a run with any is not complete."""


def write_record(
    folder: Path,
    plan: Plan,
    model: Model,
    identity: str,
    sheets: Sequence[RunSheet],
    *,
    judges: Judging | None,
    look: TakenLook | None,
    timing: dict[str, float],
    cost: Cost,
) -> Record:
    """Write samples, then `run.json`, each at once: a record that is there is whole."""
    tasks = {
        sheet.task.name: task_entry(sheet.plan, write_samples(folder, sheet, look), judges)
        for sheet in sheets
    }
    data = {
        "schema": SCHEMA,
        "id": folder.name,
        "identity": identity,
        "complete": not any(task["counts"][flag] for task in tasks.values() for flag in BROKEN),
        "created": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "olmes": program(),
        "model": {
            "name": model.name,
            "fingerprint": model.fingerprint,
            "parts": model.fingerprint_parts,
            "engine": model.engine,
            "family": look.entry["family"] if look else family(model),
            "step": training_step(model),
            "lineage": lineage(model),
        },
        "suite": suite_entry(plan, tasks),
        "limit": plan.limit,
        "held_out": look.to_json() | sealed(folder, look, tasks) if look else None,
        "tasks": tasks,
        "not_run": dict(plan.not_run),
        "warnings": warnings(tasks, plan, judges),
        "environment": environment(),
        "timing": {name: round(seconds, 3) for name, seconds in timing.items()},
        "cost": cost.to_json(),
    }
    jsonl.write_atomically(folder / "run.json", jsonl.dumps(data) + "\n")
    return Record.load(folder)


class Counted:
    """What a record says of a task's rows; they are added one by one and not kept."""

    def __init__(self, task: Task) -> None:
        self.numbers = TaskNumbers(task)
        self.diagnosis = Diagnosis(task)
        self.judgements = JudgementCounts()

    def add(self, row: Row) -> None:
        """Count one row in."""
        self.numbers.add(row)
        self.diagnosis.add(row)
        self.judgements.add(row)


def write_samples(folder: Path, sheet: RunSheet, look: TakenLook | None) -> Counted:
    """Write a task's samples, under seal if it is held out, and count them."""
    name, counted = sheet.task.name, Counted(sheet.task)
    held_out = look is not None and name in look.tasks
    writing = sealed_samples(folder, name) if held_out else open_samples(folder, sheet.task)
    with writing as write:
        for number, line in enumerate(sheet.rows.lines(), start=1):
            write(line)
            counted.add(jsonl.parse_line_64bit(line, f"the samples of {name}, line {number}"))
    return counted


@contextlib.contextmanager
def open_samples(folder: Path, task: Task) -> Iterator[Callable[[bytes], object]]:
    """Where the samples of a task go that is not held out. Gives the file's `write`."""
    with jsonl.atomic_writer(folder / samples_file(task)) as stream:
        yield stream.write


def sealed(folder: Path, look: TakenLook, tasks: Mapping[str, Any]) -> dict[str, Any]:
    """What a record says of the samples under seal."""
    return sealed_entries(folder, {name: tasks[name]["n"] for name in look.tasks})


def samples_file(task: Task) -> str:
    """Place of a task's samples below the run's folder."""
    return f"samples/{task.name}.jsonl"


def task_entry(plan: TaskPlan, counted: Counted, judges: Judging | None) -> dict[str, Any]:
    """A task's part of `run.json`: where its numbers come from, then the numbers."""
    task = plan.task
    return {
        "title": task.title,
        "primary": task.primary,
        "standard": task.standard,
        "settings": dict(task.settings),
        "formulation": task.formulation.to_json(),
        "formulation_hash": task.formulation_hash,
        "scorer_hash": plan.scorer_hash,
        "data": plan.dataset.to_json(),
        **counted.numbers.entry(),
        "diagnosis": counted.diagnosis.entry(),
        "judge": counted.judgements.entry(judges) if judges and task.judged else None,
        "shared_messages": list(plan.shared_messages),
        "samples": samples_file(task),
    }


def suite_entry(plan: Plan, tasks: dict[str, Any]) -> dict[str, Any] | None:
    """The suite's part of `run.json`; None for a run of single tasks.

    `missing` names the members that have no number; the mean is then over the others, and `complete`
    is false.
    """
    if plan.suite is None:
        return None
    names = plan.suite.tasks
    members = {name: tasks[name] for name in names if name in tasks and has_number(tasks[name])}
    missing = [name for name in names if name not in members]
    whole = not any(task["counts"][flag] for task in members.values() for flag in BROKEN)
    return {
        "name": plan.suite.name,
        "title": plan.suite.title,
        "held_out": plan.suite.held_out,
        "aggregate": plan.suite.aggregate,
        "complete": whole and not missing,
        "tasks": list(names),
        "missing": missing,
        "pairs": [pair.to_json() for pair in plan.suite.pairs],
        **suite_numbers(members),
    }


def has_number(task: dict[str, Any]) -> bool:
    """Whether a task's primary metric has a value."""
    return task["metrics"][task["primary"]]["value"] is not None


def warnings(tasks: dict[str, Any], plan: Plan, judges: Judging | None) -> list[str]:
    """What a reader of the numbers must know, a sentence each."""
    said = [f"{name}: not run: {why}" for name, why in plan.not_run.items()]
    for name, task in tasks.items():
        if not task["standard"]:
            changed = ", ".join(f"{key}={value}" for key, value in task["settings"].items())
            said.append(f"{name}: not the standard formulation ({changed}).")
        said.extend(f"{name}: {note}" for note in task["data"]["notes"] if note)
        for flag, words in (
            ("failed", "requests failed and are not in the score"),
            ("crashed", "responses could not be scored because a scorer broke"),
            ("unjudged", "responses have no judgement and are not in the score"),
            ("prompt_truncated", "prompts were cut from the left to fit the model's window"),
            ("timeout", "responses hit a scorer's time or memory limit and count as wrong"),
        ):
            if task["counts"][flag]:
                said.append(f"{name}: {task['counts'][flag]} {words}.")
        if task["judge"] and judges:
            said.extend(f"{name}: {reason}" for reason in judges.unasked())
        if task["judge"] and task["counts"]["unparsed"]:
            said.append(
                f"{name}: {task['counts']['unparsed']} judgements could not be read and are not "
                "in the score."
            )
    return said
