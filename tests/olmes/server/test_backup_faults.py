"""Back-ups of damaged stores, killed back-ups, and folders that only look like a back-up."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from olmes import OlmesError
from olmes.server.settings import Settings
from olmes.server.store.backup import make_backup, restore_backup
from olmes.server.store.store import Store
from tests.fault_points import in_child
from tests.olmes.server.taken_in import add, names_in


@pytest.fixture
def filled(tmp_path: Path, copy_run: Callable[..., Path], sealed_run: Path) -> Store:
    """A store with three runs: two with samples of their own, and one under seal."""
    store = Store(Settings(store=str(tmp_path / "store")))
    store.database.migrate()
    for folder in (copy_run("one"), copy_run("two", right=3), sealed_run):
        add(store, folder)
    return store


def artifact_of(store: Store, run: str) -> Path:
    return Path(store.artifacts.path(store.task_rows(run)[0].artifact))


def change(store: Store, statement: str) -> None:
    with store.database.writing() as connection:
        connection.execute(text(statement))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def turned(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


HARMS: dict[str, Callable[[Store, str], None]] = {
    "cut": lambda store, run: cut(artifact_of(store, run)),
    "turned": lambda store, run: turned(artifact_of(store, run)),
    "lost": lambda store, run: artifact_of(store, run).unlink(),
    "another's": lambda store, run: (
        artifact_of(store, run).write_bytes(artifact_of(store, "two").read_bytes()),
        None,
    )[1],
    "hash": lambda store, run: change(
        store,
        f"UPDATE tasks SET sha256 = '{'0' * 64}' WHERE run = (SELECT seq FROM runs WHERE id = '{run}')",
    ),
    "record": lambda store, run: change(
        store, f"UPDATE runs SET data = replace(data, 'echo', 'ohce') WHERE id = '{run}'"
    ),
    "rows": lambda store, run: change(
        store, f"UPDATE tasks SET rows = 11 WHERE run = (SELECT seq FROM runs WHERE id = '{run}')"
    ),
    "path": lambda store, run: change(
        store,
        f"UPDATE tasks SET artifact = '../../x' WHERE run = (SELECT seq FROM runs WHERE id = '{run}')",
    ),
}


def test_a_backup_goes_on_past_a_damaged_run_and_names_it(filled: Store, tmp_path: Path) -> None:
    filled.database.close()
    for number, (harm, damage) in enumerate(HARMS.items()):
        copy = shutil.copytree(tmp_path / "store", tmp_path / f"store-{number}")
        store = Store(Settings(store=str(copy)))
        damage(store, "one")
        store.database.close()
        told: dict[str, str] = {}
        backup = tmp_path / f"backup-{number}"
        saved = make_backup(store.settings, backup, told.__setitem__)
        assert list(told) == ["run one"], harm
        assert told["run one"]
        assert (saved["runs"], saved["artifacts"]) == (3, 2)
        again: dict[str, str] = {}
        new = Settings(store=str(tmp_path / f"new-{number}"))
        restored = restore_backup(new, backup, again.__setitem__)
        assert list(again) == ["run one"]
        assert restored["runs"] == 2
        assert "one" not in names_in(new)
        assert len(names_in(new)) == 2


def test_a_damaged_run_under_seal_is_named_and_the_look_is_saved(
    filled: Store, tmp_path: Path, sealed_run: Path
) -> None:
    artifact_of(filled, sealed_run.name).unlink()
    told: dict[str, str] = {}
    make_backup(filled.settings, tmp_path / "backup", told.__setitem__)
    assert list(told) == [f"run {sealed_run.name}"]
    new = Settings(store=str(tmp_path / "new"))
    restore_backup(new, tmp_path / "backup")
    store = Store(new)
    assert names_in(new) == ["one", "two"]
    assert store.ledger_entries() == filled.ledger_entries()
    add(store, sealed_run)
    assert len(names_in(new)) == 3
    store.database.close()


def test_a_ledger_that_does_not_hold_is_told(filled: Store, tmp_path: Path) -> None:
    change(filled, "UPDATE ledger SET entry = replace(entry, 'final', 'finer') WHERE number = 1")
    told: dict[str, str] = {}
    make_backup(filled.settings, tmp_path / "backup", told.__setitem__)
    assert ["line 1 was changed" in why for why in told.values()] == [True]
    assert next(iter(told)).startswith("ledger ")


def invoke(*arguments: str) -> Result:
    from olmes.cli.backup import command

    return CliRunner().invoke(command, list(arguments), standalone_mode=False)


def test_the_command_ends_with_status_1_where_something_is_damaged(
    filled: Store, tmp_path: Path
) -> None:
    store = filled.settings.store
    whole = invoke("make", str(tmp_path / "whole"), "--store", store)
    assert whole.return_value == 0, whole.output
    cut(artifact_of(filled, "one"))
    made = invoke("make", str(tmp_path / "broken"), "--store", store)
    assert made.return_value == 1
    assert "! run one: the samples of echo: " in made.output
    back = invoke("restore", str(tmp_path / "broken"), "--store", str(tmp_path / "new"))
    assert back.return_value == 1
    assert "! run one: " in back.output
    as_json = invoke("make", str(tmp_path / "json"), "--store", store, "--json")
    assert json.loads(as_json.output.splitlines()[0])["damaged"].keys() == {"run one"}


def test_a_backup_is_for_nobody_else(filled: Store, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        make_backup(filled.settings, tmp_path / "backup")
    finally:
        os.umask(before)
    for path in [tmp_path / "backup", *(tmp_path / "backup").rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_killed_backup_is_none_and_the_same_command_makes_it(
    filled: Store, tmp_path: Path, every: bool
) -> None:
    filled.database.close()
    log = tmp_path / "log"

    def work(target: Path) -> Callable[[], object]:
        return partial(make_backup, filled.settings, target)

    count = in_child(work(tmp_path / "whole"), log)
    assert count > 0, log.read_text()
    for fault in ("kill", "full"):
        for at in range(1, count + 1) if every else [2 * count // 3]:
            target = tmp_path / f"{fault}-{at}"
            code = in_child(work(target), log, at=at, fault="kill" if fault == "kill" else "full")
            if not (target / "backup.json").exists():
                assert code < 0
                target.mkdir(exist_ok=True)
                with pytest.raises(OlmesError, match="is not a whole back-up"):
                    restore_backup(Settings(store=str(tmp_path / "unused")), target)
                assert in_child(work(target), log) > 0, (at, log.read_text())
            new = Settings(store=str(tmp_path / f"new-{fault}-{at}"))
            restore_backup(new, target)
            assert len(names_in(new)) == 3
            assert not (target / "backup.unfinished").exists() or code < 0
            shutil.rmtree(target)


def test_another_folder_is_not_taken_for_an_unfinished_backup(
    filled: Store, tmp_path: Path
) -> None:
    (tmp_path / "mine/tables").mkdir(parents=True)
    (tmp_path / "mine/tables/notes").write_text("kept")
    with pytest.raises(OlmesError, match="is not empty"):
        make_backup(filled.settings, tmp_path / "mine")
    assert (tmp_path / "mine/tables/notes").read_text() == "kept"
