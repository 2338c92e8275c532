"""A store of every released schema, brought to the newest by starts that are killed on their way."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import MetaData, text

from olmes.errors import OlmesError
from olmes.server.access.tokens import create_token, find_token
from olmes.server.settings import Settings
from olmes.server.store import schema
from olmes.server.store.backup import make_backup, restore_backup
from olmes.server.store.database import Database
from olmes.server.store.restore import count_on
from olmes.server.store.store import RunFilter, Store
from olmes.server.store.upgrade import copy_beside
from tests.olmes.server.taken_in import add
from tests.olmes.server.test_server_store import fill, frozen_rows, revisions

KILLED = """
import os, signal, sys
from pathlib import Path
from sqlalchemy import event
import alembic.command, olmes.server.store.backup
from olmes.server.store import schema
from olmes.server.store.database import Database
from olmes.server.store.restore import count_on
from olmes.server.store.migrations.versions import schema_0001  # imported before the forks

store, first, step = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])

def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def migrate(at):
    database = Database(store)
    done = 0
    def count(*_):
        nonlocal done
        if done == at:
            kill()
        done += 1
    # Between any two statements, before the transaction is over, and while the copy gets its name.
    event.listen(database.engine, "before_cursor_execute", count)
    event.listen(database.engine, "commit", count)
    rename = Path.replace
    def replace(self, target):
        count()
        return rename(self, target)
    Path.replace = replace
    database.migrate()
    database.close()
    os._exit(0)

for at in range(first, 10_000, step):
    child = os.fork()
    if not child:
        try:
            migrate(at)
        finally:
            os._exit(3)
    status = os.waitpid(child, 0)[1]
    print(at, status, flush=True)
    if status == 0 or sys.stdin.readline() != "on\\n":
        break
"""


def rows_of(database: Database) -> dict[str, list[Any]]:
    """Every row of every table, and the schema's columns."""
    there = MetaData()
    there.reflect(database.engine)
    found: dict[str, list[Any]] = {}
    with database.reading() as connection:
        for table in there.sorted_tables:
            rows = sorted(map(str, connection.execute(table.select()).all()))
            found[table.name] = [[column.name for column in table.columns], *rows]
    return found


def first_of(store: str, revision: str) -> None:
    database = Database(store)
    database.migrate(revision)
    fill(database, frozen_rows(revision))
    database.close()


def state(store: str) -> dict[str, list[Any]]:
    database = Database(store)
    found = rows_of(database)
    database.close()
    return found


@pytest.mark.parametrize(
    ("store", "revision", "step"),
    [
        ("sqlite", revisions()[0], 12),
        *(
            pytest.param(kind, revision, 1, marks=pytest.mark.slow)
            for kind in ("sqlite", "postgresql")
            for revision in revisions()[:-1]
        ),
    ],
    indirect=["store"],
)
def test_a_killed_upgrade_leaves_the_store_as_it_was_and_the_next_start_finishes_it(
    store: str, tmp_path: Path, revision: str, step: int
) -> None:
    first_of(store, revision)
    before = state(store)
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, store, str(step - 1), str(step)], text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    kills = 0
    for line in process.stdout:
        _, ended = map(int, line.split())
        if ended == 0:
            break
        assert os.waitstatus_to_exitcode(ended) == -9
        kills += 1
        now = state(store)
        if now != before:  # killed after the transaction was over
            assert now["alembic_version"][1:] == [str((revisions()[-1],))]
        process.stdin.write("on\n")
        process.stdin.flush()
    assert process.wait(60) == 0
    assert kills > 1
    database = Database(store)
    database.migrate()
    database.close()
    other = str(tmp_path / "undisturbed")
    first_of(other, revision)
    undisturbed = Database(other)
    undisturbed.migrate()
    assert {name: rows[1:] for name, rows in state(store).items()} == {
        name: rows[1:] for name, rows in rows_of(undisturbed).items()
    }
    undisturbed.close()
    opened = Store(Settings(store=store, work=str(tmp_path / "work")))
    assert len(opened.find_runs(RunFilter(), limit=9, before=None, by="arrived")) == 2
    opened.database.close()


@pytest.mark.parametrize("revision", revisions())
def test_the_store_as_it_was_lies_beside_the_one_that_was_changed(
    tmp_path: Path, revision: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "store"
    first_of(str(folder), revision)
    before = state(str(folder))
    folder.chmod(0o750)
    (folder / "olmes.db").chmod(0o640)
    database = Database(str(folder))
    database.migrate()
    database.migrate()
    database.close()
    copy = folder / f"olmes-schema-{revision}.db"
    if revision == revisions()[-1]:
        assert not copy.exists()
        return
    assert stat.S_IMODE(copy.stat().st_mode) == 0o640
    assert sorted(path.name for path in folder.glob("olmes-*")) == [copy.name]
    assert caplog.text.count(str(copy)) == 1
    # The way back: the copy in the place of the store, for the olmes that was before.
    back = tmp_path / "back"
    back.mkdir()
    copy.rename(back / "olmes.db")
    assert state(str(back)) == before


def test_nothing_is_copied_of_a_store_without_data(store: str, tmp_path: Path) -> None:
    database = Database(store)
    database.migrate("0001")
    database.migrate()
    database.close()
    assert list(tmp_path.glob("store/*schema*")) == []


def test_a_copy_that_finds_no_room_changes_nothing(tmp_path: Path) -> None:
    """A folder under the copy's name stands for whatever keeps it from its place, for root too."""
    folder = tmp_path / "store"
    first_of(str(folder), "0001")
    before = state(str(folder))
    taken = folder / "olmes-schema-0001.db"
    taken.mkdir()
    (taken / "file").touch()
    database = Database(str(folder))
    with pytest.raises(OlmesError, match="cannot be used"):
        database.migrate()
    assert state(str(folder)) == before
    assert list(folder.glob("*.writing")) == []
    (taken / "file").unlink()
    taken.rmdir()
    database.migrate()
    database.close()


def test_a_copy_holds_what_is_in_the_log_alone(tmp_path: Path) -> None:
    """The newest commits of SQLite lie in its write-ahead log until somebody moves them."""
    database = Database(str(tmp_path / "store"))
    database.migrate()
    token = create_token(database, "ann", "read")
    copy = copy_beside(tmp_path / "store/olmes.db", "x")
    alone = tmp_path / "alone"
    alone.mkdir()
    copy.rename(alone / "olmes.db")
    other = Database(str(alone))
    assert find_token(other, token) is not None
    for one in (database, other):
        one.close()


def test_a_record_that_nobody_can_read_keeps_no_other_from_its_upgrade(store: str) -> None:
    database = Database(store)
    database.migrate("0001")
    rows = frozen_rows("0001")
    runs = [row["row"] for row in rows if row["table"] == "runs"]
    for row, odd in zip(runs, ("[" * 100_000, '{"schema": 1, "tasks": 5}'), strict=True):
        row["data"] = odd
    fill(database, rows)
    database.migrate()
    with database.reading() as connection:
        kept = connection.execute(text("SELECT count(*) FROM runs")).scalar()
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    assert (kept, found) == (2, revisions()[-1])
    database.close()


@pytest.mark.slow
@pytest.mark.parametrize("revision", revisions())
def test_a_back_up_of_the_upgraded_store_is_whole(
    store: str, tmp_path: Path, revision: str, real_run: Path
) -> None:
    """Samples of the frozen rows are not frozen with them: those runs are named, the rest is saved."""
    first_of(store, revision)
    settings = Settings(store=store, work=str(tmp_path / "work"))
    upgraded = Store(settings)
    upgraded.database.migrate()
    frozen = {row.id for row in upgraded.find_runs(RunFilter(), limit=9, before=None, by="arrived")}
    with upgraded.database.writing() as connection:
        for table in (schema.runs.table, schema.audit.table):
            count_on(connection, table)  # frozen rows brought their numbers along
    assert add(upgraded, real_run)
    upgraded.database.close()
    damaged: list[str] = []
    make_backup(settings, tmp_path / "backup", lambda what, _: damaged.append(what))
    assert set(damaged) == {f"run {name}" for name in frozen}
    other = Settings(store=str(tmp_path / "restored"))
    restore_backup(other, tmp_path / "backup")
    restored, there = state(other.store), state(store)
    for name in ("ledger", "tokens"):
        assert restored[name][1:] == there[name][1:], name
    [run] = restored["runs"][1:]
    assert run in there["runs"]
    for name in ("metrics", "tasks"):
        assert restored[name][1:]
        assert all(row in there[name] for row in restored[name][1:]), name
