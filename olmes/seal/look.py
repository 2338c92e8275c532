"""A look at held-out tasks: asked for with a reason, written down before anything is seen."""

from __future__ import annotations

import contextlib
import getpass
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from olmes.benchmark.suite import Suite
from olmes.benchmark.task import Task
from olmes.errors import OlmesError
from olmes.models.base import Model
from olmes.models.checkpoint.lineage import family, lineage
from olmes.records.aggregate import suite_numbers
from olmes.records.record import Record
from olmes.requests.plan import Plan
from olmes.seal.held_out import held_out_tasks
from olmes.seal.ledger import Entry, Ledger

Asker = Literal["person", "hook", "watcher"]
LOOKS = ("run", "unseal")
"""Ledger events that are looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is said when a held-out suite is asked for."""

    reason: str
    """Why it is looked at, in the asker's words."""
    asked_by: Asker = "person"
    """A hook or a watcher asks for every checkpoint, which a held-out suite is not for."""
    final: bool = False
    """Said by whoever set up a hook or a watcher: this is the end of the training."""
    family: str = ""
    """Under which name looks are counted; '' for what `olmes.models.checkpoint.lineage` finds."""


@dataclass(frozen=True, slots=True)
class TakenLook:
    """A look that is in the ledger."""

    tasks: Mapping[str, list[str]]
    """The held-out tasks, and which suites hold them out."""
    entry: Entry
    """Its line in the ledger."""

    def to_json(self) -> dict[str, Any]:
        """What the record keeps."""
        kept = ("reason", "asked_by", "who", "time", "family", "lineage", "looks_before", "dev")
        return {
            "tasks": dict(self.tasks),
            **{key: self.entry[key] for key in kept},
            "ledger": {key: self.entry[key] for key in ("number", "hash")},
        }


def check_look(tasks: Iterable[Task], suite: Suite | None, look: Look | None) -> None:
    """Refuse at once what `take_look` would refuse, before data or weights are fetched.

    Raises:
        OlmesError: no reason is given, or a hook or a watcher asks before the end.
    """
    if held := held_out_tasks(tasks, suite):
        allowed(look, held)


def take_look(
    plan: Plan, model: Model, run: str, store: Path, look: Look | None
) -> TakenLook | None:
    """Write a run's look into the store's ledger; None for a run without held-out tasks.

    A run that goes on after a stop is still the same look.

    Raises:
        OlmesError: no reason is given, a hook or a watcher asks before the end, or the ledger
            cannot be written, was tampered with or lacks a look that a run of the store was.
    """
    held = held_out_tasks((one.task for one in plan.tasks), plan.suite)
    if not held:
        return None
    look = allowed(look, held)
    ledger = Ledger(store)
    # Before the ledger: a look that another process takes meanwhile has its line before its record.
    records = records_of(store)
    entries = ledger.entries()
    for entry in entries:
        if entry.get("event") == "run" and entry.get("run") == run:
            return TakenLook(held, entry)
    check_all_are_there(records, entries, ledger)
    name = look.family or family(model)
    sample = all(one.dataset.origin == "demo" for one in plan.tasks if one.task.name in held)
    entry = ledger.append(
        "run",
        run,
        {
            "who": who(),
            "asked_by": look.asked_by,
            "reason": look.reason.strip(),
            "tasks": sorted(held),
            "limit": plan.limit,
            "sample_data": sample,
            "model": model.name,
            "fingerprint": model.fingerprint,
            "family": name,
            "lineage": lineage(model),
            "looks_before": len(looks_of(entries, name, model.fingerprint)),
            "dev": dev_score(records, model.fingerprint, sample=sample),
        },
    )
    return TakenLook(held, entry)


def allowed(look: Look | None, held: Mapping[str, list[str]]) -> Look:
    """The look, if it may be taken.

    Raises:
        OlmesError: it may not.
    """
    suites = ", ".join(sorted({suite for names in held.values() for suite in names}))
    what = f"{', '.join(held)} (held out by the suite {suites})"
    if look is None or not look.reason.strip():
        raise OlmesError(
            f"{what} must not be looked at during development; when this is the end of it, say why "
            'with --reason "...", which is written into the ledger.'
        )
    if look.asked_by != "person" and not look.final:
        raise OlmesError(
            f"{what} cannot be scored by a {look.asked_by} at every checkpoint; choose another "
            "suite, or say that this is the final score (--final, or final=True)."
        )
    return look


def looks_of(entries: Iterable[Entry], name: str, fingerprint: str) -> list[Entry]:
    """The looks a model's family has had: under its name, or at the same weights under another.

    A look at the built-in sample shows nothing of the benchmark and does not count.
    """
    return [
        entry
        for entry in entries
        if entry.get("event") in LOOKS
        and not entry.get("sample_data")
        and (entry.get("family") == name or entry.get("fingerprint") == fingerprint)
    ]


def records_of(store: Path) -> list[Record]:
    """The records of a store, as far as they can be read."""
    found = []
    for path in store.glob("*/run.json"):
        with contextlib.suppress(OlmesError):
            found.append(Record.load(path.parent))
    return found


def check_all_are_there(
    records: Iterable[Record], entries: Sequence[Entry], ledger: Ledger
) -> None:
    """Refuse to count looks where the ledger lacks one that a run of its store names.

    Raises:
        OlmesError: it does; the number of looks before would be too small.
    """
    for record in records:
        if (held := record.data.get("held_out")) and look_of(held, entries) is None:
            raise OlmesError(
                f"{ledger.path} lacks line {named_line(held)[0]}, the look that "
                f"{record.folder.name} was; restore the ledger from a copy, move that run out of "
                "the folder, or begin another store with --out."
            )


def look_of(held: Mapping[str, Any], entries: Sequence[Entry]) -> Entry | None:
    """The line that a record's `held_out` names; None where the ledger has another or none."""
    number, digest = named_line(held)
    entry = entries[number - 1] if 0 < number <= len(entries) else {}
    return entry if entry.get("hash") == digest else None


def named_line(held: Mapping[str, Any]) -> tuple[int, str]:
    """Number and hash of the line a record's `held_out` names; 0 and '' where it was edited away."""
    named = held.get("ledger") or {}
    number = named.get("number")
    return (number, str(named.get("hash"))) if isinstance(number, int) else (0, "")


def dev_score(
    records: Iterable[Record], fingerprint: str, *, sample: bool
) -> dict[str, Any] | None:
    """What a store has on the same weights from tasks that are not held out.

    The newest run of a suite; where there is none, the mean of the newest run of single tasks. Runs
    on the built-in sample say nothing beside a look at real data.

    Args:
        records: the store's.
        fingerprint: of the weights.
        sample: whether the look is at the built-in sample itself.
    """
    found = []
    for record in records:
        data = record.data
        if data["model"].get("fingerprint") != fingerprint or data.get("held_out"):
            continue
        if sample or not any(t["data"]["origin"] == "sample" for t in record.tasks.values()):
            found.append((bool(data.get("suite")), data["created"], data["id"], record))
    if not found:
        return None
    _, _, run, record = max(found, key=lambda one: one[:3])
    suite = record.data.get("suite") or mean_of_tasks(record)
    numbers = ("value", "stderr", "ci_low", "ci_high", "n", "complete")
    return {"run": run, "suite": suite["name"], **{key: suite[key] for key in numbers}}


def mean_of_tasks(record: Record) -> dict[str, Any]:
    """What stands for a suite where single tasks were run: their names and their mean."""
    scored = {
        name: task
        for name, task in record.tasks.items()
        if task["metrics"][task["primary"]]["value"] is not None
    }
    return {
        "name": ", ".join(record.tasks),
        "complete": record.complete and len(scored) == len(record.tasks),
        **suite_numbers(scored),
    }


def who() -> str:
    """`user@host`, as far as the system says."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return f"{user}@{platform.node() or 'unknown'}"
