"""Writing the record of a run: samples, then `run.json` (docs/record.md)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from olmes import jsonl
from olmes.aggregate import suite_numbers, task_numbers
from olmes.cost import Cost
from olmes.diagnosis import diagnose
from olmes.environment import environment, program
from olmes.judging.stage import Judged
from olmes.models.base import Model
from olmes.models.lineage import family, lineage, training_step
from olmes.plan import Plan, TaskPlan
from olmes.record import SCHEMA, Record
from olmes.seal.look import TakenLook
from olmes.seal.sealing import seal_samples
from olmes.sheet import ScoreSheet
from olmes.task import Task

BROKEN = ("failed", "crashed", "unjudged")
"""Flags of responses that have no score; a run with any is not complete."""


def write_record(
    folder: Path,
    plan: Plan,
    model: Model,
    identity: str,
    sheets: Sequence[ScoreSheet],
    *,
    judges: Judged | None,
    look: TakenLook | None,
    timing: dict[str, float],
    cost: Cost,
) -> Record:
    """Write samples, then `run.json`, each at once: a record that is there is whole."""
    tasks = {}
    for task_plan, sheet in zip(plan.tasks, sheets, strict=True):
        if look is None or sheet.task.name not in look.tasks:
            jsonl.write(folder / samples_file(sheet.task), sheet.rows)
        tasks[sheet.task.name] = task_entry(task_plan, sheet, judges)
    rows = {sheet.task.name: sheet.rows for sheet in sheets}
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
        "held_out": look.to_json() | seal_samples(folder, look, rows) if look else None,
        "tasks": tasks,
        "not_run": dict(plan.not_run),
        "warnings": warnings(tasks, plan),
        "environment": environment(),
        "timing": {name: round(seconds, 3) for name, seconds in timing.items()},
        "cost": cost.to_json(),
    }
    jsonl.write_atomically(folder / "run.json", jsonl.dumps(data) + "\n")
    return Record.load(folder)


def samples_file(task: Task) -> str:
    """Place of a task's samples below the run's folder."""
    return f"samples/{task.name}.jsonl"


def task_entry(plan: TaskPlan, sheet: ScoreSheet, judges: Judged | None) -> dict[str, Any]:
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
        **task_numbers(task, sheet.rows),
        "diagnosis": diagnose(task, sheet.rows),
        "judge": judges.entry(sheet.rows) if judges and task.judged else None,
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


def warnings(tasks: dict[str, Any], plan: Plan) -> list[str]:
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
        if task["judge"] and task["counts"]["unparsed"]:
            said.append(
                f"{name}: {task['counts']['unparsed']} judgements could not be read and are not "
                "in the score."
            )
    return said
