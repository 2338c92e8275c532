"""The store's schema from every release on, its artifacts, and back-ups, on both databases."""

from __future__ import annotations

import copy
import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import NoneType
from typing import get_args, get_type_hints

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, text

from olmes import OlmesError
from olmes.records.check import run_record
from olmes.records.schema import SCHEMA
from olmes.server.access.audit import LOCAL
from olmes.server.access.tokens import create_token, list_tokens
from olmes.server.intake.checks import checked_record
from olmes.server.pages.server_pages import headline
from olmes.server.settings import Limits, Settings
from olmes.server.store import schema
from olmes.server.store.artifacts import Artifacts
from olmes.server.store.backup import make_backup, restore_backup
from olmes.server.store.damage import DamagedStoreError, refusing_damage
from olmes.server.store.database import Database, store_url
from olmes.server.store.store import RunFilter, Store
from olmes.types import JsonObject
from tests.olmes.server.taken_in import add

FILES = Path(__file__).parent / "files"


def revisions() -> list[str]:
    script = ScriptDirectory.from_config(Database("unused").alembic())
    return [found.revision for found in reversed(list(script.walk_revisions()))]


def frozen_rows(revision: str) -> list[JsonObject]:
    """The rows of a back-up that the first olmes of a schema made, each with its table."""
    lines = (FILES / f"schema_{revision}.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def fill(database: Database, rows: list[JsonObject]) -> None:
    """Put rows into the tables that a database has now."""
    released = MetaData()
    released.reflect(database.engine)
    with database.writing() as connection:
        connection.execute(released.tables["state"].delete())
        for table in released.sorted_tables:
            if own := [row["row"] for row in rows if row["table"] == table.name]:
                connection.execute(table.insert(), own)


def test_the_migrations_make_the_tables_of_the_schema(store: str) -> None:
    database = Database(store)
    database.migrate()
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.metadata) == []
    database.migrate()  # a second time changes nothing
    database.close()


def test_a_column_is_annotated_with_none_where_it_can_be_null() -> None:
    """mypy reads the annotation, the database `nullable`; nothing else holds the two together."""
    kinds = [one for one in vars(schema).values() if isinstance(one, schema.Columns)]
    assert {one.table.name for one in kinds} == set(schema.metadata.tables)
    for one in kinds:
        hints = get_type_hints(type(one))
        annotated = {
            name for name, kind in hints.items() if NoneType in get_args(get_args(kind)[0])
        }
        assert annotated == {column.name for column in one.table.columns if column.nullable}


@pytest.mark.parametrize("revision", revisions())
def test_a_store_of_every_released_schema_is_brought_to_the_newest(
    store: str, tmp_path: Path, revision: str
) -> None:
    """`schema_N.jsonl` are the tables of a back-up that the first olmes of schema N made.

    An open run, one under seal, a token and a revoked one. A new migration comes with such a file.
    """
    database = Database(store)
    database.migrate(revision)
    rows = frozen_rows(revision)
    fill(database, rows)
    database.migrate()
    with database.reading() as connection:
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    assert found == revisions()[-1]
    assert [one.name for one in list_tokens(database)] == ["ann", "bob"]
    database.close()
    opened = Store(Settings(store=store, work=str(tmp_path / "work")))
    kept = {row["row"]["id"]: row["row"] for row in rows if row["table"] == "runs"}
    listed = opened.find_runs(RunFilter(), limit=9, before=None, by="arrived")
    assert {run.id: run.content_hash for run in listed} == {
        name: run["content_hash"] for name, run in kept.items()
    }
    for name, run in kept.items():
        assert opened.run_text(name) == run["data"]  # to the byte
        checked_record(json.loads(run["data"]))  # a record that was taken once stays one
        [task] = opened.task_rows(name)
        assert (task.rows, task.sealed) == (3, run["held_out"])
    assert [entry["event"] for entry in opened.ledger_entries()] == ["run", "result"]
    assert len(opened.slim_records(RunFilter(held_out=True))) == 1
    opened.database.close()


def counting_words(rows: list[JsonObject]) -> list[JsonObject]:
    """The first run there once more: on demo data, by a number of which less is better."""
    copies = copy.deepcopy(
        [row for row in rows if row["row"].get("run", row["row"].get("seq")) == 1]
    )
    copies = [row for row in copies if row["table"] in ("runs", "tasks", "metrics")]
    for row in (one["row"] for one in copies):
        row["seq" if "seq" in row else "run"] = 3
        if row.get("metric") == "exact_match":
            row |= {"value": 466.7, "ci_low": 323.2, "ci_high": 610.1}
        if "origin" in row:
            row["origin"] = "sample"
        if "slim" in row:
            row |= {"id": "words", "content_hash": "c" * 64, "sample_data": True}
            for text in ("data", "slim"):
                data = json.loads(row[text]) | {"id": "words"}
                task = data["tasks"]["echo"]
                task["data"]["origin"] = "sample"
                task["metrics"]["exact_match"] |= {
                    "value": 466.7, "ci_low": 323.2, "ci_high": 610.1, "higher_is_better": False,
                }  # fmt: skip
                row[text] = json.dumps(data)
    return copies


def test_runs_of_the_first_schema_show_the_same_numbers_and_say_their_units(
    store: str, tmp_path: Path
) -> None:
    database = Database(store)
    database.migrate("0001")
    rows = frozen_rows("0001")
    rows += counting_words(rows)
    fill(database, rows)
    database.migrate()
    database.close()
    opened = Store(Settings(store=store, work=str(tmp_path / "work")))
    listed = opened.find_runs(RunFilter(), limit=9, before=None, by="arrived")
    numbers = opened.primaries([run.seq for run in listed])
    assert {
        run.id: (run.demo_data, headline(run, numbers[run.seq]).score, run.suite) for run in listed
    } == {
        "words": (True, "466.7", ""),
        "rec.jsonl-exam-a1b24ad5": (False, "100.0", "exam"),
        "rec.jsonl-echo-a8583903": (False, "100.0", ""),
    }
    words = opened.primary_of("words", "echo")
    assert (words.unit, words.higher_is_better, words.ci_low) == ("number", False, 323.2)
    share = opened.primary_of("rec.jsonl-echo-a8583903", "echo")
    assert (share.unit, share.higher_is_better, share.value) == ("share", True, 1.0)
    assert {(run.standard, run.limited, run.items, run.samples) for run in listed} == {
        (True, "", 3, 3)
    }
    assert {found["echo"]["items"] for found in numbers.values()} == {3}
    old = {row["row"]["run"]: row["row"] for row in rows if row["table"] == "tasks"}
    for one in opened.slim_runs():
        whole = run_record(json.loads(opened.run_text(one.run.id)))
        [task] = opened.task_rows(one.run.id)
        # Hashed anew without the names of the metrics, as runs of today are.
        assert task.formulation_hash == whole.tasks["echo"].formulation_hash
        assert task.formulation_hash != old[one.seq]["formulation_hash"]
        assert task.origin == whole.tasks["echo"].data.origin
        assert (one.run.schema, one.run.suite, one.run.held_out) == (
            SCHEMA, whole.suite, whole.held_out,
        )  # fmt: skip
        assert one.run.tasks["echo"].metrics == whole.tasks["echo"].metrics
    opened.database.close()


def test_a_store_of_a_newer_olmes_is_left_alone(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "store"))
    database.migrate()
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(OlmesError, match="made by another olmes"):
        database.migrate()
    database.close()


@pytest.mark.parametrize("store", ["mysql://x/y", "postgres ://x", "://"])
def test_other_databases_are_refused(store: str) -> None:
    with pytest.raises(OlmesError):
        store_url(store)


def test_a_backup_restores_everything_to_either_database(
    store: str, tmp_path: Path, copy_run: Callable[..., Path], sealed_run: Path
) -> None:
    settings = Settings(store=store, work=str(tmp_path / "work"))
    first = Store(settings)
    first.database.migrate()
    add(first, copy_run("saved"))
    add(first, sealed_run)
    create_token(first.database, "ann", "admin")
    saved = make_backup(settings, tmp_path / "backup")
    assert (saved["runs"], saved["artifacts"], saved["tokens"]) == (2, 2, 1)
    with pytest.raises(OlmesError, match="is not empty"):
        make_backup(settings, tmp_path / "backup")
    with pytest.raises(OlmesError, match=r"is not empty \(.*restore into a new store"):
        restore_backup(settings, tmp_path / "backup")

    other = Settings(store=str(tmp_path / "other"))
    restore_backup(other, tmp_path / "backup")
    second = Store(other)
    everything = RunFilter()
    for store_ in (first, second):
        assert len(store_.find_runs(everything, limit=9, before=None, by="arrived")) == 2
    for run in ("saved", sealed_run.name):
        assert second.run_row(run) == first.run_row(run)
        assert second.run_text(run) == first.run_text(run)
        assert second.task_rows(run) == first.task_rows(run)
    lines = list(second.artifacts.lines(second.samples_of("saved", "echo").artifact))
    assert (
        b"".join(line + b"\n" for line in lines)
        == (tmp_path / "copies/saved/samples/echo.jsonl").read_bytes()
    )
    assert second.ledger_entries() == first.ledger_entries()
    add(second, copy_run("after"))
    assert second.run_row("after").seq > second.run_row("saved").seq
    for one in (first, second):
        one.database.close()


def test_a_changed_backup_is_not_restored(tmp_path: Path, copy_run: Callable[..., Path]) -> None:
    settings = Settings(store=str(tmp_path / "store"))
    store = Store(settings)
    store.database.migrate()
    add(store, copy_run("saved"))
    make_backup(settings, tmp_path / "backup")
    table = tmp_path / "backup/tables/runs.jsonl"
    table.write_text(table.read_text().replace("saved", "other"))
    target = Settings(store=str(tmp_path / "new"))
    with pytest.raises(OlmesError, match="missing or was changed"):
        restore_backup(target, tmp_path / "backup")
    (tmp_path / "backup/backup.json").unlink()
    with pytest.raises(OlmesError, match="is not a whole back-up"):
        restore_backup(target, tmp_path / "backup")


def test_a_sqlite_store_moves_to_postgresql(
    postgresql: Callable[[], str], tmp_path: Path, copy_run: Callable[..., Path]
) -> None:
    settings = Settings(store=str(tmp_path / "store"))
    store = Store(settings)
    store.database.migrate()
    add(store, copy_run("moved"))
    make_backup(settings, tmp_path / "backup")
    target = Settings(store=postgresql(), work=str(tmp_path / "new"))
    restore_backup(target, tmp_path / "backup")
    moved = Store(target)
    assert moved.run_row("moved") == store.run_row("moved")
    add(moved, copy_run("next"))
    assert moved.run_row("next").seq == moved.run_row("moved").seq + 1
    moved.database.close()


@pytest.mark.parametrize("place", ["folder", "memory://artifacts"])
def test_artifacts_lie_in_a_folder_or_at_an_fsspec_url(tmp_path: Path, place: str) -> None:
    artifacts = Artifacts(str(tmp_path / place) if place == "folder" else place)
    texts = ["plain", "line\u2028separator", "lone \\ud800 surrogate", "ünïcode", ""]
    rows = [
        {"doc_id": n, "doc_hash": "ab", "values": {"m": n / 4}, "flags": [], "note": text}
        for n, text in enumerate(texts)
    ]
    lines = [json.dumps(row, ensure_ascii=n % 2 == 0).encode() for n, row in enumerate(rows)]
    kept = artifacts.keep(lines, "samples/x.jsonl", "m")
    assert kept.rows == 5
    assert list(artifacts.lines(kept.artifact)) == lines
    assert artifacts.keep(lines, "samples/x.jsonl", "m") == kept
    assert not [n for n in artifacts.files.ls(artifacts.root, detail=False) if "incoming" in n]


def test_samples_that_no_run_names_are_swept_once_they_are_old(
    store: str, tmp_path: Path, copy_run: Callable[..., Path], sealed_run: Path
) -> None:
    settings = Settings(store=store, work=str(tmp_path / "work"), limits=Limits(artifact_age=3600))
    opened = Store(settings)
    opened.database.migrate()
    for folder in (copy_run("kept"), copy_run("gone", right=3), sealed_run):
        add(opened, folder)
    place = Path(settings.artifacts_place)
    (place / "incoming-of-a-killed-process").touch()
    opened.remove("gone", LOCAL)
    before = {path.name for path in place.rglob("*") if path.is_file()}
    assert len(before) == 4
    assert opened.sweep() == 0  # it may be of a run about to be added
    for path in place.rglob("*"):
        os.utime(path, (1, 1))
    assert opened.sweep() == 2
    after = {path.name for path in place.rglob("*") if path.is_file()}
    assert after == opened.artifact_names()
    assert len(list(opened.artifacts.lines(opened.samples_of("kept", "echo").artifact))) == 12
    opened.database.close()


def test_an_artifact_is_compressed(tmp_path: Path, copy_run: Callable[..., Path]) -> None:
    folder = copy_run("large", rows=5000, right=100)
    path = folder / "samples/echo.jsonl"
    artifacts = Artifacts(str(tmp_path / "a"))
    kept = artifacts.keep(path.read_bytes().splitlines(), "x", "exact_match")
    assert artifacts.files.size(artifacts.path(kept.artifact)) < path.stat().st_size / 8


def test_no_message_shows_a_password() -> None:
    database = Database("postgresql+psycopg://olmes:SECRET@db/olmes?sslpassword=SECRET")
    with pytest.raises(DamagedStoreError) as damaged, refusing_damage(database.place):
        raise sqlite_damage()
    with pytest.raises(OlmesError) as away:
        Artifacts("nowhere://olmes:SECRET@host/samples")
    for error in (damaged, away):
        assert "SECRET" not in str(error.value)
    assert str(away.value).startswith("nowhere://host/samples cannot hold samples")


def sqlite_damage() -> sqlite3.DatabaseError:
    """What SQLite raises where a file is no database."""
    connection = sqlite3.connect(":memory:")
    try:
        connection.deserialize(b"no database " * 100)
        connection.execute("SELECT * FROM sqlite_master").fetchall()
    except sqlite3.DatabaseError as error:
        return error
    finally:
        connection.close()
    raise AssertionError("it was read")
