"""Worker processes that die: what they were doing is refused, and what comes after is done."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest

from olmes.server.refusals import RefusedError
from olmes.server.workers import WorkerPool


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_died_idle_or_at_work_is_replaced() -> None:
    async def work() -> None:
        pool = WorkerPool(1, seconds=120)
        try:
            first = await pool.run(os.getpid)
            os.kill(first, signal.SIGKILL)
            deadline = time.monotonic() + 60
            while alive(first) and time.monotonic() < deadline:
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.5)  # the pool learns of it
            assert await pool.run(os.getpid) != first
            with pytest.raises(RefusedError) as refused:
                await pool.run(die)
            assert refused.value.status == 503
            assert await pool.run(int, "7") == 7
        finally:
            pool.close()

    asyncio.run(work())
