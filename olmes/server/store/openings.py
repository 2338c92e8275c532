"""Which runs under seal a ledger opens, for whom, and why the others stay closed."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, select

from olmes.records.check import FieldError, run_record
from olmes.records.schema import RunRecord
from olmes.seal.ledger import Entry
from olmes.server.access.audit import Caller
from olmes.server.refusals import RefusedError
from olmes.server.store import schema
from olmes.server.store.ledgers import unsealed_by
from olmes.tools.hashing import sha256

ROWS = 500
"""Rows written, or names asked for, at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutRun:
    """A run under seal that is here."""

    seq: int
    run: RunRecord
    uploaded_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening(HeldOutRun):
    """A run that is closed here and that a ledger says was unsealed."""

    why_not: str
    """Why it stays closed for whoever brings the ledger; '' where it does not."""


def openings(connection: Connection, entries: Sequence[Entry], caller: Caller) -> list[Opening]:
    """The runs closed here that a ledger says were unsealed.

    Who may upload may also write any line into a copy of somebody's ledger: it opens what the caller
    uploaded, and for an admin anything.

    Raises:
        RefusedError: it opens a run of the caller's without the result of it, which `olmes unseal`
            never does: lines were left out.
    """
    named = {entry["run"] for entry in entries if entry["event"] == "unseal"}
    found = []
    for one in held_out_runs(connection, named, ~schema.runs.opened):
        held = one.run.held_out
        if held is None or not unsealed_by(entries, one.run.id, held):
            continue
        why_not = ""
        if caller.role != "admin" and caller.name != one.uploaded_by:
            why_not = (
                f"it was uploaded by {one.uploaded_by}; push it with that token after olmes unseal, "
                "or let an admin do so."
            )
        elif not has_result(connection, entries, one):
            raise RefusedError(
                409,
                f"ledger.jsonl: {one.run.id} is opened, and its result is not there as the server "
                "has it; a ledger is only ever added to, so one of the two was rewritten.",
                "ledger.jsonl",
            )
        found.append(
            Opening(seq=one.seq, run=one.run, uploaded_by=one.uploaded_by, why_not=why_not)
        )
    return found


def has_result(connection: Connection, entries: Sequence[Entry], one: HeldOutRun) -> bool:
    """Whether a ledger holds what a run came to: the hash of its record, as it is here."""
    runs = schema.runs
    text = connection.execute(select(runs.data).where(runs.seq == one.seq)).scalar_one()
    digest = sha256(text.encode("utf-8"))
    return any(
        (entry["event"], entry["run"], entry.get("record")) == ("result", one.run.id, digest)
        for entry in entries
    )


def held_out_runs(
    connection: Connection, names: Collection[str], *where: ColumnElement[bool]
) -> Iterator[HeldOutRun]:
    """Those of some names that are runs under seal here and pass a condition."""
    runs = schema.runs
    rest = sorted(names)
    for start in range(0, len(rest), ROWS):
        rows = connection.execute(
            select(runs.seq, runs.uploaded_by, runs.slim)
            .where(runs.held_out, runs.id.in_(rest[start : start + ROWS]), *where)
            .order_by(runs.seq)
        ).all()
        for seq, uploaded_by, slim in rows:
            try:
                run = run_record(json.loads(slim))
            except FieldError:  # of an older olmes, which checked less
                continue
            yield HeldOutRun(seq=seq, run=run, uploaded_by=uploaded_by)
