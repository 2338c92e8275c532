"""What an operator sees: health, stale boards, a full or damaged database, an end in order."""

from __future__ import annotations

import asyncio
import gc
import gzip
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.requests import Request
from starlette.responses import Response

from olmes.server.access.audit import Caller
from olmes.server.app import create_app
from olmes.server.failures import Failures, answer_to
from olmes.server.pages.page_cache import PageCache
from olmes.server.pages.report_pages import Page, tag_of
from olmes.server.pages.stale import say_so
from olmes.server.refusals import RefusedError
from olmes.server.routes import live
from olmes.server.service import Service
from olmes.server.settings import Settings
from olmes.server.store import schema
from olmes.server.store.damage import DamagedStoreError
from olmes.server.store.database import Database
from olmes.server.store.store import Store


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


def test_a_board_that_cannot_be_made_says_that_it_is_stale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The board's worker is killed at work for as long as the store has changed."""
    monkeypatch.setattr(Store, "newest_seq", lambda _: 1)  # an empty store's board needs no worker

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

    asyncio.run(asyncio.wait_for(check(), 30))


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
            assert time.monotonic() - began < 20
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


def test_a_listener_is_not_counted_whose_missed_runs_could_not_be_read(tmp_path: Path) -> None:
    """A browser comes back every two seconds while the database is away."""

    async def check() -> None:
        app = create_app(Settings(store=str(tmp_path / "store")))
        service: Service = app.state.service
        service.store.database.migrate()

        def away(*_: object) -> None:
            raise OperationalError("", {}, Exception("away"))

        service.arrivals = away  # type: ignore[method-assign, assignment]
        state = {"caller": Caller("ann", "read", "127.0.0.1")}
        request = Request({"type": "http", "app": app, "headers": [], "state": state})
        for _ in range(3):
            with pytest.raises(OperationalError):
                await live.events(request, since=0)
        gc.collect()
        assert len(service.hub.listeners) == 0
        stream = service.hub.listen("ann")
        await anext(stream)
        assert len(service.hub.listeners) == 1
        del stream
        gc.collect()
        assert len(service.hub.listeners) == 0
        service.close()

    asyncio.run(check())


def test_a_failure_at_the_door_is_answered_as_one_behind_it(tmp_path: Path) -> None:
    async def answered(error: Exception) -> int:
        async def app(*_: object) -> None:
            raise error

        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        await Failures(app, tmp_path)(scope, anyio.sleep_forever, send)  # type: ignore[arg-type]
        return int(sent[0]["status"])

    away = OperationalError("", {}, sqlite3.OperationalError("database is locked"))
    cases = [(away, 503), (OSError(28, ""), 507), (OSError(24, ""), 503), (MemoryError(), 503)]
    cases += [(PoolTimeoutError(), 503), (DamagedStoreError(""), 503), (OSError(5, ""), 503)]
    for error, status in cases:
        assert asyncio.run(answered(error)) == status
    with pytest.raises(KeyError):  # ours: logged as such
        asyncio.run(answered(KeyError("x")))
