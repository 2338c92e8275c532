"""A look at held-out tasks: asked for with a reason, written down before anything is seen."""

from __future__ import annotations

import getpass
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from olmes.benchmark.suite import Suite
from olmes.benchmark.task import Task
from olmes.errors import OlmesError
from olmes.models.base import Model
from olmes.models.checkpoint.lineage import family, lineage
from olmes.records.aggregate import run_mean
from olmes.records.check import FieldError, converted
from olmes.records.overlap import without_overlap
from olmes.records.record import Record, readable_records, says_held_out
from olmes.records.schema import Asker, DevScore, HeldOut
from olmes.requests.plan import Plan
from olmes.seal.counting import LOOKS as LOOKS
from olmes.seal.counting import count_looks
from olmes.seal.held_out import held_out_tasks
from olmes.seal.known_stores import remember
from olmes.seal.ledger import ANOTHER_STORE, Entry, Ledger
from olmes.tools.visible_text import unfit_name, visible

IN_A_RECIPE = (
    "; in a recipe these are `reason` and `final` of [scoring.options], and a chain has [unseen]"
)
"""Where a training's recipe says what a hook is told."""
SEALED = "sealed"
"""The folder in a run's folder with the samples under seal."""


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

    def __post_init__(self) -> None:
        check_name("--family", self.family)


def check_name(option: str, name: str) -> None:
    """Refuse a name that no database, and so no server, can hold; a reason may be any text.

    Raises:
        OlmesError: it is one.
    """
    if why := unfit_name(name):
        raise OlmesError(f"{option} {visible(name[:80])} {why}; write another, in UTF-8.")


@dataclass(frozen=True, slots=True)
class TakenLook:
    """A look that is in the ledger."""

    held_out: HeldOut
    """What the record keeps; nothing is under seal yet."""

    @classmethod
    def of(cls, tasks: Mapping[str, list[str]], entry: Entry) -> TakenLook:
        """The look that a line of the ledger was, at tasks that some suites hold out."""
        line = {"ledger": {key: entry[key] for key in ("number", "hash")}, "tasks": dict(tasks)}
        return cls(converted({**entry, **line}, HeldOut))

    @property
    def tasks(self) -> Mapping[str, list[str]]:
        """The held-out tasks, and which suites hold them out."""
        return self.held_out.tasks


def check_look(tasks: Iterable[Task], suite: Suite | None, look: Look | None) -> None:
    """Refuse at once what `take_look` would refuse, before data or weights are fetched.

    Raises:
        OlmesError: no reason is given, or a hook or a watcher asks before the end.
    """
    if held := held_out_tasks(tasks, suite):
        allowed(look, held)


def check_not_named(held: Mapping[str, list[str]]) -> None:
    """Refuse a run on named items where some are held out: the score of one item shows that item.

    Raises:
        OlmesError: a task is held out.
    """
    if held:
        raise OlmesError(
            f"--items: the score of a few chosen items would show what is under seal of "
            f"{', '.join(held)}; use --limit, which draws them."
        )


def take_look(
    plan: Plan, model: Model, run: str, store: Path, look: Look | None
) -> TakenLook | None:
    """Write a run's look into the store's ledger; None for a run without held-out tasks.

    A run that is resumed is still the same look.

    Raises:
        OlmesError: no reason is given, a hook or a watcher asks before the end, items are named, or
            the ledger cannot be written, was tampered with or lacks a look that a run of the store was.
    """
    datasets = {one.task.name: one.dataset for one in plan.tasks}
    held = held_out_tasks((one.task for one in plan.tasks), plan.suite, datasets)
    if not held:
        return None
    look = allowed(look, held)
    if plan.named:
        check_not_named(held)
    ledger = Ledger(store)
    # Before the ledger: a look that another process takes meanwhile has its line before its record.
    records, unreadable = readable_records(store)
    entries = ledger.entries()
    for entry in entries:
        if entry.get("event") == "run" and entry.get("run") == run:
            remember(store, entries)  # it may have been killed before it was
            return taken(held, entry, ledger)
    check_all_are_there(records, entries, ledger)
    check_none_is_hidden(unreadable, entries, ledger)
    name, descent = look.family or family(model), without_overlap(lineage(model))
    before = count_looks(store, entries, name, model.fingerprint, descent)
    demo = all(one.dataset.origin == "demo" for one in plan.tasks if one.task.name in held)
    entry = ledger.append(
        "run",
        run,
        {
            "who": who(),
            "asked_by": look.asked_by,
            "reason": look.reason.strip(),
            "tasks": sorted(held),
            "data": {name: datasets[name].content_hash for name in sorted(held)},
            "limit": plan.limit,
            "sample_data": demo,
            "model": model.name,
            "fingerprint": model.fingerprint,
            "family": name,
            "lineage": descent,
            **before.fields,
            "dev": msgspec.to_builtins(dev_score(records, model.fingerprint, demo=demo)),
        },
    )
    remember(store, [*entries, entry])
    return TakenLook.of(held, entry)


def taken(held: Mapping[str, list[str]], entry: Entry, ledger: Ledger) -> TakenLook:
    """The look that a line of the ledger was.

    Raises:
        OlmesError: the line is not as it was written.
    """
    try:
        return TakenLook.of(held, entry)
    except (KeyError, FieldError) as error:
        raise OlmesError(
            f"{ledger.path} was tampered with (the look of {entry.get('run')}: {error}); restore it "
            f"from a copy, or {ANOTHER_STORE}."
        ) from None


def allowed(look: Look | None, held: Mapping[str, list[str]]) -> Look:
    """The look, if it may be taken.

    Raises:
        OlmesError: it may not.
    """
    suites = ", ".join(dict.fromkeys(suite for names in held.values() for suite in names))
    what = f"{', '.join(held)} (held out by the suite {suites})"
    hook = look is not None and look.asked_by == "hook"
    if look is None or not look.reason.strip():
        how = 'with reason="..." and final=True' if hook else 'with --reason "..."'
        raise OlmesError(
            f"{what} must not be looked at during development; when this is the end of it, say why "
            f"{how}, which is written into the ledger{IN_A_RECIPE if hook else ''}."
        )
    if look.asked_by != "person" and not look.final:
        how = f"final=True{IN_A_RECIPE}" if hook else "--final"
        raise OlmesError(
            f"{what} cannot be scored by a {look.asked_by} at every checkpoint; choose another "
            f"suite, or say that this is the final score ({how})."
        )
    return look


def check_all_are_there(
    records: Iterable[Record], entries: Sequence[Entry], ledger: Ledger
) -> None:
    """Refuse to count looks where the ledger lacks one that a run of its store names.

    Raises:
        OlmesError: it does; the number of looks before would be too small.
    """
    lacking = [
        (held.ledger.number, record.folder.name)
        for record in records
        if (held := record.run.held_out) and look_of(held, entries) is None
    ]
    if lacking:
        number, name = min(lacking)
        raise OlmesError(
            f"{ledger.path} lacks line {number}, the look that {name} was; restore the ledger from a "
            f"copy, move that run out of the folder, or {ANOTHER_STORE}."
        )


def check_none_is_hidden(
    unreadable: Mapping[Path, OlmesError], entries: Sequence[Entry], ledger: Ledger
) -> None:
    """Refuse to count looks where a look's record was changed so that it cannot be read.

    Raises:
        OlmesError: one was; whether the ledger has its line is not known.
    """
    for folder, error in unreadable.items():
        if was_look(folder, entries):
            raise OlmesError(
                f"{error} Until then {ledger.path} cannot be held against the look that "
                f"{folder.name} was; or move that run out of the folder, or {ANOTHER_STORE}."
            )


def was_look(folder: Path, entries: Iterable[Entry]) -> bool:
    """Whether a run was a look, whose record cannot be read.

    The ledger names it, or its samples are under seal, or the record says so still.
    """
    if (folder / SEALED).exists() or any(entry.get("run") == folder.name for entry in entries):
        return True
    return says_held_out(folder)


def look_of(held: HeldOut, entries: Sequence[Entry]) -> Entry | None:
    """The line that a record's `held_out` names; None where the ledger has another or none."""
    number = held.ledger.number
    entry = entries[number - 1] if 0 < number <= len(entries) else {}
    return entry if entry.get("hash") == held.ledger.hash else None


def dev_score(records: Iterable[Record], fingerprint: str, *, demo: bool) -> DevScore | None:
    """What a store has on the same weights from tasks that are not held out.

    The newest run of a suite; where there is none, the mean of the newest run of single tasks. Runs
    on the built-in demo data say nothing beside a look at real data, and runs on a few named items
    nothing at all.

    Args:
        records: the store's.
        fingerprint: of the weights.
        demo: whether the look is at built-in demo data itself.
    """
    found = [
        record
        for record in records
        if record.run.model.fingerprint == fingerprint
        and not record.run.held_out
        and record.run.named is not True
        and (demo or not record.run.demo_tasks)
    ]
    if not found:
        return None
    newest = max(found, key=lambda one: (one.run.suite is not None, one.run.created, one.id))
    suite, tasks, mean = newest.run.suite, newest.tasks, run_mean(newest.run)
    scored = [task for task in tasks.values() if task.score.estimate is not None]
    return DevScore.of(
        mean.estimate if mean else None,
        run=newest.id,
        suite=suite.name if suite else ", ".join(tasks),
        complete=suite.complete if suite else newest.complete and len(scored) == len(tasks),
        unit=mean.unit if mean else "share",
    )


def who() -> str:
    """`user@host`, as far as the system says."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return f"{user}@{platform.node() or 'unknown'}"
