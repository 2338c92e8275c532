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

from . import numbers
from .links import samples_link
from .notices import run_notices
from .page import render_page
from .record import Json, RunRecord, read_run
from .samples import PackedTask, pack_task

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


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRow:
    """One metric of a task or sub-task, ready to be shown."""

    metric: str
    help: str
    primary: bool
    honest: bool
    lower_is_better: bool
    value: str
    interval: str
    stderr: str
    n: int
    bar: numbers.Bar | None
    link: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreGroup:
    """A task or sub-task and its metrics, the primary one first."""

    name: str
    title: str
    scores: tuple[ScoreRow, ...]
    link: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskView:
    """One task, ready to be shown."""

    group: ScoreGroup
    subtasks: tuple[ScoreGroup, ...]
    tags: tuple[str, ...]
    issues: tuple[tuple[int, str, str], ...]
    """Count, word and link."""
    facts: tuple[tuple[str, str], ...]
    """What the numbers rest on: hashes, data, tokens."""
    settings: tuple[tuple[str, str], ...]
    """The formulation, one line a field."""
    metrics: tuple[tuple[str, str, bool], ...]
    """Name, help and whether the metric is an honest one."""


def write_run_page(run_folder: Path, output: Path) -> Path:
    """Write the page of a run.

    Args:
        run_folder: holds `run.json` and `samples/<task>.jsonl`.
        output: the HTML file to write.

    Returns:
        `output`.

    Raises:
        OlmesError: the record is missing, damaged or of another schema.
    """
    record = read_run(run_folder)
    packed = {name: _pack(record, name) for name in record.tasks}
    context = {
        "run": record.run,
        "created": _date(record.run.get("created", "")),
        "suite": _suite(record.run),
        "notices": run_notices(record.run),
        "tasks": [_task(name, task, packed[name]) for name, task in record.tasks.items()],
        "total": sum(task["n"] for task in record.tasks.values()),
        "environment": list(_flat(record.run.get("environment") or {})),
        "engine": list(_flat(record.run["model"].get("engine") or {})),
        "issues": ISSUES,
    }
    data, blobs = _browser_data(record, packed)
    page = render_page("run.html.jinja", context, script="samples.js", data=data, blobs=blobs)
    jsonl.write_atomically(output, page)
    return output


def _pack(record: RunRecord, name: str) -> PackedTask:
    task = record.tasks[name]
    return pack_task(
        record.samples(name),
        primary=task["primary"],
        honest=[metric for metric, found in task["metrics"].items() if found.get("honest")],
        shared=task.get("shared_messages") or (),
    )


def _browser_data(record: RunRecord, packed: dict[str, PackedTask]) -> tuple[Json, list[str]]:
    """What the browser's script needs at once, and the packed texts it refers to by number."""
    blobs: list[str] = []
    tasks = []
    for name, task in record.tasks.items():
        own = packed[name]
        # Metrics of the task first, in its order; what only the samples have after them.
        ordered = [metric for metric in task["metrics"] if metric in own.metrics]
        ordered += [metric for metric in own.metrics if metric not in ordered]
        first = len(blobs)
        blobs += [own.index, *own.chunks]
        tasks.append(
            {
                "name": name,
                "title": task.get("title") or name,
                "metrics": ordered,
                "primary": task["primary"],
                "honest": [key for key, found in task["metrics"].items() if found.get("honest")],
                "lower": [
                    key
                    for key, found in task["metrics"].items()
                    if not found.get("higher_is_better", True)
                ],
                "index": first,
                "chunks": [[first + 1 + k, start] for k, start in enumerate(own.starts)],
            }
        )
    return {"tasks": tasks, "flags": ISSUES}, blobs


def _task(name: str, task: Json, packed: PackedTask) -> TaskView:
    tags = [
        text
        for text, holds in (
            ("sample data", task["data"]["origin"] == "sample"),
            (
                "data differs",
                not task["data"].get("official") and task["data"]["origin"] != "sample",
            ),
            ("not standard", not task.get("standard", True)),
        )
        if holds
    ]
    counts = {**(task.get("counts") or {}), "disputed": packed.flags.get("disputed", 0)}
    issues = tuple(
        (counts[flag], word, samples_link(task=name, flag=flag))
        for flag, word in ISSUES.items()
        if counts.get(flag)
    )
    return TaskView(
        group=_group(name, task.get("title") or name, task, task, packed),
        subtasks=tuple(
            _group(name, subtask, found, task, packed, subtask=subtask)
            for subtask, found in (task.get("subtasks") or {}).items()
        ),
        tags=tuple(tags),
        issues=issues,
        facts=tuple(_facts(task)),
        settings=tuple(_flat(task.get("formulation") or {})),
        metrics=tuple(
            (key, found.get("help", ""), bool(found.get("honest")))
            for key, found in task["metrics"].items()
        ),
    )


def _group(
    name: str, title: str, found: Json, task: Json, packed: PackedTask, *, subtask: str = ""
) -> ScoreGroup:
    metrics = found["metrics"]
    order = sorted(metrics, key=lambda key: key != task["primary"])
    return ScoreGroup(
        name=subtask or name,
        title=title,
        link=samples_link(task=name, subtask=subtask),
        scores=tuple(
            _score(
                key,
                metrics[key],
                primary=key == task["primary"],
                link=samples_link(
                    task=name, subtask=subtask, metric=key if key in packed.metrics else ""
                ),
            )
            for key in order
        ),
    )


def _score(key: str, metric: Json, *, primary: bool, link: str) -> ScoreRow:
    value, low, high = (metric.get(field) for field in ("value", "ci_low", "ci_high"))
    share = numbers.is_share(value)
    return ScoreRow(
        metric=key,
        help=metric.get("help", ""),
        primary=primary,
        honest=bool(metric.get("honest")),
        lower_is_better=not metric.get("higher_is_better", True),
        value=numbers.plain(value, share=share),
        interval=numbers.interval(low, high, share=share),
        stderr=numbers.plain(metric.get("stderr"), share=share),
        n=metric["n"],
        bar=numbers.bar(value, low, high),
        link=link,
    )


def _facts(task: Json) -> Iterator[tuple[str, str]]:
    data = task["data"]
    yield "formulation hash", task["formulation_hash"]
    yield "scorer hash", task.get("scorer_hash") or numbers.MISSING
    yield "data", f"{data['origin']}, {numbers.count(data['rows'])} rows"
    yield "data hash", data["content_hash"]
    yield "read from", str(data.get("location") or numbers.MISSING)
    for note in data.get("notes", ()):
        yield "note", str(note)
    for kind, found in (task.get("tokens") or {}).items():
        yield f"{kind} tokens", numbers.count(found)


def _suite(run: Json) -> Json | None:
    suite = run.get("suite")
    if not suite:
        return None
    value, low, high = (suite.get(field) for field in ("value", "ci_low", "ci_high"))
    share = numbers.is_share(value)
    return {
        "name": suite["name"],
        "title": suite.get("title") or suite["name"],
        "held_out": suite.get("held_out", False),
        "value": numbers.plain(value, share=share),
        "interval": numbers.interval(low, high, share=share),
        "stderr": numbers.plain(suite.get("stderr"), share=share),
        "bar": numbers.bar(value, low, high),
    }


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as lines: dotted name, value as text (strings as they are, else JSON)."""
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
