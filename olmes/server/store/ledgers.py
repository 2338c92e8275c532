"""Ledgers that come with runs: checked as `olmes ledger` does, kept, and only ever added to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection, insert, select

from olmes.records.check import FieldError
from olmes.records.schema import LedgerLine
from olmes.seal.ledger import Entry, Ledger
from olmes.server.intake.fields import refused_part
from olmes.server.intake.ledger_lines import check_line
from olmes.server.refusals import RefusedError
from olmes.server.store import schema
from olmes.tools.json_text import JsonTextError
from olmes.tools.jsonl import dumps


def read_ledger(path: Path) -> list[Entry]:
    """The lines of a ledger's file.

    Raises:
        RefusedError: its chain is broken, it is empty, or a field of a line is not in order.
    """
    ledger = Ledger(path.parent)
    ledger.path = path
    entries = []
    for number, (entry, problem) in enumerate(ledger.checked(), start=1):
        if problem:
            raise RefusedError(422, f"ledger.jsonl: {problem}.", "ledger.jsonl")
        try:
            check_line(entry)
        except (FieldError, JsonTextError) as error:
            raise refused_part(f"ledger.jsonl, line {number}", error) from None
        entries.append(entry)
    if not entries:
        raise RefusedError(422, "ledger.jsonl holds no line.", "ledger.jsonl")
    return entries


def keep_ledger(connection: Connection, entries: Sequence[Entry]) -> int:
    """Add what is new of a ledger.

    Returns:
        How many lines are new.

    Raises:
        RefusedError: it is not the ledger that was here before, with lines added.
    """
    chain = entries[0]["hash"]
    ledger = schema.ledger
    known = connection.execute(
        select(ledger.number, ledger.hash).where(ledger.chain == chain).order_by(ledger.number)
    ).all()
    for (number, digest), entry in zip(known, entries, strict=False):
        if entry["hash"] != digest:
            raise RefusedError(
                409,
                f"ledger.jsonl: line {number} is not the one the server has; a ledger is only ever "
                "added to, so one of the two was rewritten.",
                "ledger.jsonl",
            )
    added = entries[len(known) :]
    if added:
        connection.execute(
            insert(ledger.table),
            [
                {"chain": chain, "entry": dumps(entry)}
                | {key: entry[key] for key in ("number", "hash", "event", "run", "time")}
                for entry in added
            ],
        )
    return len(added)


def unsealed_by(entries: Sequence[Entry], run: str, look: LedgerLine) -> bool:
    """Whether a ledger says that a run's samples were opened.

    Args:
        entries: a ledger whose chain holds.
        run: its id.
        look: `held_out.ledger` of the run, which has to be a line of this ledger.
    """
    at = look.number
    if not (at <= len(entries) and entries[at - 1]["hash"] == look.hash):
        return False
    return any(
        entry["event"] == "unseal" and entry["run"] == run and str(entry.get("reason", "")).strip()
        for entry in entries[at:]
    )


def stored_entries(connection: Connection) -> list[Entry]:
    """Every line the server has, ledger by ledger."""
    ledger = schema.ledger
    rows = connection.execute(select(ledger.entry).order_by(ledger.chain, ledger.number))
    return [json.loads(text) for (text,) in rows]
