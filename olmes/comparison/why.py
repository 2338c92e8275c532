"""Why two numbers can differ: everything a record says of how a number came about, side by side.

The hashes and settings in the records are compared; nothing is run. What comes first in the list
changes numbers most directly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from olmes.records.record import Record
from olmes.records.schema import RecordedModel, RunRecord, TaskResult
from olmes.tools.as_json import as_json
from olmes.types import JsonObject

Kind = Literal[
    "formulation", "prompt", "data", "scorer", "judge", "model", "chat template", "backend",
    "precision", "olmes", "package", "hardware", "limit", "metrics",
]  # fmt: skip

MODEL_PARTS = {"chat_template": "chat template"}
"""Parts of a model's fingerprint that have a kind of their own."""
PRECISION = ("dtype", "quantization", "torch_dtype")
"""Engine settings that are precision."""
RECORDINGS = ("recorded", "recording")
"""Engine settings that say which recording gave the responses."""
SHORT = 120
"""Characters of a setting that are shown."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing that is not the same in two runs."""

    kind: Kind
    field: str
    """What differs, by its name in the record."""
    a: str
    b: str
    task: str = ""
    """The one task it concerns; '' when it concerns all."""


def causes(a: Record, b: Record) -> list[Cause]:
    """What differs between two runs, by which their numbers can differ."""
    found: list[Cause] = []
    for name in a.tasks:
        if name in b.tasks:
            found += task_causes(name, a.tasks[name], b.tasks[name])
    found += run_causes(a.run, b.run)
    return found


def task_causes(name: str, a: TaskResult, b: TaskResult) -> Iterator[Cause]:
    """What differs in one task's formulation, data, scorer and judge."""
    for field, left, right in differing(a.formulation, b.formulation):
        yield Cause("formulation", field, left, right, name)
    if a.primary != b.primary:
        yield Cause("formulation", "primary", a.primary, b.primary, name)
    only = set(a.metrics) ^ set(b.metrics)
    if only:
        # Not compared: a metric more or less leaves the compared number what it was.
        yield Cause("metrics", "metrics", listed(a.metrics), listed(b.metrics), name)
    for field, left, right in (
        ("content_hash", a.data.content_hash, b.data.content_hash),
        ("origin", a.data.origin, b.data.origin),
    ):
        if left != right:
            yield Cause("data", field, shown(left), shown(right), name)
    if a.scorer_hash != b.scorer_hash:
        yield Cause("scorer", "scorer_hash", a.scorer_hash, b.scorer_hash, name)
    for field, left, right in differing(judge_of(a), judge_of(b)):
        yield Cause("judge", field, left, right, name)


def run_causes(a: RunRecord, b: RunRecord) -> Iterator[Cause]:
    """What differs in model, backend, precision, versions and hardware."""
    yield from model_causes(a.model, b.model)
    for field, left, right in differing(a.model.engine, b.model.engine):
        if field in RECORDINGS and a.model.fingerprint != b.model.fingerprint:
            continue  # other weights have recordings of their own
        yield Cause("precision" if field in PRECISION else "backend", field, left, right)
    if a.limit != b.limit:
        yield Cause("limit", "limit", shown(a.limit), shown(b.limit))
    for field, left, right in differing(as_json(a.olmes), as_json(b.olmes)):
        yield Cause("olmes", field, left, right)
    ours, theirs = a.environment, b.environment
    engine = {*a.model.engine, *b.model.engine}
    for field, left, right in differing(ours.packages, theirs.packages):
        if field not in engine:  # the engine names the versions it ran with already
            yield Cause("package", field, left, right)
    for field, left, right in differing(as_json(ours.hardware), as_json(theirs.hardware)):
        yield Cause("hardware", field, left, right)


def model_causes(a: RecordedModel, b: RecordedModel) -> Iterator[Cause]:
    """Which parts of the models differ; older records have the fingerprint alone."""
    if a.fingerprint == b.fingerprint:
        return
    parts = differing(a.parts or {}, b.parts or {})
    for field, left, right in parts:
        kind: Kind = "chat template" if MODEL_PARTS.get(field) else "model"
        yield Cause(kind, field, left, right)
    if not parts:
        yield Cause("model", "fingerprint", a.fingerprint[:16], b.fingerprint[:16])


def judge_of(task: TaskResult) -> JsonObject:
    """Who judged a task; empty for a task without a judge."""
    judge = task.judge
    return {"model": as_json(judge.model), "encoders": judge.encoders} if judge else {}


def listed(names: Iterable[str]) -> str:
    """Names as text."""
    return shown(", ".join(names))


def differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Dotted field and both values, for each leaf of two nested objects that differs."""
    left, right = dict(leaves(a)), dict(leaves(b))
    return [
        (field, shown(left.get(field)), shown(right.get(field)))
        for field in dict.fromkeys([*left, *right])
        if left.get(field) != right.get(field)
    ]


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and values of a nested object."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from leaves(item, f"{name}.{key}" if name else str(key))
    elif name:
        yield name, value


def shown(value: Any) -> str:
    """A setting as text, cut when it is long; a dash where there is none."""
    text = "–" if value is None else str(value)
    return text if len(text) <= SHORT else f"{text[:SHORT]}…"
