"""Ledgers as they come with runs: checked as `olmes ledger` does, and what they say of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from olmes.records.check import FieldError
from olmes.records.schema import HeldOut
from olmes.seal.ledger import Entry, Ledger
from olmes.server.intake.fields import refused_part
from olmes.server.intake.ledger_lines import check_line
from olmes.server.refusals import RefusedError
from olmes.tools.json_text import JsonTextError


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
