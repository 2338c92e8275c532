"""The process a scorer runs in: jobs in, verdicts out, nothing else.

`python -m olmes.scoring.process.worker` speaks JSON lines over its own standard input and output (never
pickle: a process that read what a model wrote must not be able to send code back). The first line
names the tasks; every later line is a batch of jobs, answered by one line a job, with the processor
time it took. The parent kills the process when a job outlasts its limit.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import math
import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, SupportsFloat, TypedDict

from olmes.benchmark.registry import task_from_reference
from olmes.benchmark.task import Task
from olmes.sandbox.program import Execution
from olmes.types import Doc, JsonObject, Judgement, Response, ResponseJson

PROGRAMS = "programs"
MEMORY_LIMIT = 4 << 30
"""Bytes of address space a scorer may have; `9**9**9**9` runs into this long before the machine."""


class TaskSetup(TypedDict):
    """How a worker finds one task; the first line of its input has one by each name."""

    reference: str
    settings: JsonObject
    """Fields of the formulation and their values."""


class Job(TypedDict):
    """One scorer on one response."""

    task: str
    scorer: str
    """A method of the task; `PROGRAMS` asks for what is executed instead of a verdict."""
    doc: Doc
    response: ResponseJson
    judgements: NotRequired[list[JsonObject]]
    """Each as `Judgement.to_json` gives it."""
    executions: NotRequired[list[JsonObject]]
    """Each as `Execution.to_json` gives it."""


class WorkerAnswer(TypedDict, total=False):
    """What a worker writes once it is ready, and for each job: one of the others than `cpu_s`."""

    ready: bool
    cpu_s: float
    """Processor seconds it took."""
    verdict: JsonObject
    """The fields of a `Verdict`, whose extracted answer may be any JSON."""
    programs: list[JsonObject]
    """Each as `Program.to_json` gives it."""
    limit: str
    """The error of a limit that was hit."""
    crash: str
    dead: bool
    """Not written by the worker: its process has ended."""


def limit_resources() -> None:
    """Forbid what no scorer needs: memory without end, writing files, leaving core dumps."""
    try:
        import resource
    except ImportError:  # Windows has no such limits; the time limit still holds there.
        return
    for name, value in (("RLIMIT_AS", MEMORY_LIMIT), ("RLIMIT_FSIZE", 0), ("RLIMIT_CORE", 0)):
        # macOS refuses some of them.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(getattr(resource, name), (value, value))


def score(task: Task, job: Job) -> WorkerAnswer:
    """The answer to one job: a verdict, or which kind of failure there was instead."""
    try:
        arguments: list[Any] = [job["doc"], Response.from_json(job["response"])]
        if "judgements" in job:
            arguments.append([Judgement.from_json(row) for row in job["judgements"]])
        if job["scorer"] == PROGRAMS:
            return {"programs": [program.to_json() for program in task.programs(*arguments)]}
        if "executions" in job:
            arguments.append([Execution.from_json(row) for row in job["executions"]])
        verdict = getattr(task, job["scorer"])(*arguments)
        if said := not_a_number(verdict.values):
            return {"crash": said}
        return {"verdict": dataclasses.asdict(verdict)}
    except (MemoryError, RecursionError) as error:
        return {"limit": type(error).__name__}
    except Exception as error:  # reported as a crash with its line, never as a zero
        frame = error.__traceback__
        while frame and frame.tb_next:
            frame = frame.tb_next
        where = f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame else "?"
        return {"crash": f"{type(error).__name__}: {error} ({where})"}


def not_a_number(values: Mapping[str, float | Sequence[float]]) -> str:
    """Which value of a verdict is no finite number, in words; '' where all are.

    A mean that holds such a value is none, and JSON cannot say it.
    """
    for name, value in values.items():
        for part in value if isinstance(value, list | tuple) else [value]:
            if not isinstance(part, SupportsFloat) or not math.isfinite(part):
                return f"{name} = {part!r}, not a finite number"
    return ""


def main() -> None:
    """Serve jobs until standard input closes."""
    answers = os.fdopen(os.dup(1), "w", encoding="ascii", newline="\n")
    # Whatever a library prints must not be taken for an answer.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.stdout = io.TextIOWrapper(io.BytesIO())
    jobs = sys.stdin.buffer
    setup: dict[str, TaskSetup] = json.loads(jobs.readline())
    tasks = {
        name: task_from_reference(spec["reference"]).with_settings(spec["settings"])
        for name, spec in setup.items()
    }
    for task in tasks.values():
        task.prepare()
    limit_resources()
    spent = time.process_time()
    answers.write(json.dumps({"ready": True, "cpu_s": spent}) + "\n")
    answers.flush()
    for line in jobs:
        for job in json.loads(line):
            answer = score(tasks[job["task"]], job)
            before, spent = spent, time.process_time()
            answer["cpu_s"] = spent - before
            answers.write(json.dumps(answer) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
