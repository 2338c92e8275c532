"""The page of one run: headline numbers and a browser of its samples.

Reads the record alone (`run.json` and `samples/*.jsonl`) and writes one HTML file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from olmes import jsonl
from olmes.record import Record

from . import numbers
from .links import samples_link
from .notices import run_notices
from .page import render_page
from .samples import PackedTask, pack_task
from .scores import ScoreGroup, score, subtask_scores, task_scores

ISSUES = {
    "failed": "failed",
    "empty": "empty",
    "unparsed": "unparsed",
    "truncated": "truncated",
    "prompt_truncated": "prompt cut",
    "timeout": "scorer timeout",
    "crashed": "scorer crashed",
    "disputed": "disputed",
}
"""What can be wrong with a response, by flag: the words a page uses for it."""

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskView:
    """One task, ready to be shown."""

    group: ScoreGroup
    subtasks: tuple[ScoreGroup, ...]
    tags: tuple[str, ...]
    """Why its numbers cannot be compared."""
    issues: tuple[tuple[str, str, str], ...]
    """Count, word and link."""
    formulation_hash: str
    facts: Pairs
    """What the numbers rest on: hashes, data, tokens."""
    settings: Pairs
    """The formulation, a line a field."""


def write_run_page(run_folder: Path, output: Path) -> Path:
    """Write the page of a run.

    Args:
        run_folder: holds `run.json` and `samples/<task>.jsonl`.
        output: the HTML file to write.

    Returns:
        `output`.

    Raises:
        OlmesError: the record is missing, damaged or newer than this olmes.
    """
    record = Record.load(run_folder)
    run = record.data
    packed = {name: _pack(record, name) for name in record.tasks}
    suite = run.get("suite")
    context = {
        "run": run,
        "created": _date(run["created"]),
        "mean": score(suite, metric="mean", link="#browser") if suite else None,
        "suite": suite,
        "notices": run_notices(run),
        "tasks": [_task_view(name, task, packed[name]) for name, task in record.tasks.items()],
        "responses": sum(task["n"] for task in record.tasks.values()),
        "engine": _lines(run["model"].get("engine")),
        "environment": _lines(run.get("environment")),
        "issues": ISSUES,
    }
    data, blobs = _browser_data(record, packed)
    page = render_page("run.html.jinja", context, script="samples.js", data=data, blobs=blobs)
    jsonl.write_atomically(output, page)
    return output


def _honest(task: dict[str, Any]) -> list[str]:
    return [metric for metric, found in task["metrics"].items() if found.get("honest")]


def _pack(record: Record, name: str) -> PackedTask:
    task = record.tasks[name]
    return pack_task(
        record.samples(name),
        primary=task["primary"],
        honest=_honest(task),
        shared=task.get("shared_messages") or (),
    )


def _browser_data(
    record: Record, packed: dict[str, PackedTask]
) -> tuple[dict[str, Any], list[str]]:
    """What the browser's script needs at once, and the packed texts it refers to by number."""
    blobs: list[str] = []
    tasks = []
    for name, task in record.tasks.items():
        own = packed[name]
        first = len(blobs)
        blobs += [own.index, *own.chunks]
        metrics = task["metrics"]
        tasks.append(
            {
                "name": name,
                "title": task.get("title") or name,
                "subtasks": list(task.get("subtasks") or {}),
                # The task's metrics in its order, then what only the samples have.
                "metrics": [m for m in metrics if m in own.values]
                + [m for m in own.values if m not in metrics],
                "primary": task["primary"],
                "honest": _honest(task),
                "lower": [m for m in metrics if not metrics[m].get("higher_is_better", True)],
                "flags": [flag for flag in {**ISSUES, **own.flags} if own.flags.get(flag)],
                "index": first,
                "chunks": [[first + 1 + k, start] for k, start in enumerate(own.starts)],
            }
        )
    return {"tasks": tasks, "flags": ISSUES}, blobs


def _task_view(name: str, task: dict[str, Any], packed: PackedTask) -> TaskView:
    sample = task["data"]["origin"] == "sample"
    tags = {
        "sample data": sample,
        "data differs": not sample and not task["data"].get("official"),
        "not standard": not task.get("standard", True),
    }
    counts = {**packed.flags, **(task.get("counts") or {})}
    return TaskView(
        group=task_scores(name, task, packed.values),
        subtasks=subtask_scores(name, task, packed.values),
        tags=tuple(tag for tag, holds in tags.items() if holds),
        issues=tuple(
            (numbers.count(counts[flag]), word, samples_link(task=name, flag=flag))
            for flag, word in ISSUES.items()
            if counts.get(flag)
        ),
        formulation_hash=task["formulation_hash"],
        facts=tuple(_facts(task)),
        settings=_lines(task.get("formulation")),
    )


def _facts(task: dict[str, Any]) -> Iterator[tuple[str, str]]:
    data = task["data"]
    yield "formulation hash", task["formulation_hash"]
    yield "scorer hash", task.get("scorer_hash") or numbers.MISSING
    yield "data", f"{data['origin']}, {numbers.count(data['n'])} items"
    yield "data hash", data["content_hash"]
    yield "read from", str(data.get("location") or numbers.MISSING)
    for note in data.get("notes") or ():
        yield "note", str(note)
    for kind, found in (task.get("tokens") or {}).items():
        yield f"{kind} tokens", numbers.count(found)


def _lines(value: Any) -> Pairs:
    """Nested settings as lines: dotted name, value as text."""
    return tuple(_flat(value or {}, ""))


def _flat(value: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(item, f"{name}.{key}" if name else str(key))
    else:
        yield name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _date(text: str) -> str:
    """`22 November 2026, 10:00 UTC`; a time that is not ISO 8601 is shown as it is."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    moment = moment.astimezone(UTC) if moment.tzinfo else moment
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"
