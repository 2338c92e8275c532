"""The lines of ledgers that the server keeps: only ever added to, and read as the trees they are.

A line's hash is over all lines before it. So a ledger that parts from the one that is here, because two
machines went on from a copy of it or because one of the two was rewritten, is kept beside it, from
the line on where they part: nobody's lines keep out another's, and nothing that was here is lost.
"""

from __future__ import annotations

import contextlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection, func, insert, select, update

from olmes.seal.ledger import Entry
from olmes.server.access.audit import Caller, write_audit
from olmes.server.refusals import RefusedError
from olmes.server.store import schema
from olmes.server.store.database import Database
from olmes.server.store.kept_line import KeptLine
from olmes.server.store.ledgers import is_look
from olmes.server.store.look_counts import looks_before
from olmes.server.store.openings import ROWS, Opening, held_out_runs, openings
from olmes.tools.jsonl import dumps


class NotTheirsError(RefusedError):
    """Lines added to a ledger that the caller has nothing to do with.

    Attributes:
        chain: which ledger: the hash of its first line.
    """

    def __init__(self, chain: str, number: int) -> None:
        super().__init__(
            403,
            f"ledger.jsonl: line {number} is not the server's, and this ledger is of other people's "
            "runs; push the run that the line is of, use the token that brought them, or ask an "
            "admin.",
            "ledger.jsonl",
        )
        self.chain = chain


def keep_ledger(
    connection: Connection, entries: Sequence[Entry], caller: Caller, *, own: bool
) -> list[Entry]:
    """Add what is new of a ledger.

    Args:
        connection: in whose transaction.
        entries: every line of the ledger, whose chain holds.
        caller: who brings it.
        own: whether the caller is known to have a run of it: the one that comes with it.

    Returns:
        The lines that are new.

    Raises:
        NotTheirsError: the ledger is here, and the caller has neither brought it nor a run of it.
    """
    chain = entries[0]["hash"]
    ledger = schema.ledger
    rows = connection.execute(
        select(ledger.hash, ledger.brought_by).where(ledger.chain == chain)
    ).all()
    known = {row.hash: row.brought_by for row in rows}
    shared = next((n for n, one in enumerate(entries) if one["hash"] not in known), len(entries))
    added = entries[shared:]
    if not added:
        return []
    theirs = own or caller.role == "admin" or known.get(chain, caller.name) == caller.name
    if not theirs and not has_run_of(connection, entries, caller):
        raise NotTheirsError(chain, shared + 1)
    parts = connection.execute(
        select(ledger.hash).where(ledger.previous == added[0]["previous"], ledger.chain == chain)
    ).first()
    if parts:
        why = (
            f"line {shared + 1} is there twice: the ledger was continued from a copy, or rewritten"
        )
        write_audit(connection, caller, "ledger forked", chain, why)
    columns = ("hash", "previous", "event", "run", "time")
    # To the microsecond, because ways of a ledger are told in the order in which they came.
    arrived = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    mark = {"chain": chain, "brought_by": caller.name, "arrived": arrived}
    for start in range(0, len(added), ROWS):
        connection.execute(
            insert(ledger.table),
            [
                {"number": number, "entry": dumps(entry)}
                | mark
                | {key: entry[key] for key in columns}
                for number, entry in enumerate(added[start : start + ROWS], shared + start + 1)
            ],
        )
    return list(added)


def has_run_of(connection: Connection, entries: Sequence[Entry], caller: Caller) -> bool:
    """Whether the look of a run that the caller uploaded is a line of a ledger."""
    looks = {entry["run"] for entry in entries if entry["event"] == "run"}
    owned = held_out_runs(connection, looks, schema.runs.uploaded_by == caller.name)
    return any(is_look(entries, one.run.id, one.run.held_out) for one in owned)


def lines_in_order(connection: Connection) -> Iterator[KeptLine]:
    """Every line the server has, ledger by ledger, and of one that parts way by way."""
    ledger = schema.ledger
    rows = connection.execute(
        select(ledger.table).order_by(ledger.chain, ledger.number, ledger.arrived, ledger.hash)
    ).all()
    following = defaultdict(list)
    for row in rows:
        following[row.previous if row.number > 1 else ""].append(row)
    # The way that was here first before those that came after.
    waiting = [(row, False) for row in reversed(following[""])]
    while waiting:
        row, parts = waiting.pop()
        yield KeptLine(
            entry=json.loads(row.entry),
            chain=row.chain,
            hash=row.hash,
            previous=row.previous,
            time=row.time,
            brought_by=row.brought_by,
            arrived=row.arrived,
            parts=parts,
        )
        ways = following[row.hash]
        waiting += [(way, at > 0) for at, way in reversed(list(enumerate(ways)))]


def count_lines(connection: Connection) -> int:
    """How many lines the server has; they are never changed and never removed."""
    return int(
        connection.execute(select(func.count()).select_from(schema.ledger.table)).scalar_one()
    )


@contextlib.contextmanager
def noting_refusals(database: Database, caller: Caller) -> Iterator[None]:
    """Write into the audit log, beside the transaction, that somebody's lines were turned away."""
    try:
        yield
    except NotTheirsError as error:
        with database.writing() as connection:
            write_audit(connection, caller, "ledger refused", error.chain, error.message)
        raise


class Ledgers:
    """Every ledger that the server has."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.counted: tuple[int, Mapping[str, int]] = (0, {})

    def lines(self) -> list[KeptLine]:
        """Every line, ledger by ledger."""
        with self.database.reading() as connection:
            return list(lines_in_order(connection))

    def looks_before(self) -> Mapping[str, int]:
        """By the hash of a look's line, how many went before it over every ledger here.

        Counted anew when there are more lines than before.
        """
        with self.database.reading() as connection:
            count = count_lines(connection)
            if count != self.counted[0]:
                self.counted = (count, looks_before(lines_in_order(connection)))
        return self.counted[1]

    def state(self) -> tuple[int, int]:
        """What the page of the looks depends on: how many lines there are, and which run came last."""
        with self.database.reading() as connection:
            newest = connection.execute(select(func.max(schema.runs.seq))).scalar()
            return count_lines(connection), int(newest or 0)

    def openings(self, entries: Sequence[Entry], caller: Caller) -> list[Opening]:
        """The runs still closed here that a ledger says were unsealed.

        Raises:
            RefusedError: as `openings`.
        """
        with self.database.reading() as connection:
            return openings(connection, entries, caller)

    def extend(
        self,
        entries: Sequence[Entry],
        opened: Mapping[tuple[int, str], str],
        closed: Mapping[str, str],
        caller: Caller,
    ) -> None:
        """Add to a ledger, and let the samples be read that it says were unsealed.

        Args:
            entries: every line of the ledger.
            opened: the artifact of the open samples by run (its `seq`) and task.
            closed: why the others that it says were unsealed stay closed, by run.
            caller: who brings it.

        Raises:
            RefusedError: the ledger is of other people's runs.
        """
        with noting_refusals(self.database, caller), self.database.publishing() as connection:
            added = keep_ledger(connection, entries, caller, own=False)
            runs, tasks = schema.runs, schema.tasks
            for (seq, task), artifact in opened.items():
                connection.execute(
                    update(tasks.table)
                    .where(tasks.run == seq, tasks.task == task)
                    .values({tasks.opened: True, tasks.artifact: artifact})
                )
            for seq in {seq for seq, _ in opened}:
                name = connection.execute(
                    update(runs.table)
                    .where(runs.seq == seq)
                    .values({runs.opened: True})
                    .returning(runs.id)
                ).scalar_one()
                write_audit(connection, caller, "run unsealed", name)
            if added:
                chain = entries[0]["hash"]
                write_audit(connection, caller, "ledger extended", chain, str(len(added)))
                for name, why in closed.items():
                    write_audit(connection, caller, "unseal refused", name, why)
