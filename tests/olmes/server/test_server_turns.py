"""Nobody takes what is everybody's: turns of workers, places of listeners, room for pages."""

from __future__ import annotations

import asyncio
import os
import time
from functools import partial
from pathlib import Path

import pytest

from olmes.server import workers
from olmes.server.access.turns import Turns
from olmes.server.events import MOST_LISTENERS, MOST_OF_ONE, Hub, Listener
from olmes.server.pages import page_files
from olmes.server.pages.page_files import PageFiles
from olmes.server.pages.report_pages import Page, tag_of
from olmes.server.refusals import RefusedError
from olmes.server.workers import WorkerPool


async def work(turns: Turns, who: str, done: list[str]) -> None:
    await turns.begin(who)
    await asyncio.sleep(0)
    done.append(who)
    turns.end()


def test_a_caller_who_asks_for_much_does_not_come_first() -> None:
    async def play() -> list[str]:
        turns = Turns(1)
        done: list[str] = []
        asked = [*["many"] * 6, "one", "two", *["many"] * 3, "one"]
        await asyncio.gather(*(work(turns, who, done) for who in asked))
        assert turns.free == 1
        assert not turns.waiting
        return done

    assert asyncio.run(play())[:6] == ["many", "many", "one", "two", "many", "one"]


def test_what_waits_for_one_caller_is_limited() -> None:
    async def play() -> None:
        turns = Turns(1, most_waiting=2)
        await turns.begin("a")
        tasks = [asyncio.create_task(turns.begin("a")) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(RefusedError) as refused:
            await turns.begin("a")
        assert refused.value.status == 429
        # Others, the server itself, and what was begun before are let wait.
        tasks += [asyncio.create_task(turns.begin(who)) for who in ("b", "", "")]
        tasks.append(asyncio.create_task(turns.begin("a", again=True)))
        await asyncio.sleep(0)
        tasks[0].cancel()
        await asyncio.sleep(0)
        for _ in range(6):
            turns.end()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert [task.cancelled() for task in tasks] == [True] + 5 * [False]
        assert turns.free == 1

    asyncio.run(play())


def test_a_worker_that_grew_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "MOST_MEMORY", 1)

    async def play() -> None:
        pool = WorkerPool(1, seconds=60)
        first = await pool.run(os.getpid)
        assert await pool.run(os.getpid) != first
        monkeypatch.setattr(workers, "MOST_MEMORY", 1 << 40)
        third = await pool.run(os.getpid)
        assert await pool.run(os.getpid) == third
        pool.close()

    asyncio.run(play())


@pytest.mark.slow
def test_one_slow_piece_of_work_holds_up_no_other() -> None:
    async def play() -> None:
        pool = WorkerPool(2, seconds=1.5)
        await pool.run(os.getpid)
        slow = asyncio.create_task(pool.run_for("a", partial(time.sleep, 60)))
        await asyncio.sleep(0)
        # It has a process of its own, which the end of the slow one's does not take along.
        other = await pool.run_for("b", os.getpid)
        assert not slow.done()
        with pytest.raises(RefusedError, match=r"longer than 1\.5 seconds"):
            await slow
        assert await pool.run_for("b", os.getpid) == other
        pool.close()

    asyncio.run(play())


def test_a_worker_is_there_before_there_is_work() -> None:
    async def play() -> None:
        pool = WorkerPool(1, seconds=60)
        pool.warm()
        pool.warm()
        assert len(pool.starting) == 1
        first = await pool.run(os.getpid)
        pool.warm()
        assert not pool.starting
        assert await pool.run(os.getpid) == first
        pool.close()

    asyncio.run(play())


def test_a_worker_without_work_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        pool = WorkerPool(2, seconds=60, keep=1)
        monkeypatch.setattr(workers, "IDLE", 600.0)
        await pool.run(os.getpid)
        # Work has to wait: a second process is started, and works when it is ready.
        both = [asyncio.create_task(pool.run(os.getpid)) for _ in range(2)]
        await asyncio.gather(*both)
        await asyncio.gather(*pool.starting)
        assert len(pool.workers) == pool.turns.free == 2
        monkeypatch.setattr(workers, "IDLE", 0.05)
        await pool.run(os.getpid)
        for _ in range(600):
            await asyncio.sleep(0.05)
            if pool.unstarted:
                break
        [left] = pool.workers
        assert left.pool
        assert pool.turns.free == 1
        assert await pool.run(os.getpid)
        pool.close()

    asyncio.run(play())


def test_one_caller_does_not_listen_in_every_place() -> None:
    hub = Hub()
    held: list[Listener] = []
    for caller in range(MOST_LISTENERS // MOST_OF_ONE):
        held += [hub.listen(f"caller {caller}") for _ in range(MOST_OF_ONE)]
        with pytest.raises(RefusedError) as refused:
            hub.listen(f"caller {caller}")
        assert refused.value.status == 429
    mine = hub.listen("somebody else")
    assert len(hub.listeners) == MOST_LISTENERS
    # Whoever had most gave the place that was held for longest.
    assert held[0] not in hub.listeners
    assert mine in hub.listeners
    held.clear()
    assert len(hub.listeners) == 1


def test_pages_on_disk_are_limited_by_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_files, "MOST_BYTES", 10_000)
    files = PageFiles(tmp_path)
    folder = files.folder
    body = b"x" * 1000
    page = Page(body, "policy", tag_of(body))
    for number in range(40):
        files.write(f"{number:064x}", page)
        os.utime(folder / f"{number:064x}", (number + 1, number + 1))
        assert sum(path.stat().st_size for path in folder.iterdir()) <= 11_100
    assert files.read(f"{39:064x}") == page
    assert files.read(f"{0:064x}") is None
    # What another process left there is counted at the start.
    assert PageFiles(tmp_path).count == len(list(folder.iterdir()))
