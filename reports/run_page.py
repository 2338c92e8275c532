"""The page of one run: headline numbers and a browser of its samples.

Reads the record alone (`run.json` and `samples/*.jsonl`) and writes one HTML file.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olmes.records.record import Record
from olmes.reports import numbers
from olmes.reports.cost import run_cost
from olmes.reports.dates import date
from olmes.reports.format_cost import REASONS, FormatCost, flag_lost, format_cost
from olmes.reports.held_out import held_out_view, link_of
from olmes.reports.judges import judge_facts
from olmes.reports.lengths import Lengths, length_view
from olmes.reports.links import HELD_OUT
from olmes.reports.notices import run_notices
from olmes.reports.page import render_page
from olmes.reports.samples import PackedTask, ShownSamples, pack_task
from olmes.reports.scores import Score, ScoreGroup, score, subtask_scores, task_scores
from olmes.tools import jsonl

ISSUES = {
    "failed": "failed",
    "empty": "empty",
    "refusal": "refusal",
    "unparsed": "unparsed",
    "misformatted": "not in the form asked for",
    "truncated": "truncated",
    "prompt_truncated": "prompt cut",
    "unjudged": "not judged",
    "timeout": "scorer timeout",
    "crashed": "scorer crashed",
    "disputed": "disputed",
}
"""What can be wrong with a response, by flag: the words a page uses for it."""
WORDS = ISSUES | {f"lost_{reason}": f"lost to format: {word}" for reason, word in REASONS.items()}
"""Words for every flag, those of the format diagnosis too."""

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
    sealed: bool
    """Whether its samples are under seal."""
    format_cost: FormatCost | None
    """None in older records."""
    lengths: Lengths | None
    """None where nothing was generated."""
    judge: Pairs
    """Who judged, and at what price; empty for a task that is scored by rules."""
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
    sealed = [name for name in record.tasks if record.sealed(name)]
    packed = {name: _pack(record, name) for name in record.tasks}
    browsable = {name: own for name, own in packed.items() if name not in sealed}
    suite = run.get("suite")
    missing = (suite or {}).get("missing") or ()
    context = {
        "run": run,
        "created": date(run["created"]),
        "mean": _mean(suite, HELD_OUT if sealed and not browsable else "#browser"),
        "averaged": _averaged(run, missing),
        "missing": missing,
        "suite": suite,
        "notices": run_notices(run, sealed),
        "held_out": held_out_view(record),
        "tasks": [_task_view(record, name, packed[name]) for name in record.tasks],
        "browsable": len(browsable),
        "left_out": _left_out(record, browsable),
        "responses": sum(task["n"] for task in record.tasks.values()),
        "cost": run_cost(run),
        "engine": _lines(run["model"].get("engine")),
        "training": _training(run["model"]),
        "environment": _lines(run.get("environment")),
        "issues": ISSUES,
    }
    data, blobs = _browser_data(record, browsable)
    page = render_page(
        "run.html.jinja",
        context,
        scripts=("text.js", "samples.js") if browsable else (),
        data=data if browsable else None,
        blobs=blobs,
    )
    jsonl.write_atomically(output, page)
    return output


def _mean(suite: dict[str, Any] | None, link: str) -> Score | None:
    return score(suite, metric="mean", link=link) if suite else None


def _averaged(run: dict[str, Any], missing: Collection[str]) -> int:
    """How many tasks the mean of the suite is over."""
    members = (run.get("suite") or {}).get("tasks") or run["tasks"]
    return sum(name not in missing for name in members)


def _honest(task: dict[str, Any]) -> list[str]:
    return [metric for metric, found in task["metrics"].items() if found.get("honest")]


def _pack(record: Record, name: str) -> PackedTask:
    """The task's samples; nothing of them where they are under seal."""
    task = record.tasks[name]
    primary, honest = task["primary"], _honest(task)
    kept = ShownSamples.of(task["n"], _repeats(task))
    rows = iter(()) if record.sealed(name) else record.samples(name)
    if task.get("diagnosis"):
        rows = (flag_lost(row, primary, honest) for row in rows)
    return pack_task(
        rows,
        primary=primary,
        honest=honest,
        shared=task.get("shared_messages") or (),
        kept=kept,
    )


def _repeats(task: dict[str, Any]) -> int:
    """Responses to an item."""
    return int(((task.get("formulation") or {}).get("generation") or {}).get("n") or 1)


def _left_out(record: Record, packed: dict[str, PackedTask]) -> list[str]:
    """What a page does not hold of the samples it could show, a sentence a task."""
    said = []
    for name, own in packed.items():
        task = record.tasks[name]
        if own.rows < task["n"]:
            said.append(
                f"The page holds {own.rows:,} of the {task['n']:,} samples of "
                f"{task.get('title') or name}, the first responses to each item; every score and "
                f"count is over all of them. The others are in {task['samples']}."
            )
    return said


def _browser_data(
    record: Record, packed: dict[str, PackedTask]
) -> tuple[dict[str, Any], list[str]]:
    """What the browser's script needs at once, and the packed texts it refers to by number."""
    blobs: list[str] = []
    tasks = []
    for name, own in packed.items():
        task = record.tasks[name]
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
                "flags": [flag for flag in {**WORDS, **own.flags} if own.flags.get(flag)],
                "index": first,
                "chunks": [[first + 1 + k, start] for k, start in enumerate(own.starts)],
            }
        )
    return {"tasks": tasks, "flags": WORDS}, blobs


def _task_view(record: Record, name: str, packed: PackedTask) -> TaskView:
    task, link = record.tasks[name], link_of(record, name)
    counts = {**packed.flags, **(task.get("counts") or {})}
    title = task.get("title") or name
    diagnosis = task.get("diagnosis")
    return TaskView(
        group=task_scores(name, task, packed.values, link),
        subtasks=subtask_scores(name, task, packed.values, link),
        tags=tuple(_tags(task)),
        issues=tuple(
            (numbers.count(counts[flag]), word, link(task=name, flag=flag))
            for flag, word in ISSUES.items()
            if counts.get(flag)
        ),
        sealed=record.sealed(name),
        format_cost=format_cost(title, diagnosis, link, task=name) if diagnosis else None,
        lengths=length_view(name, task, packed.lengths, link),
        judge=judge_facts(task),
        formulation_hash=task["formulation_hash"],
        facts=tuple(_facts(task)),
        settings=_lines(task.get("formulation")),
    )


def _tags(task: dict[str, Any]) -> Iterator[str]:
    sample = task["data"]["origin"] == "sample"
    if sample:
        yield "sample data"
    if not sample and not task["data"].get("official"):
        yield "data differs"
    if not task.get("standard", True):
        yield "not standard"


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


def _training(model: dict[str, Any]) -> str:
    """Of which training a model is a checkpoint, where its record says a step."""
    if model.get("step") is None:
        return ""
    return f"{model.get('family') or model['name']}, step {model['step']:,}"


def _lines(value: Any) -> Pairs:
    """Nested settings as lines: dotted name, value as text."""
    return tuple(_flat(value or {}, ""))


def _flat(value: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(item, f"{name}.{key}" if name else str(key))
    else:
        yield name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
