"""Checking a store: the chain of its ledger, and every run under seal against it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from olmes.records.record import Record, readable_records
from olmes.seal.ledger import Entry, Ledger
from olmes.seal.sealing import changed, last_result, unreadable

CLOCKS_DIFFER = timedelta(hours=1)
"""By how much a line may be older than the one before: clocks of machines that share a store differ."""


def verify(store: Path) -> list[str]:
    """A sentence for each thing in a store that is not as it was written.

    Found are: lines of the ledger that were changed, moved, removed or cut off; records and sealed
    files that were edited; looks and results that a run names and the ledger lacks; samples that were
    opened without a look of their own.
    """
    # Before the ledger: a look that another process takes meanwhile has its line before its record.
    records, broken = readable_records(store)
    ledger = Ledger(store)
    # Read once: every run of the store is held against it.
    checked = list(ledger.checked())
    entries = [entry for entry, _ in checked]
    said = [unreadable(folder, entries) or str(error) for folder, error in broken.items()]
    opened = {entry.get("run") for entry in entries if entry.get("event") == "unseal"}
    said += [*filter(None, [problem for _, problem in checked]), *ledger.cut_off(checked)]
    for record in records:
        if record.run.held_out:
            said += changed(record, entries)
            said += lying_open(record) if record.id not in opened else []
        elif last_result(entries, record.folder.name):
            said.append(
                f"{record.folder / 'run.json'} was changed: it says nothing of the look that it was"
            )
    return said


def lying_open(record: Record) -> list[str]:
    """A sentence for each task of a run whose samples are not under seal."""
    return [
        f"the samples {record.id}/{record.tasks[task].samples} lie open without a look"
        for task in record.run.sealed
        if task in record.tasks and record.samples_path(task).exists()
    ]


def backward_steps(entries: Iterable[Entry]) -> list[str]:
    """A sentence for each line that is dated before the one it follows.

    That breaks no chain, and no line can be taken back, so it is told and is no fault of the store.
    """
    said = []
    latest: tuple[datetime, object] | None = None
    for entry in entries:
        time = time_of(entry)
        if time is None:
            continue
        if latest and latest[0] - time > CLOCKS_DIFFER:
            said.append(
                f"line {entry.get('number')} is dated {span(latest[0] - time)} earlier than line "
                f"{latest[1]}, which it follows: a clock was wrong, or the date was made up"
            )
        latest = (time, entry.get("number"))
    return said


def time_of(entry: Entry) -> datetime | None:
    """When a line says it was written; None where it says no time."""
    try:
        time = datetime.fromisoformat(str(entry.get("time")))
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def span(time: timedelta) -> str:
    """Some days, or hours where it is no day."""
    count, unit = (time.days, "day") if time.days else (time.seconds // 3600, "hour")
    return f"{count:,} {unit}{'' if count == 1 else 's'}"
