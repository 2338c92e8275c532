"""Why two numbers can differ: everything a record says of how a number came about, side by side.

The hashes and settings in the records are compared; nothing is run. What comes first in the list
changes numbers most directly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from olmes.records.record import Record

Kind = Literal[
    "formulation", "prompt", "data", "scorer", "judge", "model", "chat template", "backend",
    "precision", "olmes", "package", "hardware", "limit",
]  # fmt: skip

MODEL_PARTS = {"chat_template": "chat template"}
"""Parts of a model's fingerprint that have a kind of their own."""
PRECISION = ("dtype", "quantization", "torch_dtype")
"""Engine settings that are precision."""
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

    def to_json(self) -> dict[str, Any]:
        """A JSON object with every field."""
        return asdict(self)


def causes(a: Record, b: Record) -> list[Cause]:
    """What differs between two runs, by which their numbers can differ."""
    found: list[Cause] = []
    for name in a.tasks:
        if name in b.tasks:
            found += task_causes(name, a.tasks[name], b.tasks[name])
    found += run_causes(a.data, b.data)
    return found


def task_causes(name: str, a: dict[str, Any], b: dict[str, Any]) -> Iterator[Cause]:
    """What differs in one task's formulation, data, scorer and judge."""
    for field, left, right in differing(a["formulation"], b["formulation"]):
        yield Cause("formulation", field, left, right, name)
    for field in ("content_hash", "origin"):
        left, right = a["data"][field], b["data"][field]
        if left != right:
            yield Cause("data", field, shown(left), shown(right), name)
    if a["scorer_hash"] != b["scorer_hash"]:
        yield Cause("scorer", "scorer_hash", a["scorer_hash"], b["scorer_hash"], name)
    for field, left, right in differing(judge_of(a), judge_of(b)):
        yield Cause("judge", field, left, right, name)


def run_causes(a: dict[str, Any], b: dict[str, Any]) -> Iterator[Cause]:
    """What differs in model, backend, precision, versions and hardware."""
    yield from model_causes(a["model"], b["model"])
    for field, left, right in differing(a["model"]["engine"], b["model"]["engine"]):
        yield Cause("precision" if field in PRECISION else "backend", field, left, right)
    if a["limit"] != b["limit"]:
        yield Cause("limit", "limit", shown(a["limit"]), shown(b["limit"]))
    for field in ("version", "git_commit", "git_dirty"):
        left, right = a["olmes"].get(field), b["olmes"].get(field)
        if left != right:
            yield Cause("olmes", field, shown(left), shown(right))
    ours, theirs = a.get("environment") or {}, b.get("environment") or {}
    engine = {*a["model"]["engine"], *b["model"]["engine"]}
    for field, left, right in differing(ours.get("packages", {}), theirs.get("packages", {})):
        if field not in engine:  # the engine names the versions it ran with already
            yield Cause("package", field, left, right)
    for field, left, right in differing(ours.get("hardware", {}), theirs.get("hardware", {})):
        yield Cause("hardware", field, left, right)


def model_causes(a: dict[str, Any], b: dict[str, Any]) -> Iterator[Cause]:
    """Which parts of the models differ; older records have the fingerprint alone."""
    if a["fingerprint"] == b["fingerprint"]:
        return
    parts = differing(a.get("parts") or {}, b.get("parts") or {})
    for field, left, right in parts:
        kind: Kind = "chat template" if MODEL_PARTS.get(field) else "model"
        yield Cause(kind, field, left, right)
    if not parts:
        yield Cause("model", "fingerprint", a["fingerprint"][:16], b["fingerprint"][:16])


def judge_of(task: dict[str, Any]) -> dict[str, Any]:
    """Who judged a task; empty for a task without a judge."""
    judge = task.get("judge") or {}
    return {"model": judge.get("model"), "encoders": judge.get("encoders")} if judge else {}


def differing(a: dict[str, Any], b: dict[str, Any]) -> list[tuple[str, str, str]]:
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
