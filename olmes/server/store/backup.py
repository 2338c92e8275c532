"""Back-up and restore: a store as a folder of plain files, the same for every database.

`backup.json` (schema and hashes), `tables/<table>.jsonl`, `artifacts/<name>`. The tables are one state
of the database; artifacts are never changed, so those it names are copied after. A back-up of a store
on SQLite can be restored to PostgreSQL, and the other way round.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

from sqlalchemy import Connection, Table, delete, func, insert, select, text
from sqlalchemy.exc import SQLAlchemyError

from olmes.errors import OlmesError
from olmes.server.access.audit import LOCAL, write_audit
from olmes.server.settings import Settings
from olmes.server.store import schema
from olmes.server.store.artifacts import sealed_name
from olmes.server.store.database import now
from olmes.server.store.store import Store
from olmes.tools import jsonl
from olmes.tools.hashing import file_sha256
from olmes.types import JsonObject

FILE = "backup.json"
VERSION = "SELECT version_num FROM alembic_version"
LEFT_OUT = ("uploads",)
"""What is under way is begun again by its clients."""
ROWS = 500
"""Rows written at a time."""


class BackupFacts(TypedDict):
    """`backup.json`."""

    time: str
    schema: str
    """Revision of the database's schema."""
    tables: dict[str, str]
    """SHA-256 by table."""
    artifacts: dict[str, str]
    """SHA-256 by artifact."""


def kept_tables() -> list[Table]:
    """The tables of a back-up, those that others refer to first."""
    return [table for table in schema.metadata.sorted_tables if table.name not in LEFT_OUT]


def make_backup(settings: Settings, target: Path) -> dict[str, int]:
    """Write a back-up of a store that may be in use.

    Returns:
        Rows by table, and `artifacts`.

    Raises:
        OlmesError: the folder is not empty, or an artifact is not there.
    """
    if target.exists() and any(target.iterdir()):
        raise OlmesError(f"{target} is not empty; name a new folder for the back-up.")
    store = Store(settings)
    store.database.migrate()
    (target / "tables").mkdir(parents=True, exist_ok=True)
    counts: dict[str, int] = {}
    with store.database.reading() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        revision = connection.execute(text(VERSION)).scalar_one()
        for table in kept_tables():
            counts[table.name] = 0
            with (target / "tables" / f"{table.name}.jsonl").open("w", encoding="utf-8") as file:
                for row in connection.execute(select(table)).yield_per(100):
                    file.write(jsonl.dumps(dict(row._mapping)) + "\n")
                    counts[table.name] += 1
        tasks = schema.tasks
        named = set(connection.execute(select(tasks.artifact)).scalars())
        sealed = select(tasks.sha256).where(tasks.sealed)
        named |= {sealed_name(sha) for sha in connection.execute(sealed).scalars()}
    hashes = {}
    for artifact in sorted(named):
        place = target / "artifacts" / artifact
        try:
            store.artifacts.copy_out(artifact, place)
        except FileNotFoundError:
            raise OlmesError(
                f"the samples {artifact} are not in {settings.artifacts_place}; check --artifacts."
            ) from None
        hashes[artifact] = file_sha256(place)
    tables = {
        table.name: file_sha256(target / "tables" / f"{table.name}.jsonl")
        for table in kept_tables()
    }
    facts: BackupFacts = {"time": now(), "schema": revision, "tables": tables, "artifacts": hashes}
    # Written last: a folder without it is not a back-up.
    jsonl.write_atomically(target / FILE, jsonl.dumps(facts) + "\n")
    store.database.close()
    return counts | {"artifacts": len(hashes)}


def restore_backup(settings: Settings, source: Path) -> dict[str, int]:
    """Fill an empty store from a back-up.

    Returns:
        Rows by table, and `artifacts`.

    Raises:
        OlmesError: it is not a whole back-up, or the store holds something.
    """
    facts = read_facts(source)
    store = Store(settings)
    store.database.migrate()
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
    if revision != facts["schema"]:
        raise OlmesError(
            f"{source} has schema {facts['schema']}, this olmes has {revision}; restore it with the "
            "olmes that made it, then update."
        )
    for artifact in facts["artifacts"]:
        store.artifacts.copy_in(source / "artifacts" / artifact, artifact)
    counts = {}
    try:
        with store.database.publishing() as connection:
            connection.execute(delete(schema.state.table))
            for table in kept_tables():
                counts[table.name] = 0
                for rows in pieces(source / "tables" / f"{table.name}.jsonl"):
                    connection.execute(insert(table), rows)
                    counts[table.name] += len(rows)
                count_on(connection, table)
            write_audit(connection, LOCAL, "store restored", source.name, facts["time"])
    except SQLAlchemyError as error:
        raise OlmesError(f"{source} cannot be restored ({error.__class__.__name__}).") from error
    store.database.close()
    return counts | {"artifacts": len(facts["artifacts"])}


def read_facts(source: Path) -> BackupFacts:
    """`backup.json`, with every file held against it.

    Raises:
        OlmesError: a file is missing or is not as it was written.
    """
    try:
        facts: BackupFacts = json.loads((source / FILE).read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        raise OlmesError(f"{source} is not a whole back-up: it has no {FILE}.") from None
    files = {f"tables/{name}.jsonl": sha for name, sha in facts["tables"].items()}
    files |= {f"artifacts/{name}": sha for name, sha in facts["artifacts"].items()}
    for name, sha in files.items():
        path = source / name
        if not path.is_file() or file_sha256(path) != sha:
            raise OlmesError(f"{path} is missing or was changed; take another back-up.")
    return facts


def pieces(path: Path) -> Iterator[list[JsonObject]]:
    """The rows of a table's file, some at a time."""
    rows = []
    with path.open(encoding="utf-8") as file:
        for line in file:
            rows.append(json.loads(line))
            if len(rows) == ROWS:
                yield rows
                rows = []
    if rows:
        yield rows


def count_on(connection: Connection, table: Table) -> None:
    """Let PostgreSQL count on from the numbers that were restored; SQLite does so by itself."""
    for column in table.columns:
        if column.autoincrement is True and connection.dialect.name == "postgresql":
            most = connection.execute(select(func.max(column))).scalar()
            if most:
                sequence = func.pg_get_serial_sequence(table.name, column.name)
                connection.execute(select(func.setval(sequence, most)))
