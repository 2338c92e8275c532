"""What the numbers of a run rest on: data, hashes, settings, training and gates, as lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from olmes.comparison.gate import GateLine
from olmes.records.schema import RecordedModel, TaskResult
from olmes.records.shown import MISSING
from olmes.reports import numbers
from olmes.reports.dates import date

Pairs = tuple[tuple[str, str], ...]


def task_facts(task: TaskResult) -> Iterator[tuple[str, str]]:
    """Of a task: what it was scored on, by what, and at which price."""
    data = task.data
    yield "formulation hash", task.formulation_hash
    yield "scorer hash", task.scorer_hash
    yield "data", f"{data.origin}, {numbers.count(data.n)} items"
    yield "data hash", data.content_hash
    yield "read from", data.location or MISSING
    for note in data.notes:
        yield "note", note
    for kind, found in task.tokens.items():
        yield f"{kind} tokens", numbers.count(found)


def training_of(model: RecordedModel) -> str:
    """Of which training a model is a checkpoint, where its record says a step."""
    if model.step is None:
        return ""
    return f"{model.family or model.name}, step {model.step:,}"


def gate_words(line: GateLine) -> str:
    """When a run was gated, against which one, and what came of it."""
    failed = [name for name, outcome in line["scores"].items() if outcome != "pass"]
    where = f" ({', '.join(failed)})" if failed else ""
    policy = f" by {line['policy']}" if line["policy"] else ""
    return f"{line['outcome']}{where} against {line['baseline']}{policy}, {date(line['time'])}"


def settings_lines(value: Any) -> Pairs:
    """Nested settings as lines: dotted name, value as text."""
    return tuple(_flat(value or {}, ""))


def _flat(value: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(item, f"{name}.{key}" if name else str(key))
    else:
        yield name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
