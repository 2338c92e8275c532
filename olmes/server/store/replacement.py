"""What a run meets that is here already: one of its name, its own content, a served folder."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, delete, insert, select, update

from olmes.server.access.audit import Caller
from olmes.server.intake.run_files import Intake
from olmes.server.refusals import RefusedError
from olmes.server.store.schema import folder_runs, runs, tasks
from olmes.server.store.table_rows import TaskColumns


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A run whose name another one has."""

    seq: int
    content_hash: str
    owner: str
    complete: bool
    held_out: bool
    samples: int
    fingerprint: str
    asked: dict[str, tuple[str, str]]
    """Hashes of formulation and data by task."""


def standing(connection: Connection, name: str) -> Standing | None:
    """The run of a name, if there is one."""
    row = connection.execute(
        select(
            runs.seq, runs.content_hash, runs.uploaded_by, runs.complete, runs.held_out,
            runs.samples, runs.fingerprint,
        ).where(runs.id == name)
    ).first()  # fmt: skip
    if row is None:
        return None
    asked = connection.execute(
        select(tasks.task, tasks.formulation_hash, tasks.data_hash).where(tasks.run == row.seq)
    )
    return Standing(
        seq=row.seq,
        content_hash=row.content_hash,
        owner=row.uploaded_by,
        complete=row.complete,
        held_out=row.held_out,
        samples=row.samples,
        fingerprint=row.fingerprint,
        asked={task: (formulation, data) for task, formulation, data in asked},
    )


def check_replacement(old: Standing, new: Intake, *, may: bool, replace: bool) -> None:
    """Refuse that a run takes the place of another of its name.

    A look never gives way; a complete run to who may replace it and asks for that; an incomplete one
    also to the same run further on, whoever brings it: the same model, asked the same, with no fewer
    samples.

    Args:
        old: the run that is here.
        new: the one that comes.
        may: whether whoever brings it may replace the old one.
        replace: whether that is asked for.

    Raises:
        RefusedError: it does not give way.
    """
    name = new.run.id
    if old.held_out:
        raise RefusedError(
            409, f"id: {name} was a look at held-out tasks; its record is not replaced.", "id"
        )
    if not may and not (not old.complete and goes_on(old, new)):
        status = 403 if replace else 409
        raise RefusedError(
            status,
            f"id: another run named {name} is here, uploaded by {old.owner}; only {old.owner} or an "
            "admin may replace it (olmes push --replace).",
            "id",
        )
    if old.complete and not replace:
        raise RefusedError(
            409,
            f"id: another run named {name} is here; push with --replace to put this one in its place.",
            "id",
        )


def goes_on(old: Standing, new: Intake) -> bool:
    """Whether a run is the same as an incomplete one, and no less of it."""
    asked = {task.task: (task.formulation_hash, task.data_hash) for task in new.tasks}
    same = all(asked.get(task) == hashes for task, hashes in old.asked.items())
    return same and new.run.fingerprint == old.fingerprint and new.run.samples >= old.samples


def may_replace(old: Standing, caller: Caller) -> bool:
    """Whether somebody may replace a run: an admin, or who uploaded it."""
    return caller.role == "admin" or caller.name == old.owner


def source_of(folder: Path) -> str:
    """What a run's folder is known by: the SHA-256 of where it is."""
    return hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()


def taken_from(connection: Connection, source: str) -> str:
    """The content hash of what was last taken from a folder; '' for nothing."""
    found = connection.execute(
        select(folder_runs.content_hash).where(folder_runs.source == source)
    ).scalar()
    return found or ""


def note_taken(connection: Connection, source: str, content_hash: str) -> None:
    """Remember what was taken from a folder."""
    connection.execute(delete(folder_runs.table).where(folder_runs.source == source))
    values = {folder_runs.source: source, folder_runs.content_hash: content_hash}
    connection.execute(insert(folder_runs.table).values(values))


def put_again(connection: Connection, seq: int, rows: Sequence[TaskColumns]) -> None:
    """The content of a run came again: its artifacts are whole now, and may be named otherwise.

    Of samples that were opened here the open ones stay.
    """
    for row in rows:
        connection.execute(
            update(tasks.table)
            .where(tasks.run == seq, tasks.task == row.task, tasks.opened == row.opened)
            .values({tasks.artifact: row.artifact})
        )
