"""How fast a server is asked, without one."""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from time import time

from olmes.models.http.errors import retry_after
from olmes.models.http.pace import Pace, Patience


def test_retry_after_is_read_in_all_its_forms() -> None:
    assert retry_after({"Retry-After": "7"}) == 7
    assert retry_after({"Retry-After-Ms": "250", "Retry-After": "1"}) == 0.25
    assert 50 < retry_after({"Retry-After": formatdate(time() + 60, usegmt=True)}) <= 60
    for nonsense in ("", "soon", "-5", "nan", "inf", formatdate(0), "9" * 400):
        assert retry_after({"Retry-After": nonsense}) == 0


def test_waits_double_up_to_the_longest() -> None:
    patience = Patience(first_wait=1.0, longest_wait=8.0)
    for failures, longest in ((1, 1), (2, 2), (3, 4), (4, 8), (5, 8), (10_000, 8)):
        waits = [patience.wait(failures) for _ in range(300)]
        assert 0.8 * longest < max(waits) <= longest
        assert min(waits) < 0.2 * longest


def test_the_pace_grows_and_is_halved_once_a_round() -> None:
    async def drive() -> None:
        pace = Pace(most=20)
        rounds = [await pace.enter() for _ in range(8)]
        assert (pace.limit, pace.under_way) == (8, 8)
        for _ in range(4):
            pace.answered()
        assert pace.limit == 12
        for entered in rounds:
            pace.overloaded(entered)
        assert pace.limit == 6
        for _ in range(6):
            pace.answered()
        assert 6.9 < pace.limit < 7.1
        for _ in range(1000):
            pace.answered()
        assert pace.limit == 20
        for _ in range(9):
            pace.overloaded(pace.round)
        assert pace.limit == 1

    asyncio.run(drive())


def test_places_are_given_in_turn() -> None:
    order: list[str] = []

    async def worker(name: str, pace: Pace) -> None:
        for _ in range(3):
            await pace.enter()
            await asyncio.sleep(0)
            order.append(name)
            pace.leave()

    async def drive() -> None:
        pace = Pace(most=1)
        pace.pause(0.05)
        async with asyncio.TaskGroup() as group:
            for name in "abc":
                group.create_task(worker(name, pace))
        assert pace.under_way == 0

    asyncio.run(drive())
    assert order == list("abcabcabc")
