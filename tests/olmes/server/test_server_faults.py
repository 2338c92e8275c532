"""Faults of the machine, the database and single runs: the server lives through them and says so."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from sqlalchemy import create_engine, text

from olmes.client.client import Client
from olmes.server.access.audit import LOCAL
from olmes.server.refusals import RefusedError
from olmes.server.settings import Settings
from olmes.server.store.database import Database
from olmes.server.store.uploads import UploadFile, Uploads

if TYPE_CHECKING:
    from tests.olmes.server.conftest import Running

HOSTILE = {
    "deep": "[" * 200_000,
    "bytes": '{"schema": 2, "id": "\udc80"}',
    "huge": '{"schema": 1e999, "id": ' + "9" * 5000 + "}",
    "null": "null",
    "empty": "",
    "half": '{"schema": 2, "id": "ha',
}


def until(what: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(requests.RequestException):
            if what():
                return
        assert time.monotonic() < deadline
        time.sleep(0.1)


def names(running: Running) -> set[str]:
    with Client(running.url) as client:
        return {run["id"] for run in client.runs()}


def health(running: Running) -> dict[str, Any]:
    found: dict[str, Any] = requests.get(f"{running.url}/healthz", timeout=30).json()
    return found


def check_head(running: Running) -> None:
    """HEAD is answered as GET is, without the body, wherever there is a GET."""
    api = requests.get(f"{running.url}/api/v1/openapi.json", timeout=30).json()
    given = {"run": "good", "task": "echo", "doc_id": "0", "upload": "0" * 32, "position": "0"}
    paths = [path for path, methods in api["paths"].items() if "get" in methods]
    pages = [
        "/",
        "/leaderboard.html",
        "/runs.html",
        "/checkpoints.html",
        "/ledger.html",
        "/nothing",
    ]
    assert "/api/v1/events" in paths
    for path in [*paths, *pages, "/runs/good/report.html", "/static/live.js", "/static/no.js"]:
        for name, value in given.items():
            path = path.replace(f"{{{name}}}", value)
        head = requests.head(f"{running.url}{path}", timeout=60, allow_redirects=False)
        with requests.get(
            f"{running.url}{path}", timeout=60, allow_redirects=False, stream=True
        ) as get:
            assert head.status_code == get.status_code, path
            assert head.content == b""
            assert head.headers.get("content-type") == get.headers.get("content-type"), path
            if path not in ("/metrics", "/api/v1/events"):
                assert head.headers["content-length"] == get.headers["content-length"], path
    for changes in ("/api/v1/progress", "/api/v1/uploads"):
        assert requests.head(f"{running.url}{changes}", timeout=60).status_code in (405, 200)


def failures(running: Running) -> dict[str, float]:
    text = requests.get(f"{running.url}/metrics", timeout=30).text
    lines = [
        line for line in text.splitlines() if line.startswith("olmes_background_failures_total")
    ]
    return {line.split('"')[1]: float(line.split()[-1]) for line in lines}


def test_a_bad_run_of_the_folder_is_said_once_and_hides_no_other(
    launch: Callable[..., Running], copy_run: Callable[..., Path], tmp_path: Path
) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    for name, written in HOSTILE.items():
        (folder / name).mkdir()
        (folder / name / "run.json").write_text(written, "utf-8", "surrogateescape")
    os.mkfifo(folder / "pipe")
    (folder / "piped").mkdir()
    os.mkfifo(folder / "piped/run.json")
    (folder / "loop").symlink_to("loop")
    (folder / "listed").mkdir()
    (folder / "listed/run.json").mkdir()
    # The record before its samples, as a copy that goes on has it.
    half = shutil.copytree(copy_run("half-copied"), folder / "half-copied")
    kept = half / "samples/echo.jsonl"
    kept.rename(tmp_path / "samples")
    shutil.copytree(copy_run("good"), folder / "zz-good")
    (folder / "ledger.jsonl").write_text("[\n")
    running = launch("", "--runs", str(folder))
    until(lambda: names(running) == {"good"})
    began = time.monotonic()
    check_head(running)
    time.sleep(max(0.0, began + 5 - time.monotonic()))  # looks enough to say something twice
    log = (running.work / "log").read_text()
    for name in (*HOSTILE, "half-copied"):
        assert log.count(f'"run": "{name}"') == 1, name
    assert health(running) == {"status": "ok", "version": health(running)["version"], "failing": []}
    (tmp_path / "samples").rename(kept)
    until(lambda: "half-copied" in names(running))
    (folder / "null/run.json").write_text((half / "run.json").read_text())
    shutil.copytree(copy_run("later"), folder / "later")
    until(lambda: "later" in names(running))
    assert "Traceback" not in (running.work / "log").read_text()


@pytest.mark.slow
def test_a_locked_database_is_said_and_waited_for(
    launch: Callable[..., Running], copy_run: Callable[..., Path], tmp_path: Path
) -> None:
    """Another process has locked it for longer than a write waits."""
    folder, file = tmp_path / "runs", tmp_path / "store/olmes.db"
    folder.mkdir()
    running = launch(f"sqlite:///{file}?timeout=0.5", "--runs", str(folder))
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        shutil.copytree(copy_run("within"), folder / "within")
        until(lambda: health(running)["status"] == "degraded")
        assert health(running)["failing"] == ["runs of the folder"]
        assert failures(running)["runs of the folder"] >= 1
        other.execute("ROLLBACK")
    until(lambda: "within" in names(running))
    until(lambda: health(running)["status"] == "ok")
    log = (running.work / "log").read_text()
    assert log.count('"run": "within"') == 1
    assert "a task goes well again" in log


@pytest.mark.slow
def test_a_postgresql_that_is_away_is_said_and_waited_for(
    launch: Callable[..., Running],
    copy_run: Callable[..., Path],
    postgresql: Callable[[], str],
    tmp_path: Path,
) -> None:
    """Nobody is let in and everybody is thrown out, as at a restart."""
    url, other = postgresql(), create_engine(postgresql(), isolation_level="AUTOCOMMIT")
    name = url.rpartition("/")[2]
    folder = tmp_path / "runs"
    folder.mkdir()
    running = launch(url, "--runs", str(folder))
    for number in range(3):
        with other.connect() as connection:
            connection.execute(text(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false"))
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
                ),
                {"name": name},
            )
            shutil.copytree(copy_run(f"run-{number}"), folder / f"run-{number}")
            until(lambda: requests.get(f"{running.url}/healthz", timeout=30).status_code == 503)
            began = time.monotonic()
            answer = requests.get(f"{running.url}/api/v1/runs", timeout=60)
            assert answer.status_code == 503
            assert "database" in answer.json()["error"]["message"]
            assert time.monotonic() - began < 60
            time.sleep(4)
            connection.execute(text(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true"))
        until(lambda wanted=number + 1: len(names(running)) == wanted)  # type: ignore[misc]
        until(lambda: health(running)["status"] == "ok")
    other.dispose()


def test_an_upload_at_another_server_of_the_store_says_what_they_must_share(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    database = Database(store)
    database.migrate()
    first, second = (
        Uploads(Settings(store=store, work=str(tmp_path / name)), database) for name in "ab"
    )
    files = [UploadFile(name="run.json", size=2, sha256="0" * 64)]
    upload = first.begin(files, LOCAL, replace=False)
    first.path(upload, 0).write_bytes(b"{}")
    assert list(first.sync(upload)) == ["run.json"]
    with pytest.raises(RefusedError, match="not at this server.*--work") as refused:
        second.sync(upload)
    assert (refused.value.status, refused.value.field) == (409, "upload")
    # Begun once more, as a client does then, it is sent to the second from its first byte on.
    again = second.begin(files, LOCAL, replace=False)
    assert again.id == upload.id
    assert second.received(again, 0) == 0
    database.close()
