"""What the server does beside answering: it lives through everything, and says so."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.to_thread
import psutil
import pytest
from sqlalchemy.exc import DataError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from olmes.client.client import files_of
from olmes.errors import OlmesError
from olmes.server.access.audit import LOCAL
from olmes.server.background import Background
from olmes.server.failures import passing
from olmes.server.observe import ServerMetrics
from olmes.server.pages.page_cache import TRIES, PageCache
from olmes.server.pages.report_pages import Page
from olmes.server.refusals import RefusedError
from olmes.server.service import Service
from olmes.server.settings import Settings
from olmes.server.store.damage import DamagedStoreError
from olmes.server.workers import WorkerPool
from olmes.tools.hashing import file_sha256


def test_work_in_a_worker_goes_on_after_its_process_died() -> None:
    """Killed while it waits, it is not anybody's failure; killed at work, the work is tried again."""

    async def check() -> None:
        pool = WorkerPool(1, seconds=60)
        first = await pool.run(os.getpid)
        os.kill(first, signal.SIGKILL)
        with suppress(psutil.NoSuchProcess):  # once it is collected
            while psutil.Process(first).status() != "zombie":
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


def test_a_run_is_taken_in_though_nobody_can_be_told_of_it(
    real_run: Path, copy_run: Callable[..., Path], tmp_path: Path
) -> None:
    """And is heard of as soon as somebody can."""

    async def check() -> None:
        service = Service(Settings(store=str(tmp_path / "store")))
        service.store.database.migrate()
        heard: list[str] = []
        service.on_run.append(heard.append)
        arrivals = service.arrivals

        def away(*_: object) -> None:
            raise OperationalError("", {}, Exception("away"))

        async def add(folder: Path) -> None:
            files = files_of(folder)
            hashes = {name: file_sha256(path) for name, path in files.items()}
            assert await service.add(files, hashes, LOCAL)

        service.arrivals = away  # type: ignore[method-assign, assignment]
        await add(copy_run("first"))
        assert (heard, list(service.background.failing)) == ([], ["announce"])
        service.arrivals = arrivals  # type: ignore[method-assign]
        # One whose numbers cannot be written does not silence those that come after it.
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("olmes.server.service.headline", lambda *_: 1 / 0)
            await add(copy_run("second"))
        await add(copy_run("third"))
        assert heard == ["first", "second", "third"]
        service.close()

    asyncio.run(check())


def test_the_page_of_a_run_is_tried_again_where_the_machine_failed(tmp_path: Path) -> None:
    async def check() -> None:
        service = Service(Settings(store=str(tmp_path / "store")))
        service.store.database.migrate()
        pages = PageCache(service)
        failures: list[Exception] = [OSError(28, "full"), RefusedError(503, "died")]
        made: list[str] = []

        async def run(name: str) -> Page:
            if failures:
                raise failures.pop(0)
            made.append(name)
            return Page(b"", "", "")

        pages.run = run  # type: ignore[method-assign, assignment]
        pages.note("a")
        for kind in (OSError, RefusedError):
            with pytest.raises(kind):
                await pages.warm()
        await pages.warm()
        assert made == ["a"]
        # What a record says is its reader's to hear, and the next run's turn comes.
        failures += [RefusedError(422, "a record here lacks what this page shows."), KeyError("x")]
        for name in "bcd":
            pages.note(name)
        for _ in range(3):
            await pages.warm()
        assert made == ["a", "d"]
        # Nor does a machine that never does it keep the others waiting.
        failures += [OSError(28, "full")] * TRIES
        pages.note("e")
        for _ in range(TRIES - 1):
            with pytest.raises(OSError, match="full"):
                await pages.warm()
        await pages.warm()
        pages.note("f")
        await pages.warm()
        assert made == ["a", "d", "f"]
        service.close()

    asyncio.run(check())
