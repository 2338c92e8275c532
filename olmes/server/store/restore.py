"""Filling a new store from a back-up, in whose folder anything may lie."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

from sqlalchemy import Connection, Table, delete, func, insert, select, text
from sqlalchemy.exc import SQLAlchemyError

from olmes.errors import OlmesError
from olmes.seal.ledger import parsed
from olmes.server.access.audit import LOCAL, write_audit
from olmes.server.refusals import utf8
from olmes.server.settings import Settings
from olmes.server.store import schema
from olmes.server.store.artifacts import sealed_name
from olmes.server.store.backup_format import (
    VERSION,
    BackupFacts,
    kept_tables,
    opened,
    read_facts,
    rows_of,
    table_file,
)
from olmes.server.store.store import Store
from olmes.server.store.verified import (
    ARTIFACT,
    HEX,
    digest_of,
    ledger_trouble,
    record_trouble,
    samples_trouble,
)
from olmes.types import JsonObject

ROWS = 500
"""Rows written at a time."""


def restore_backup(
    settings: Settings, source: Path, tell: Callable[[str, str], None] = lambda *_: None
) -> dict[str, int]:
    """Fill an empty store from a back-up.

    Args:
        settings: of the store.
        source: the back-up's folder.
        tell: called with each damaged run or ledger and why; such runs are left out.

    Returns:
        Rows by table, and `artifacts`.

    Raises:
        OlmesError: it is not a whole back-up, or the store holds something.
    """
    facts = read_facts(source)
    check_names(facts, source)
    store = Store(settings)
    store.database.migrate()
    check_fits(store, facts, source)
    check_files(facts, source)
    broken = broken_runs(facts, source)
    for why in broken.values():
        tell(*why)
    lines = sorted(
        rows_of(source, schema.ledger.table), key=lambda row: (row["chain"], row["number"])
    )
    if any(parsed(line["entry"].encode()) is None for line in lines):
        raise OlmesError(f"{source} has a line of a ledger that is none; take another back-up.")
    for chain, said in ledger_trouble(lines).items():
        tell(f"ledger {chain[:12]}", said)
    names = needed(source, set(broken))
    counts = {}
    try:
        with store.database.publishing() as connection:
            connection.execute(delete(schema.state.table))
            for table in kept_tables():
                counts[table.name] = 0
                for rows in pieces(without(rows_of(source, table), table, set(broken))):
                    connection.execute(insert(table), rows)
                    counts[table.name] += len(rows)
                count_on(connection, table)
            # On the disk before the rows that name them.
            for artifact in names:
                store.artifacts.copy_in(source / "artifacts" / artifact, artifact)
            write_audit(connection, LOCAL, "store restored", source.name, facts.time)
    except (SQLAlchemyError, OverflowError, ValueError) as error:
        raise OlmesError(f"{source} cannot be restored ({error.__class__.__name__}).") from error
    store.database.close()
    return counts | {"artifacts": len(names)}


def check_names(facts: BackupFacts, source: Path) -> None:
    """Refuse names in `backup.json` that olmes does not write: they become paths.

    Raises:
        OlmesError: there is one.
    """
    wrong = [name for name in facts.artifacts if not ARTIFACT.fullmatch(name)]
    wrong += [name for name in facts.tables if not re.fullmatch("[a-z_]+", name)]
    hashes = (*facts.tables.values(), *facts.artifacts.values())
    wrong += [sha for sha in hashes if not HEX.fullmatch(sha)]
    if wrong:
        shown = utf8(wrong[0][:80])
        raise OlmesError(
            f"{source} is not a whole back-up: {shown!r} is no name or hash of a back-up's file."
        )


def check_fits(store: Store, facts: BackupFacts, source: Path) -> None:
    """Refuse a store that holds something, and a back-up of another schema.

    Raises:
        OlmesError: it is one.
    """
    with store.database.reading() as connection:
        revision = connection.execute(text(VERSION)).scalar_one()
        filled = [
            table.name
            for table in kept_tables()
            if table.name != "state"
            and connection.execute(select(func.count()).select_from(table)).scalar()
        ]
    if filled:
        raise OlmesError(
            f"{store.database.shown} is not empty ({', '.join(filled)}); restore into a new store."
        )
    if revision != facts.schema:
        raise OlmesError(
            f"{source} has schema {facts.schema[:80]}, this olmes has {revision}; restore it with "
            "the olmes that made it, then update."
        )
    if missing := {table.name for table in kept_tables()} - set(facts.tables):
        raise OlmesError(f"{source} is not a whole back-up: it lacks the table {min(missing)}.")


def check_files(facts: BackupFacts, source: Path) -> None:
    """Hold every file of a back-up against its hash, and every table against its count.

    Raises:
        OlmesError: one is missing, is no plain file, or is not as it was written.
    """
    files = {table_file(source, name): sha for name, sha in facts.tables.items()}
    files |= {source / "artifacts" / name: sha for name, sha in facts.artifacts.items()}
    for path, sha in files.items():
        try:
            with opened(path) as stream:
                found = digest_of(iter(lambda: stream.read(1 << 20), b""))
        except OSError:
            found = ""
        if found != sha:
            raise OlmesError(f"{path} is missing or was changed; take another back-up.")
    for table in kept_tables():
        count = sum(1 for _ in rows_of(source, table))
        if facts.rows.get(table.name, count) != count:
            raise OlmesError(
                f"{table_file(source, table.name)} has {count} rows, and {facts.rows[table.name]} "
                "were saved; take another back-up."
            )


def broken_runs(facts: BackupFacts, source: Path) -> dict[int, tuple[str, str]]:
    """The runs of a back-up that are not whole in it: by their number, what is told of each."""
    tasks_by_run: dict[int, list[JsonObject]] = defaultdict(list)
    for row in rows_of(source, schema.tasks.table):
        tasks_by_run[row["run"]].append(row)
    metrics = {
        (row["run"], row["task"]): row["metric"]
        for row in rows_of(source, schema.metrics.table)
        if row["is_primary"]
    }
    broken = {}
    for run in rows_of(source, schema.runs.table):
        tasks = tasks_by_run[run["seq"]]
        why = facts.broken.get(run["id"]) or record_trouble(run, tasks)
        for task in () if why else tasks:
            metric = metrics.get((task["run"], task["task"]), "")
            why = why or missing_from(facts, task)
            why = why or samples_trouble(task, metric, *places(source, task))
        if why:
            name = utf8(run["id"][:120])
            broken[run["seq"]] = (f"run {name}", utf8(why))
    return broken


def missing_from(facts: BackupFacts, task: Mapping[str, str]) -> str:
    """Whether a task names samples that the back-up does not: they may lie there by chance."""
    lacking = [name for name in artifacts_of(task) if name not in facts.artifacts]
    return f"the back-up has no {lacking[0]}" if lacking else ""


def artifacts_of(task: Mapping[str, str]) -> list[str]:
    """The artifact of a task, and its file under seal."""
    return [task["artifact"], *([sealed_name(task["sha256"])] if task["sealed"] else [])]


def places(source: Path, task: Mapping[str, str]) -> tuple[Path, Path | None]:
    """Where a task's samples lie in a back-up, and its file under seal."""
    place, *sealed = (source / "artifacts" / name for name in artifacts_of(task))
    return place, (sealed[0] if sealed else None)


def needed(source: Path, broken: set[int]) -> list[str]:
    """The artifacts of the runs that are restored."""
    rows = without(rows_of(source, schema.tasks.table), schema.tasks.table, broken)
    return sorted({name for row in rows for name in artifacts_of(row)})


def without(rows: Iterable[JsonObject], table: Table, broken: set[int]) -> Iterator[JsonObject]:
    """The rows of a table that are not of some runs."""
    column = {"runs": "seq", "tasks": "run", "metrics": "run"}.get(table.name)
    return (row for row in rows if column is None or row[column] not in broken)


def pieces(rows: Iterator[JsonObject]) -> Iterator[list[JsonObject]]:
    """Rows, some at a time."""
    while piece := list(islice(rows, ROWS)):
        yield piece


def count_on(connection: Connection, table: Table) -> None:
    """Let PostgreSQL count on from the numbers that were restored; SQLite does so by itself."""
    for column in table.columns:
        if column.autoincrement is True and connection.dialect.name == "postgresql":
            most = connection.execute(select(func.max(column))).scalar()
            if most:
                sequence = func.pg_get_serial_sequence(table.name, column.name)
                connection.execute(select(func.setval(sequence, most)))
