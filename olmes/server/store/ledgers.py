"""Ledgers as they come with runs: checked as `olmes ledger` does, and what they say of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from olmes.records.schema import HeldOut
from olmes.seal.ledger import Entry, Ledger
from olmes.server.refusals import RefusedError

LONGEST = {"event": 40, "run": 200, "time": 40}
"""Characters of what the table of lines has columns for."""


def read_ledger(path: Path) -> list[Entry]:
    """The lines of a ledger's file.

    Raises:
        RefusedError: its chain is broken or it is empty.
    """
    ledger = Ledger(path.parent)
    ledger.path = path
    entries = []
    for entry, problem in ledger.checked():
        if problem:
            raise RefusedError(422, f"ledger.jsonl: {problem}.", "ledger.jsonl")
        for key, most in LONGEST.items():
            if (
                not isinstance(entry.get(key), str)
                or len(entry[key]) > most
                or "\x00" in entry[key]
            ):
                raise RefusedError(
                    422, f"ledger.jsonl: line {entry['number']} has no {key}.", "ledger.jsonl"
                )
        entries.append(entry)
    if not entries:
        raise RefusedError(422, "ledger.jsonl holds no line.", "ledger.jsonl")
    return entries


def is_look(entries: Sequence[Entry], run: str, held: HeldOut | None) -> bool:
    """Whether a line of a ledger is the look that a run names as its own."""
    if held is None or not 0 < held.ledger.number <= len(entries):
        return False
    entry = entries[held.ledger.number - 1]
    return (entry["hash"], entry["event"], entry["run"]) == (held.ledger.hash, "run", run)


def unsealed_by(entries: Sequence[Entry], run: str, held: HeldOut) -> bool:
    """Whether a ledger says that a run's samples were opened.

    Args:
        entries: a ledger whose chain holds.
        run: its id.
        held: the look that it was, which has to be a line of this ledger.
    """
    return is_look(entries, run, held) and any(
        entry["event"] == "unseal" and entry["run"] == run and str(entry.get("reason", "")).strip()
        for entry in entries[held.ledger.number :]
    )
