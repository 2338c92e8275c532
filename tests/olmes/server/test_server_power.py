"""A power cut: what is committed is on the disk, and what was damaged all the same can be put again."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from olmes.client.client import AnswerError, Client, files_of
from olmes.seal.sealing import unseal
from olmes.server.access.audit import LOCAL
from olmes.server.intake.run_files import take_in
from olmes.server.settings import Settings
from olmes.server.store.artifacts import Artifacts, older_name
from olmes.server.store.store import Store
from olmes.tools import jsonl
from olmes.tools.hashing import file_sha256
from tests.known import known

if TYPE_CHECKING:
    from tests.olmes.server.conftest import Running

TAKE_IN = """
import sys
from pathlib import Path
from tests.olmes.server.test_server_power import take

take(sys.argv[1], Path(sys.argv[2]))
"""
CALLS = "fsync,fdatasync,rename,renameat,renameat2"


def take(place: str, folder: Path) -> None:
    """Take a run into a store, as a worker and the server do."""
    store = Store(Settings(store=place))
    store.database.migrate()
    files = files_of(folder)
    hashes = {name: file_sha256(path) for name, path in files.items()}
    store.add(take_in(store.settings, files, hashes), LOCAL, replace=False)
    store.database.close()


def can_trace() -> bool:
    """Whether strace is here and may look at a process; a container may forbid it."""
    tracer = shutil.which("strace")
    if tracer is None:
        return False
    return not subprocess.run([tracer, "-o", "/dev/null", "true"], check=False).returncode


@pytest.mark.skipif(not can_trace(), reason="needs strace, to see the order of calls")
@pytest.mark.parametrize("kind", ["open", pytest.param("sealed", marks=pytest.mark.slow)])
def test_samples_are_on_the_disk_before_the_run_that_names_them(
    copy_run: Callable[..., Path], sealed_run: Path, tmp_path: Path, kind: str
) -> None:
    folder = copy_run("ordered") if kind == "open" else sealed_run
    log = tmp_path / "calls"
    subprocess.run(
        ["strace", "-f", "-y", "-qq", "-e", f"trace={CALLS}", "-o", log,
         sys.executable, "-c", TAKE_IN, str(tmp_path / "store"), str(folder)],
        check=True,
    )  # fmt: skip
    calls = log.read_text().splitlines()
    [named] = [at for at, call in enumerate(calls) if "rename" in call and "/artifacts/" in call]
    place = Path(known(re.search(r'"[^"]*incoming-[^"]*"\S* ?"([^"]*)"', calls[named]))[1])

    def synced(path: str, start: int, end: int) -> bool:
        pattern = re.compile(rf"f(data)?sync\(\d+<{path}>")
        return any(pattern.search(call) for call in calls[start:end])

    committed = max(at for at, call in enumerate(calls) if "olmes.db" in call and "sync(" in call)
    assert named < committed
    assert synced(r"[^>]*/artifacts/incoming-[0-9a-f]+", 0, named)
    # The file's entry, and its folder's own, which was made for it.
    assert synced(re.escape(str(place.parent)), named, committed)
    assert synced(re.escape(str(place.parent.parent)), 0, committed)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def zeros_in_the_middle(path: Path) -> None:
    """As a file system leaves blocks that it never came to write: the size is right."""
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(content[: middle - 8] + bytes(16) + content[middle + 8 :])


def lost(path: Path) -> None:
    path.unlink()


DAMAGES = [truncated, emptied, zeros_in_the_middle, lost]


def artifacts_of(server: Running, run: str) -> dict[str, Path]:
    """The files of a run's artifacts, by kind."""
    settings = Settings(store=server.store, work=str(server.work))
    store = Store(settings)
    [row] = store.task_rows(run)
    names = {"rows": row.artifact} | ({"sealed": f"{row.sha256}.jsonl.gz"} if row.sealed else {})
    store.database.close()
    return {kind: Path(store.artifacts.path(name)) for kind, name in names.items()}


def rows_of(folder: Path) -> list[object]:
    return list(jsonl.read(folder / "samples/echo.jsonl"))


def test_the_same_push_heals_a_damaged_run(server: Running, copy_run: Callable[..., Path]) -> None:
    folder = copy_run("healed")
    place = "runs/healed"
    with Client(server.url) as client:
        client.push(folder)
        assert not client.push(folder).new
        for number, damage in enumerate(DAMAGES):
            damage(artifacts_of(server, "healed")["rows"])
            # It is told, in a sentence, and is in nobody's way.
            with pytest.raises(AnswerError, match="damaged on the server; push the run") as refused:
                list(client.samples("healed", "echo"))
            assert refused.value.status == 404
            for page, statuses in (
                (f"{place}/report.html", (200, 404)),  # as it was made before
                ("compare.html?a=healed&b=healed", (200, 404)),
                ("leaderboard.html", (200,)),
                (f"api/v1/{place}", (200,)),
                (f"api/v1/{place}/tasks/echo/samples/0", (404,)),
                (f"api/v1/{place}/tasks/echo/samples?q=word", (404,)),
            ):
                answer = requests.get(f"{server.url}/{page}", timeout=120)
                assert answer.status_code in statuses, (page, answer.text[:300])
            client.push(folder, replace=bool(number % 2))
            assert list(client.samples("healed", "echo")) == rows_of(folder)
            answer = requests.get(f"{server.url}/{place}/report.html", timeout=120)
            assert answer.status_code == 200
        assert [run["id"] for run in client.runs(q="healed")] == ["healed"]
        # What is whole is not sent again.
        assert client._call("POST", "/uploads", json=manifest(folder))["state"] == "present"


@pytest.mark.slow
def test_pages_of_a_damaged_run_are_made_once_it_is_whole(
    launch: Callable[..., Running], copy_run: Callable[..., Path]
) -> None:
    running = launch()
    folders = [copy_run("one"), copy_run("two", right=4)]
    with Client(running.url) as client:
        for folder in folders:
            client.push(folder)
        running.kill()
        shutil.rmtree(running.work / "pages")
        truncated(artifacts_of(running, "one")["rows"])
        running.start()
        pages = ("runs/one/report.html", "compare.html?a=two&b=one", "api/v1/compare?a=one&b=two")
        for page in pages:
            answer = requests.get(f"{running.url}/{page}", timeout=120)
            assert answer.status_code == 404, page
            assert "push the run again" in answer.text
        for page in ("leaderboard.html", "runs/two/report.html"):
            assert requests.get(f"{running.url}/{page}", timeout=120).status_code == 200
        client.push(folders[0])
        for page in pages:
            assert requests.get(f"{running.url}/{page}", timeout=120).status_code == 200


def manifest(folder: Path) -> dict[str, object]:
    files = [
        {"name": name, "size": path.stat().st_size, "sha256": file_sha256(path)}
        for name, path in files_of(folder).items()
    ]
    return {"files": files, "replace": False}


def test_the_same_push_heals_a_run_under_seal_and_an_opened_one(
    server: Running, sealed_run: Path
) -> None:
    name = sealed_run.name
    with Client(server.url) as client:
        client.push(sealed_run)
        sealed = artifacts_of(server, name)["sealed"]
        before = sealed.read_bytes()
        for damage in DAMAGES:
            damage(sealed)
            client.push(sealed_run)
            assert sealed.read_bytes() == before
        unseal(sealed_run, "why")
        client.push(sealed_run)
        assert list(client.samples(name, "echo")) == rows_of(sealed_run)
        for damage in DAMAGES:
            for kind in ("rows", "sealed"):
                damage(artifacts_of(server, name)[kind])
                client.push(sealed_run)
                assert list(client.samples(name, "echo")) == rows_of(sealed_run)
                assert sealed.read_bytes() == before


def test_a_damaged_run_can_be_removed_and_brought_again(
    server: Running, copy_run: Callable[..., Path]
) -> None:
    folder = copy_run("removed")
    with Client(server.url) as client:
        client.push(folder)
        lost(artifacts_of(server, "removed")["rows"])
        client._call("DELETE", "/runs/removed")
        assert client.push(folder).new
        assert list(client.samples("removed", "echo")) == rows_of(folder)


@pytest.mark.slow
def test_an_artifact_of_an_older_olmes_is_known_and_healed(
    launch: Callable[..., Running], copy_run: Callable[..., Path]
) -> None:
    """It was named by its lines and the metric, not by its bytes."""
    running = launch()
    folder = copy_run("older")
    with Client(running.url) as client:
        client.push(folder)
        path = artifacts_of(running, "older")["rows"]
        older = older_name(file_sha256(folder / "samples/echo.jsonl"), "exact_match")
        place = path.parent.parent / older[:2] / older
        place.parent.mkdir(exist_ok=True)
        path.rename(place)
        with closing(sqlite3.connect(Path(running.store) / "olmes.db")) as connection:
            connection.execute("UPDATE tasks SET artifact = ?", (older,))
            connection.commit()
        assert client._call("POST", "/uploads", json=manifest(folder))["state"] == "present"
        truncated(place)
        client.push(folder)
        assert list(client.samples("older", "echo")) == rows_of(folder)


@pytest.mark.parametrize("damage", [truncated, emptied, lost])
def test_damage_in_an_object_store_is_seen_as_far_as_it_says(
    damage: Callable[[Path], None], tmp_path: Path
) -> None:
    """A folder behind fsspec that is treated as an object store."""
    artifacts = Artifacts(str(tmp_path / "objects"))
    lines = [
        json.dumps({"doc_id": n, "doc_hash": "ab", "values": {"m": 1.0}, "flags": []}).encode()
        for n in range(50)
    ]
    kept = artifacts.keep(lines, "samples/x.jsonl", "m")
    artifacts.local = False
    assert artifacts.whole(kept.artifact, "m")
    damage(Path(artifacts.path(kept.artifact)))
    assert not artifacts.whole(kept.artifact, "m")


def open_to_others(folder: Path, mask: int = 0o077) -> list[str]:
    """What in a folder others may read or write, with its mode."""
    found = [folder, *folder.rglob("*")]
    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in found}
    return [f"{path} {mode:o}" for path, mode in modes.items() if mode & mask]


def test_what_a_server_keeps_is_for_nobody_else(
    server: Running, copy_run: Callable[..., Path]
) -> None:
    """Its work folder was made by somebody else: what it makes there is closed all the same."""
    with Client(server.url) as client:
        client.push(copy_run("private"))
        assert requests.get(f"{server.url}/runs/private/report.html", timeout=60).ok
    for name in ("artifacts", "staging", "pages", "store"):
        folder = server.work / name
        assert name != "store" or folder.exists() != server.store.startswith("postgresql")
        assert not folder.exists() or open_to_others(folder) == []


def test_half_a_line_that_a_killed_look_left_holds_up_no_push(
    launch: Callable[..., Running], sealed_run: Path
) -> None:
    server = launch()
    with (sealed_run.parent / "ledger.jsonl").open("ab") as stream:
        stream.write(b'{"number": 3, "ev')
    with Client(server.url) as client:
        client.push(sealed_run)
        assert client.run(sealed_run.name)["run"]["held_out"]


@pytest.mark.slow
@pytest.mark.parametrize("damage", [truncated, emptied, zeros_in_the_middle])
def test_a_kept_page_that_is_damaged_is_made_again(
    launch: Callable[..., Running], copy_run: Callable[..., Path], damage: Callable[[Path], None]
) -> None:
    running = launch()
    with Client(running.url) as client:
        client.push(copy_run("shown"))
    address = f"{running.url}/runs/shown/report.html"
    before = requests.get(address, timeout=120).text
    running.kill()
    for page in (running.work / "pages/cache").iterdir():
        damage(page)
    running.start()
    answer = requests.get(address, timeout=120)
    assert answer.status_code == 200
    assert answer.text == before
