"""A run: one model on some tasks, from plan to record.

suite -> task -> instances -> requests -> (journal, cache) -> model -> responses -> verdicts -> record
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from olmes import jsonl
from olmes.aggregate import suite_numbers, task_numbers
from olmes.answering import Origin, answer_all
from olmes.cache import ResponseCache
from olmes.environment import environment, program
from olmes.journal import Journal
from olmes.models.base import Model
from olmes.plan import Plan, TaskPlan
from olmes.record import SCHEMA, Record
from olmes.registry import scorer_hash
from olmes.scoring.pool import ScoringPool
from olmes.sheet import ScoreSheet
from olmes.task import Task
from olmes.types import Response


class Watcher:
    """Told what happens while a run goes on; the command line draws progress from it."""

    def started(self, plan: Plan, folder: Path) -> None:
        """The plan is made; the first response is about to be had."""

    def answered(self, task: str, response: Response, origin: Origin) -> None:
        """One response is there, from the journal, the cache or the model."""

    def judging(self) -> None:
        """Every response is there; the last verdicts are being waited for."""

    def ended(self) -> None:
        """The run is over, well or not."""


def run(
    plan: Plan,
    model: Model,
    *,
    out: Path,
    use_cache: bool = True,
    workers: int | None = None,
    watcher: Watcher | None = None,
) -> Record:
    """Run a plan on a model, or go on with the same run where it stopped.

    A finished run is returned as it is. A run killed at any moment goes on when the same plan is run
    on the same model with the same `out`, and ends with the same record.

    Raises:
        OlmesError: the model cannot be loaded, or the run's folder is in use.
    """
    watcher = watcher or Watcher()
    identity = plan.identity(model.fingerprint, model.engine)
    folder = out / run_name(plan, model, identity)
    if (folder / "run.json").exists() and (record := Record.load(folder)).complete:
        return record
    began = time.perf_counter()
    sheets = [ScoreSheet.of_plan(task) for task in plan.tasks]
    places = [(sheet, i) for sheet in sheets for i in range(len(sheet.rows))]
    tasks = {task_plan.task.name: task_plan.task for task_plan in plan.tasks}
    journal, cache = Journal(folder), ResponseCache() if use_cache else None
    watcher.started(plan, folder)
    try:
        with ScoringPool(tasks, workers) as pool:

            def answered(position: int, response: Response, origin: Origin) -> None:
                sheet, row = places[position]
                sheet.judge(row, response, pool)
                watcher.answered(sheet.task.name, response, origin)

            answer_all(plan.items, model, journal, cache, answered)
            responded = time.perf_counter()
            watcher.judging()
            pool.join()
        timing = {"answer_s": responded - began, "judge_s": time.perf_counter() - responded}
        record = write_record(folder, plan, model, identity, sheets, timing)
        journal.close(remove=record.complete)
        return record
    finally:
        watcher.ended()
        journal.close()
        if cache:
            cache.close()
        model.close()


def run_name(plan: Plan, model: Model, identity: str) -> str:
    """`model-suite-hash`: readable, and the same for the same run."""
    what = plan.suite.name if plan.suite else "-".join(task.task.name for task in plan.tasks)
    last = "/".join(model.name.rpartition(":")[2].split("/")[-2:])
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{last}-{what}").strip("-.")
    return f"{name[-80:]}-{identity[:8]}"


def write_record(
    folder: Path,
    plan: Plan,
    model: Model,
    identity: str,
    sheets: list[ScoreSheet],
    timing: dict[str, float],
) -> Record:
    """Write samples, then `run.json`, each at once: a record that is there is whole."""
    tasks = {}
    for task_plan, sheet in zip(plan.tasks, sheets, strict=True):
        jsonl.write(folder / samples_file(sheet.task), sheet.rows)
        numbers = task_numbers(sheet.task, sheet.rows)
        tasks[sheet.task.name] = task_entry(task_plan, numbers)
    broken = sum(task["counts"]["failed"] + task["counts"]["crashed"] for task in tasks.values())
    data = {
        "schema": SCHEMA,
        "id": folder.name,
        "identity": identity,
        "complete": broken == 0,
        "created": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "olmes": program(),
        "model": {"name": model.name, "fingerprint": model.fingerprint, "engine": model.engine},
        "suite": suite_entry(plan, tasks),
        "limit": plan.limit,
        "tasks": tasks,
        "warnings": warnings(tasks),
        "environment": environment(),
        "timing": {name: round(seconds, 3) for name, seconds in timing.items()},
    }
    jsonl.write_atomically(folder / "run.json", jsonl.dumps(data) + "\n")
    return Record.load(folder)


def samples_file(task: Task) -> str:
    """Place of a task's samples below the run's folder."""
    return f"samples/{task.name}.jsonl"


def task_entry(plan: TaskPlan, numbers: dict[str, Any]) -> dict[str, Any]:
    """A task's part of `run.json`: where its numbers come from, then the numbers."""
    task = plan.task
    return {
        "title": task.title,
        "primary": task.primary,
        "standard": task.standard,
        "settings": dict(task.settings),
        "formulation": task.formulation.to_json(),
        "formulation_hash": task.formulation_hash,
        "scorer_hash": scorer_hash(task),
        "data": plan.dataset.to_json(),
        **numbers,
        "shared_messages": list(plan.shared_messages),
        "samples": samples_file(task),
    }


def suite_entry(plan: Plan, tasks: dict[str, Any]) -> dict[str, Any] | None:
    """The suite's part of `run.json`; None for a run of single tasks."""
    if plan.suite is None:
        return None
    members = {name: tasks[name] for name in plan.suite.tasks}
    complete = all(task["n"] and not task["counts"]["failed"] for task in members.values())
    return {
        "name": plan.suite.name,
        "title": plan.suite.title,
        "held_out": plan.suite.held_out,
        "aggregate": plan.suite.aggregate,
        "complete": complete,
        **suite_numbers(members),
    }


def warnings(tasks: dict[str, Any]) -> list[str]:
    """What a reader of the numbers must know, a sentence each."""
    said = []
    for name, task in tasks.items():
        if not task["standard"]:
            changed = ", ".join(f"{key}={value}" for key, value in task["settings"].items())
            said.append(f"{name}: not the standard formulation ({changed}).")
        said.extend(f"{name}: {note}" for note in task["data"]["notes"] if note)
        for flag, words in (
            ("failed", "requests failed and are not in the score"),
            ("crashed", "responses could not be judged because a scorer broke"),
            ("prompt_truncated", "prompts were cut from the left to fit the model's window"),
            ("timeout", "responses hit a scorer's time or memory limit and count as wrong"),
        ):
            if task["counts"][flag]:
                said.append(f"{name}: {task['counts'][flag]} {words}.")
    return said
