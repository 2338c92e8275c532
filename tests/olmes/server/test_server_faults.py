"""Faults of the machine, the database and single runs: the server lives through them and says so."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import psutil
import pytest
import requests
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DataError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.responses import Response

from olmes.client.client import Client
from olmes.errors import OlmesError
from olmes.server.background import Background
from olmes.server.failures import answer_to, passing
from olmes.server.observe import ServerMetrics
from olmes.server.pages.page_cache import PageCache
from olmes.server.pages.report_pages import Page, tag_of
from olmes.server.pages.stale import say_so
from olmes.server.refusals import RefusedError
from olmes.server.service import Service
from olmes.server.settings import Settings
from olmes.server.store import schema
from olmes.server.store.damage import DamagedStoreError
from olmes.server.store.database import Database
from olmes.server.workers import WorkerPool

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


def failures(running: Running) -> dict[str, float]:
    text = requests.get(f"{running.url}/metrics", timeout=30).text
    lines = [
        line for line in text.splitlines() if line.startswith("olmes_background_failures_total")
    ]
    return {line.split('"')[1]: float(line.split()[-1]) for line in lines}


def test_the_folder_is_watched_through_bad_runs_and_a_locked_database(
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
    file = tmp_path / "store/olmes.db"
    running = launch(f"sqlite:///{file}?timeout=0.5", "--runs", str(folder))
    until(lambda: names(running) == {"good"})
    time.sleep(5)  # more looks: nothing is said a second time
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
    # A database that another process has locked for longer than a write waits.
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


def test_work_in_a_worker_goes_on_after_its_process_died() -> None:
    """Killed while it waits, it is not anybody's failure; killed at work, the work is tried again."""

    async def check() -> None:
        pool = WorkerPool(1, seconds=60)
        first = await pool.run(os.getpid)
        os.kill(first, signal.SIGKILL)
        while psutil.pid_exists(first) and psutil.Process(first).status() != "zombie":
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.5)
        second = await pool.run(os.getpid)
        assert second != first
        with pytest.raises(RefusedError) as refused:
            await pool.run(os._exit, 9)
        assert refused.value.status == 503
        assert await pool.run(os.getpid) not in (first, second)
        pool.close()

    asyncio.run(check())


class Faulty:
    """Fails in every way in turn, and goes well in between."""

    def __init__(self) -> None:
        self.failures: list[BaseException] = [
            ValueError("a"), ValueError("a"), RecursionError(), MemoryError(), OverflowError(),
            OSError(28, "full"), sqlite3.OperationalError("locked"), asyncio.CancelledError("odd"),
            ExceptionGroup("several", [KeyError("b")]), AssertionError(), StopAsyncIteration(),
        ]  # fmt: skip
        self.calls = 0

    async def work(self) -> None:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)


def test_a_task_lives_through_everything_and_ends_when_it_is_asked_to(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("olmes.server.background.SOONEST", 0.001)
    monkeypatch.setattr("olmes.server.background.LATEST", 0.002)
    numbers = ServerMetrics()
    background = Background(numbers)
    faulty = Faulty()
    count = len(faulty.failures)

    async def check() -> None:
        async with anyio.create_task_group() as group:
            background.start(group, "faulty", faulty.work, every=0.01)
            while faulty.calls < 1:
                await asyncio.sleep(0)
            assert list(background.failing) == ["faulty"]
            while faulty.calls < count + 3:
                await asyncio.sleep(0.001)
            assert background.failing == {}
            group.cancel_scope.cancel()

    asyncio.run(asyncio.wait_for(check(), 60))
    counted = numbers.registry.get_sample_value(
        "olmes_background_failures_total", {"task": "faulty"}
    )
    assert counted == count
    # The same cause twice is one line.
    assert caplog.text.count("a task failed") == count - 1


def test_what_passes_is_told_from_what_a_file_says() -> None:
    passes = [
        OSError(5, "io"), MemoryError(), TimeoutError(), RefusedError(503, ""), RefusedError(507, ""),
        OperationalError("", {}, sqlite3.OperationalError("locked")), PoolTimeoutError(),
        RuntimeError("can't start new thread"), EOFError(), DamagedStoreError(""),
    ]  # fmt: skip
    stays = [
        RefusedError(422, ""), RefusedError(409, ""), OlmesError(""), RecursionError(), KeyError(""),
        UnicodeEncodeError("utf-8", "", 0, 1, ""), OverflowError(), TypeError(), AttributeError(),
        DataError("", {}, Exception()), IntegrityError("", {}, Exception()),
    ]  # fmt: skip
    assert [error for error in passes if not passing(error)] == []
    assert [error for error in stays if passing(error)] == []


def test_a_full_database_is_said_to_be_full(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "store"))
    database.migrate()

    def fill() -> None:
        with database.writing() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1")  # SQLite's own limit
            connection.exec_driver_sql("CREATE TABLE large AS SELECT randomblob(100000)")

    with pytest.raises(OperationalError) as refused:
        fill()
    said = answer_to(refused.value, tmp_path)
    assert said is not None
    assert (said.status, "disk is full" in said.message) == (507, True)
    for error in (OSError(28, "x"), OSError(122, "x"), OSError(27, "x")):
        answer = answer_to(error, tmp_path)
        assert answer is not None
        assert answer.status == 507
    assert answer_to(KeyError("ours"), tmp_path) is None
    assert answer_to(FileNotFoundError(2, "ours"), tmp_path) is None
    database.close()


@pytest.mark.parametrize("how", ["no database", "damaged inside", "cut"])
def test_a_damaged_database_is_one_sentence_with_the_remedy(how: str, tmp_path: Path) -> None:
    store = tmp_path / "store"
    database = Database(str(store))
    database.migrate()
    with database.writing() as connection:
        for number in range(200):
            row = {"time": "t", "who": "w" * 90, "address": "a", "action": str(number)}
            connection.execute(
                schema.audit.table.insert(), row | {"target": "x" * 200, "detail": ""}
            )
    database.close()
    file = store / "olmes.db"
    whole = file.read_bytes()
    damaged = {
        "no database": b"this is no database " * 1000,
        "damaged inside": whole[:4096] + b"\xff" * (len(whole) - 4096),
        "cut": whole[: len(whole) // 2],
    }[how]
    file.write_bytes(damaged)
    again = Database(str(store))
    with pytest.raises(DamagedStoreError, match=r"is damaged.*olmes backup restore"):
        read_everything(again)
    again.close()
    answer = answer_to(DamagedStoreError("x"), tmp_path)
    assert answer is not None
    assert answer.status == 503
    if how == "no database":
        ended = subprocess.run(
            [sys.executable, "-m", "olmes", "token", "list", "--store", str(store)],
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert ended.returncode == 2
        assert len(ended.stderr.splitlines()) == 1
        assert "is damaged" in ended.stderr


def read_everything(database: Database) -> None:
    database.migrate()
    for table in schema.metadata.sorted_tables:
        with database.reading() as connection:
            connection.execute(table.select()).all()


def test_a_board_that_cannot_be_made_says_that_it_is_stale(tmp_path: Path) -> None:
    """The board's worker is killed at work for as long as the store has changed."""

    async def check() -> None:
        service = Service(Settings(store=str(tmp_path / "store")))
        service.store.database.migrate()
        pages = PageCache(service)
        page = await pages.leaderboard()
        assert await pages.leaderboard() is page
        broken: list[RefusedError] = []

        async def fail(*_: object, **__: object) -> None:
            broken.append(RefusedError(422, "a record here lacks what this page shows."))
            raise broken[-1]

        service.rendering.run = fail  # type: ignore[assignment]
        with service.store.database.publishing():
            pass  # the store has changed
        pages.expire()
        while not pages.boards.behind or not pages.boards.behind["leaderboard"].failed:
            await pages.leaderboard()
            await asyncio.sleep(0.01)
        stale = await pages.leaderboard()
        html = gzip.decompress(stale.body).decode()
        assert '<div class="stale" role="status">This page is of ' in html
        assert stale.tag != page.tag
        response = Response()
        say_so(response, pages.boards.behind["leaderboard"])
        assert response.headers["warning"].startswith("110 ")
        assert int(response.headers["age"]) >= 0
        for _ in range(50):
            await pages.leaderboard()
        assert len(broken) < 5  # not with every reader
        assert list(service.background.failing) == ["leaderboard"]
        del service.rendering.run
        pages.boards.behind["leaderboard"].again = 0.0
        await pages.boards.retry()  # no reader has asked
        assert service.background.failing == {}
        assert b"stale" not in gzip.decompress((await pages.leaderboard()).body)
        with pytest.raises(RefusedError):
            await pages.checkpoints("nobody's")  # no failure of the server's
        assert service.background.failing == {}
        service.close()

    asyncio.run(asyncio.wait_for(check(), 120))


def test_a_kept_page_that_cannot_be_read_is_made_anew(tmp_path: Path) -> None:
    async def check() -> None:
        service = Service(Settings(store=str(tmp_path / "store")))
        service.store.database.migrate()
        pages = PageCache(service)
        made = 0
        body = gzip.compress(b"page")

        async def make() -> Page:
            nonlocal made
            made += 1
            return Page(body, "policy", tag_of(body))

        key = "0" * 64
        file = pages.files.folder / key
        await pages.kept(key, make)
        whole = file.read_bytes()
        spoilt = [
            b"",
            b"\0" * len(whole),
            whole[:-3],
            b"[" * 100_000 + b"\n",
            b"null\nx",
            b"folder",
        ]
        for number, content in enumerate([*spoilt, b"no folder"]):
            if content == b"no folder":
                shutil.rmtree(pages.files.folder)
            elif content == b"folder":
                file.unlink()
                file.mkdir()
            else:
                file.write_bytes(content)
            pages.memory.clear()
            assert (await pages.kept(key, make)).body == body
            assert made == number + 2
        pages.memory.clear()
        await pages.kept(key, make)
        assert made == number + 2  # it is kept once more
        service.close()

    asyncio.run(check())


def test_health_answers_while_every_thread_is_busy_and_the_database_hangs(tmp_path: Path) -> None:
    async def check() -> None:
        service = Service(Settings(store=str(tmp_path / "store")))
        service.store.database.migrate()
        busy = threading.Event()
        limiter = anyio.to_thread.current_default_thread_limiter()

        async def held() -> None:
            await anyio.to_thread.run_sync(busy.wait)

        async with anyio.create_task_group() as group:
            for _ in range(int(limiter.total_tokens)):
                group.start_soon(held)
            await asyncio.sleep(0.1)
            began = time.monotonic()
            assert (await service.health.answer())["status"] == "ok"
            assert time.monotonic() - began < 2
            service.background.failed("folder", OSError("away"))
            found = await service.health.answer()
            assert (found["status"], found["failing"]) == ("degraded", ["folder"])
            # A database that hangs holds one thread, however many ask.
            hanging = threading.Event()
            asked = 0

            def touch() -> None:
                nonlocal asked
                asked += 1
                hanging.wait()

            service.health._touch = touch  # type: ignore[method-assign]
            answers = [service.health.answer() for _ in range(20)]
            refused = await asyncio.gather(*answers, return_exceptions=True)
            assert [one.status for one in refused if isinstance(one, RefusedError)] == [503] * 20
            assert asked == 1
            hanging.set()
            busy.set()
        service.close()

    asyncio.run(check())


def test_everything_is_closed_whatever_fails(tmp_path: Path) -> None:
    service = Service(Settings(store=str(tmp_path / "store")))
    closed = []

    def fail() -> None:
        raise OSError("no")

    service.intake.close = fail  # type: ignore[method-assign]
    service.rendering.close = fail  # type: ignore[method-assign]
    service.store.database.close = lambda: closed.append("database")  # type: ignore[method-assign]
    service.close()
    assert closed == ["database"]
