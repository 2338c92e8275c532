"""Folders that only look like a back-up: one sentence, and nothing outside the new store."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from olmes import OlmesError
from olmes.server.access.audit import LOCAL
from olmes.server.settings import Settings
from olmes.server.store.backup import make_backup, restore_backup
from olmes.server.store.store import Store
from olmes.tools.hashing import file_sha256
from tests.olmes.server.taken_in import add, names_in


def edited(backup: Path, **changes: Any) -> None:
    """A `backup.json` in which some parts are others."""
    path = backup / "backup.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def with_artifact(name: str) -> Callable[[Path], None]:
    """A back-up that names a file of this name, which is there."""

    def harm(backup: Path) -> None:
        facts = json.loads((backup / "backup.json").read_text())
        file = Path(os.path.normpath(backup / "artifacts" / name))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("owned")
        edited(backup, artifacts=facts["artifacts"] | {name: file_sha256(file)})

    return harm


def as_link(name: str) -> Callable[[Path], None]:
    """A back-up in which a file or folder is a link to one that is elsewhere."""

    def harm(backup: Path) -> None:
        place = backup / name
        if name == "ARTIFACT":
            place = next((backup / "artifacts").iterdir())
        elsewhere = backup.parent / f"elsewhere-{place.name}"
        place.rename(elsewhere)
        place.symlink_to(elsewhere)

    return harm


def as_pipe(backup: Path) -> None:
    """A file that never ends to be opened."""
    place = next((backup / "artifacts").iterdir())
    place.unlink()
    os.mkfifo(place)


def with_row(table: str, **changes: Any) -> Callable[[Path], None]:
    """A back-up whose first row of a table is another, with hashes that fit."""

    def harm(backup: Path) -> None:
        path = backup / "tables" / f"{table}.jsonl"
        first, *rest = path.read_text().splitlines()
        path.write_text("\n".join([json.dumps(json.loads(first) | changes), *rest, ""]))
        facts = json.loads((backup / "backup.json").read_text())
        edited(backup, tables=facts["tables"] | {table: file_sha256(path)})

    return harm


def with_line(line: str) -> Callable[[Path], None]:
    """A back-up with one line more in a table."""

    def harm(backup: Path) -> None:
        path = backup / "tables/audit.jsonl"
        path.write_text(path.read_text() + line + "\n")
        facts = json.loads((backup / "backup.json").read_text())
        edited(backup, tables=facts["tables"] | {"audit": file_sha256(path)})

    return harm


def with_facts(content: str) -> Callable[[Path], None]:
    def harm(backup: Path) -> None:
        (backup / "backup.json").write_text(content, "utf-8")

    return harm


HOSTILE: dict[str, Callable[[Path], None]] = {
    "above": with_artifact("../owned.txt"),
    "far above": with_artifact("../../owned.txt"),
    "no hash": with_artifact("owned.parquet"),
    "longer": with_artifact("a" * 64 + ".parquet.txt"),
    "line end": with_artifact("a" * 64 + ".parquet\n"),
    "in a folder": with_artifact("x/" + "a" * 64 + ".parquet"),
    "absolute": lambda backup: edited(backup, artifacts={"/etc/passwd": "0" * 64}),
    "table above": lambda backup: edited(backup, tables={"../x": "0" * 64}),
    "no tables": lambda backup: edited(backup, tables={}),
    "fewer rows": lambda backup: edited(backup, rows={"runs": 2}),
    "no artifacts": lambda backup: edited(backup, artifacts=None),
    "surrogate": lambda backup: edited(backup, artifacts={"\ud800": "\ud800"}),
    "surrogate time": lambda backup: edited(backup, time="\ud800"),
    "number": lambda backup: edited(backup, schema=10**400),
    "deep": with_facts("[" * 200_000),
    "list": with_facts("[]"),
    "text": with_facts("{"),
    "NaN": with_facts('{"time": NaN}'),
    "empty": with_facts("{}"),
    "linked file": as_link("ARTIFACT"),
    "linked artifacts": as_link("artifacts"),
    "linked tables": as_link("tables"),
    "linked facts": as_link("backup.json"),
    "pipe": as_pipe,
    "wrong type": with_row("audit", seq="one"),
    "null": with_row("audit", who=None),
    "long": with_row("audit", who="x" * 5000),
    "huge": with_row("audit", seq=10**30),
    "lone surrogate": with_row("audit", detail="\ud800"),
    "other column": with_row("audit", more=1),
    "twice": with_row("audit", seq=2),
    "deep row": with_line("[" * 200_000),
    "no row": with_line("5"),
    "not JSON": with_line("{"),
    "no ledger": with_row("ledger", entry="5"),
}


def slow(*values: object) -> Any:
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.fixture(scope="module")
def good_backup(tmp_path_factory: pytest.TempPathFactory, real_run: Path) -> Path:
    """A back-up of a store with one run."""
    folder = tmp_path_factory.mktemp("good")
    store = Store(Settings(store=str(folder / "store")))
    store.database.migrate()
    add(store, real_run)
    store.remove(real_run.name, LOCAL)
    add(store, real_run)
    with store.database.writing() as connection:
        connection.execute(
            text(
                "INSERT INTO ledger (chain, number, hash, previous, brought_by, arrived, event, run,"
                " time, entry) VALUES ('c', 1, 'c', '', '', '', 'run', 'x', 't', '{}')"
            )
        )
    make_backup(store.settings, folder / "backup")
    store.database.close()
    return folder / "backup"


@pytest.mark.parametrize(
    "harm",
    [slow(name) if number % 4 else name for number, name in enumerate(HOSTILE)],
)
def test_a_hostile_backup_leaves_its_folder_nowhere_and_is_one_sentence(
    good_backup: Path, tmp_path: Path, harm: str
) -> None:
    backup = shutil.copytree(good_backup, tmp_path / "in/backup")
    HOSTILE[harm](backup)
    outside = set(tmp_path.rglob("*"))
    new = Settings(store=str(tmp_path / "new/store"))
    with pytest.raises(OlmesError) as told:
        restore_backup(new, backup)
    assert "\n" not in str(told.value)
    str(told.value).encode("utf-8")
    made = set(tmp_path.rglob("*")) - outside
    assert all(path.is_relative_to(tmp_path / "new") for path in made)
    assert not [path for path in made if "owned" in path.name or path.suffix == ".parquet"]
    assert names_in(new) == [] if (tmp_path / "new/store/olmes.db").exists() else True


@pytest.mark.parametrize(
    ("table", "changes"),
    [
        ("runs", {"id": "../../../owned"}),
        ("tasks", {"artifact": "../../../../etc/passwd"}),
        slow("runs", {"id": "x\n"}),
        slow("runs", {"data": "[" * 100_000}),
        slow("runs", {"data": "{}"}),
        slow("runs", {"content_hash": "0" * 64}),
        slow("tasks", {"sha256": "../x"}),
        slow("tasks", {"task": "../x"}),
        slow("tasks", {"rows": 1}),
    ],
)
def test_a_run_of_a_backup_that_is_none_is_left_out(
    good_backup: Path, tmp_path: Path, table: str, changes: dict[str, Any]
) -> None:
    backup = shutil.copytree(good_backup, tmp_path / "backup")
    with_row(table, **changes)(backup)
    told: list[str] = []
    new = Settings(store=str(tmp_path / "new"))
    restore_backup(new, backup, lambda what, why: told.append(what))
    assert [what for what in told if what.startswith("run ")]
    assert names_in(new) == []


def test_an_older_backup_says_less_and_is_restored(good_backup: Path, tmp_path: Path) -> None:
    backup = shutil.copytree(good_backup, tmp_path / "backup")
    facts = json.loads((backup / "backup.json").read_text())
    del facts["rows"], facts["broken"]
    (backup / "backup.json").write_text(json.dumps(facts))
    new = Settings(store=str(tmp_path / "new"))
    assert restore_backup(new, backup)["runs"] == 1
