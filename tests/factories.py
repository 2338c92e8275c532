"""Records for tests that need one with certain numbers or fields and no run behind it.

They are made as JSON with every field that a record must have, and read as any record is, so that a
test never sees a record that could not be on disk.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from olmes import Record
from olmes.records.check import run_record
from olmes.records.schema import FLAGS, SCHEMA, ResponseRow

VOLATILE = ("created", "environment", "timing", "cost", "olmes", "held_out")
"""What differs between two runs with the same outcome."""
ROW: dict[str, Any] = {
    "doc_id": 0, "subtask": "", "doc_hash": "", "cluster": "", "repeat": 0, "prompt_hash": "",
    "messages": None, "prompt": None, "prefill": "", "continuations": [], "gold": None,
    "response": None, "values": {}, "extracted": None, "flags": [], "note": "", "parts": [],
}  # fmt: skip


def score_json(value: float | None, stderr: float = 0.01, n: int = 900) -> dict[str, Any]:
    """A number with its error and interval, or that there is none."""
    if value is None:
        return {"value": None, "stderr": None, "ci_low": None, "ci_high": None, "n": 0}
    half = 1.96 * stderr
    ends = {"ci_low": value - half, "ci_high": value + half}
    return {"value": value, "stderr": stderr, **ends, "n": n}


def data_json(**fields: Any) -> dict[str, Any]:
    """Where a task's items came from."""
    return {"origin": "folder", "content_hash": "ab" * 32, "official": True, "n": 900} | fields


def task_json(value: float | None = 0.5, **fields: Any) -> dict[str, Any]:
    """A task whose one metric is `exact_match`, with that value; `fields` replace its own."""
    return {
        "title": "",
        "primary": "exact_match",
        "formulation_hash": "0123456789abcdef",
        "scorer_hash": "fedcba9876543210",
        "data": data_json(),
        "n": 900,
        "metrics": {"exact_match": score_json(value)},
        "counts": dict.fromkeys(FLAGS, 0),
    } | fields


def run_json(tasks: Mapping[str, dict[str, Any]] | None = None, **fields: Any) -> dict[str, Any]:
    """The whole of `run.json`; `fields` replace its own, `model` may be a name alone."""
    model = fields.pop("model", "m")
    if isinstance(model, str):
        model = {"name": model, "fingerprint": fingerprint_of(model)}
    return {
        "schema": SCHEMA,
        "id": "a-run",
        "complete": True,
        "created": "2026-11-22T10:00:00Z",
        "model": model,
        "tasks": dict(tasks or {"echo": task_json()}),
    } | fields


def fingerprint_of(name: str) -> str:
    """A fingerprint, another one for every name."""
    return (name.encode("utf-8").hex() * 64)[:64]


def written(folder: Path, run: Mapping[str, Any]) -> Record:
    """A record that is on disk."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(run), "utf-8")
    return Record.load(folder)


def with_fields(record: Record, fields: Mapping[tuple[str, ...] | str, Any]) -> Record:
    """The record with other values, in memory; a field is named by its path, dotted or in parts."""
    data = copy.deepcopy(record.to_json())
    for path, value in fields.items():
        *parents, last = path.split(".") if isinstance(path, str) else path
        place = data
        for name in parents:
            place = place[name]
        place[last] = value
    return Record(record.folder, run_record(data))


def lasting(record: Record) -> dict[str, Any]:
    """`run.json` without what differs between two runs with the same outcome."""
    return {name: value for name, value in record.to_json().items() if name not in VOLATILE}


def response_row(**fields: Any) -> ResponseRow:
    """A row of samples with every field, the given ones replaced."""
    row: ResponseRow = copy.deepcopy(ROW) | fields  # type: ignore[assignment]
    return row
