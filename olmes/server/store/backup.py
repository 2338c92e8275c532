"""Saving a store: everything is read again, and what is damaged is named and left behind."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, select, text

from olmes.errors import OlmesError
from olmes.server.settings import Settings
from olmes.server.store import schema
from olmes.server.store.artifacts import Artifacts, sealed_name
from olmes.server.store.backup_format import (
    FILE,
    UNFINISHED,
    VERSION,
    BackupFacts,
    kept_tables,
    table_file,
)
from olmes.server.store.database import now
from olmes.server.store.private import private_folder, umask_in
from olmes.server.store.restore import restore_backup as restore_backup
from olmes.server.store.store import Store
from olmes.server.store.verified import Row, ledger_trouble, record_trouble, samples_trouble
from olmes.tools import jsonl
from olmes.tools.durable_files import (
    atomic_writer,
    make_folder,
    remove_unfinished,
    sync_folder,
    write_atomically,
)
from olmes.tools.hashing import file_sha256
from olmes.tools.places import FULL, MACHINE

Tell = Callable[[str, str], None]
"""Called with what is damaged (`run NAME`, `ledger HASH`) and why."""


def tell_nobody(what: str, why: str) -> None:
    """Say nothing."""


def make_backup(settings: Settings, target: Path, tell: Tell = tell_nobody) -> dict[str, int]:
    """Write a back-up of a store that may be in use.

    Args:
        settings: of the store.
        target: a new or empty folder, or one in which a back-up was begun and killed.
        tell: called for everything that is damaged; the rest is saved all the same.

    Returns:
        Rows by table, and `artifacts`.

    Raises:
        OlmesError: the folder is not empty.
    """
    begin(target)
    store = Store(settings)
    store.database.migrate()
    mode = 0o666 & ~umask_in(target)
    with store.database.reading() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        revision = connection.execute(text(VERSION)).scalar_one()
        counts = write_tables(connection, target, mode)
        tasks_by_run = tasks_of(connection)
        broken = broken_records(connection, tasks_by_run)
        ledgers = broken_ledgers(connection)
    saved = SavedArtifacts(store.artifacts, target / "artifacts", mode)
    for run, tasks in tasks_by_run.items():
        if run not in broken and (why := saved.add(tasks)):
            broken[run] = why
    names = {name for run in set(tasks_by_run) - set(broken) for name in named(tasks_by_run[run])}
    facts = BackupFacts(
        time=now(),
        schema=revision,
        tables={one.name: file_sha256(table_file(target, one.name)) for one in kept_tables()},
        artifacts=saved.only(names),
        rows=counts,
        broken=broken,
    )
    write_atomically(target / FILE, jsonl.dumps(msgspec.to_builtins(facts)) + "\n", mode)
    (target / UNFINISHED).unlink(missing_ok=True)
    sync_folder(target)
    store.database.close()
    for run, why in broken.items():
        tell(f"run {run}", why)
    for chain, why in ledgers.items():
        tell(f"ledger {chain[:12]}", why)
    return counts | {"artifacts": len(facts.artifacts)}


def begin(target: Path) -> None:
    """Make the folder of a back-up, or clear the one of which one was begun that never ended.

    Raises:
        OlmesError: something else is in it.
    """
    private_folder(target)
    for name in (UNFINISHED, FILE):  # killed while one of them was written
        remove_unfinished(target / name)
    if (target / UNFINISHED).is_file() and not (target / FILE).exists():
        for name in ("tables", "artifacts"):
            if (target / name).exists():
                shutil.rmtree(target / name)
        (target / UNFINISHED).unlink()
    if any(target.iterdir()):
        raise OlmesError(f"{target} is not empty; name a new folder for the back-up.")
    mask = umask_in(target)
    write_atomically(target / UNFINISHED, "", 0o666 & ~mask)
    for name in ("tables", "artifacts"):
        make_folder(target / name, 0o777 & ~mask)


def write_tables(connection: Connection, target: Path, mode: int) -> dict[str, int]:
    """Write every table's rows; how many each has."""
    counts = {}
    for table in kept_tables():
        counts[table.name] = 0
        with atomic_writer(table_file(target, table.name), mode) as file:
            for row in connection.execute(select(table)).yield_per(100):
                file.write(jsonl.line_of(dict(row._mapping)))
                counts[table.name] += 1
    return counts


def tasks_of(connection: Connection) -> dict[str, list[Row]]:
    """The rows of every run's tasks, each with its primary `metric`, by the run's name."""
    found: dict[str, list[Row]] = {
        name: [] for name in connection.execute(select(schema.runs.id)).scalars()
    }
    metric, task = schema.metrics, schema.tasks
    primary = (metric.run == task.run) & (metric.task == task.task) & metric.is_primary
    query = (
        select(schema.runs.id, task.table, metric.metric)
        .join(schema.runs.table, schema.runs.seq == task.run)
        .outerjoin(metric.table, primary)
    )
    for row in connection.execute(query):
        found[row.id].append(dict(row._mapping))
    return found


def broken_records(connection: Connection, tasks_by_run: Mapping[str, list[Row]]) -> dict[str, str]:
    """The runs whose rows are not those that came, and why."""
    broken = {}
    for run in connection.execute(select(schema.runs.table)).yield_per(10):
        row = dict(run._mapping)
        if why := record_trouble(row, tasks_by_run[row["id"]]):
            broken[row["id"]] = why
    return broken


def broken_ledgers(connection: Connection) -> dict[str, str]:
    """What is wrong with ledgers, by the hash of each one's first line."""
    ledger = schema.ledger
    query = select(ledger.table).order_by(ledger.chain, ledger.number)
    return ledger_trouble(dict(row._mapping) for row in connection.execute(query))


def named(tasks: Iterable[Row]) -> set[str]:
    """The artifacts that the tasks of a run name, with the sealed files of opened ones."""
    return {name for task in tasks for name in (task["artifact"], sealed_of(task)) if name}


def sealed_of(task: Row) -> str:
    """The artifact of a task's file under seal; '' where it has none."""
    return sealed_name(task["sha256"]) if task["sealed"] else ""


class SavedArtifacts:
    """The artifacts of a back-up: copied, and the copy read and held against its task."""

    def __init__(self, artifacts: Artifacts, folder: Path, mode: int) -> None:
        self.artifacts, self.folder, self.mode = artifacts, folder, mode
        self.hashes: dict[str, str] = {}
        self.said: dict[tuple[Any, ...], str] = {}

    def add(self, tasks: Iterable[Row]) -> str:
        """Copy what a run's tasks name; why that is not what came, '' where it is."""
        for task in tasks:
            key = tuple(task[name] for name in ("artifact", "sha256", "rows", "sealed", "opened"))
            if key not in self.said:
                self.said[key] = self.copied(task)
            if said := self.said[key]:
                return f"the samples of {task['task']}: {said}"
        return ""

    def copied(self, task: Row) -> str:
        """Copy what a task names; why that is not what came, '' where it is."""
        sealed = sealed_of(task)
        for name in sorted(named([task]) - set(self.hashes)):
            try:
                with atomic_writer(self.folder / name, self.mode) as file:
                    self.artifacts.copy_out(name, file)
            except FileNotFoundError:
                return f"they are missing in {self.artifacts.root} (--artifacts)"
            except OSError as error:
                if error.errno in {*FULL, *MACHINE} or str(error.filename).startswith(
                    str(self.folder)
                ):
                    raise
                return f"they cannot be read ({error.strerror or error})"
            self.hashes[name] = file_sha256(self.folder / name)
        place = self.folder / task["artifact"]
        under_seal = self.folder / sealed if sealed else None
        return samples_trouble(task, task["metric"] or "", place, under_seal)

    def only(self, names: Iterable[str]) -> dict[str, str]:
        """Remove what no whole run names; the hashes of what is left."""
        kept = set(names)
        for name in set(self.hashes) - kept:
            (self.folder / name).unlink()
        sync_folder(self.folder)
        return {name: self.hashes[name] for name in sorted(kept)}
