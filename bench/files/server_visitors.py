"""Who visits a results server: readers, people who do everything, one who searches too much."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from bench.files.server_records import TASKS, WORDS

if TYPE_CHECKING:
    import aiohttp

NEWEST = "/api/v1/runs?limit=20&sort=created"
"""What readers list, and whose pages they open."""


def settle(url: str) -> None:
    """Wait until the pages that are read are made, as they are some time after a run arrived."""
    import requests

    started = time.monotonic()
    newest = requests.get(f"{url}{NEWEST}", timeout=300).json()["runs"]
    for place in [f"/runs/{run['id']}/report.html" for run in newest] + ["/leaderboard.html"]:
        requests.get(url + place, timeout=300).raise_for_status()
    time.sleep(2)
    requests.get(f"{url}/leaderboard.html", timeout=300).raise_for_status()
    print(f"the pages were there {time.monotonic() - started:.0f} s later")


async def browse(
    url: str, readers: int, seconds: float, *, pause: bool, until: Any = lambda: False
) -> dict[str, list[float]]:
    """Let readers browse.

    Returns:
        Milliseconds by kind of page; -1 for an error.
    """
    times: dict[str, list[float]] = defaultdict(list)
    end = time.monotonic() + seconds

    async def reader(session: aiohttp.ClientSession, chance: random.Random) -> None:
        while time.monotonic() < end and not until():
            if pause:
                await asyncio.sleep(chance.uniform(0.5, 1.5))
            kind = chance.choices(["leaderboard", "run", "list"], [4, 4, 2])[0]
            if kind == "leaderboard":
                await timed(session, f"{url}/leaderboard.html", kind, times)
                continue
            body = await timed(session, url + NEWEST, "list", times)
            names = [run["id"] for run in json.loads(body).get("runs", [])]
            if kind == "run" and names:
                page = f"{url}/runs/{chance.choice(names)}/report.html"
                await timed(session, page, "run", times)

    async with crowd() as session:
        await asyncio.gather(*(reader(session, random.Random(n)) for n in range(readers)))
    return times


async def people(url: str, count: int, seconds: float) -> dict[str, list[float]]:
    """Let people browse: each a pause of 0.5 to 2 seconds, a page, and so on, with live updates.

    Returns:
        As `browse`.
    """
    times: dict[str, list[float]] = defaultdict(list)
    end = time.monotonic() + seconds

    async def listen(session: aiohttp.ClientSession) -> None:
        async with session.get(f"{url}/api/v1/events") as stream:
            async for _ in stream.content:
                pass

    async def person(session: aiohttp.ClientSession, chance: random.Random) -> None:
        listening = asyncio.create_task(listen(session))
        await asyncio.sleep(chance.uniform(0, 2))  # people do not all come in one instant
        found = json.loads(await timed(session, url + NEWEST.replace("20", "200"), "list", times))
        names = [run["id"] for run in found["runs"]]
        while time.monotonic() < end:
            await asyncio.sleep(chance.uniform(0.5, 2))
            run, other = chance.sample(names, 2)
            samples = f"/api/v1/runs/{run}/tasks/{chance.choice(TASKS)[0]}/samples"
            kind, place = chance.choice(
                (
                    ("leaderboard", "/leaderboard.html"),
                    ("run", f"/runs/{run}/report.html"),
                    ("list", "/runs.html"),
                    ("search runs", f"/runs.html?q={run[-3:]}"),
                    ("samples", f"{samples}?verdict=wrong&limit=50"),
                    (
                        "search samples",
                        f"{samples}?q={chance.choice(WORDS)}%20{chance.choice(WORDS)}",
                    ),
                    ("one sample", f"{samples}/{chance.randrange(50)}"),
                    ("compare", f"/compare.html?a={run}&b={other}"),
                    ("compare, API", f"/api/v1/compare?a={run}&b={other}"),
                )
            )
            await timed(session, url + place, kind, times)
        listening.cancel()

    async with crowd() as session:
        await asyncio.gather(*(person(session, random.Random(n)) for n in range(count)))
    return times


async def searches(url: str, seconds: float) -> dict[str, list[float]]:
    """16 searches for what is nowhere, again and again, and beside them the question how it is.

    Returns:
        As `browse`.
    """
    times: dict[str, list[float]] = defaultdict(list)
    end = time.monotonic() + seconds
    async with crowd() as session:
        body = await timed(session, url + NEWEST, "list", {"list": []})
        run = json.loads(body)["runs"][0]["id"]
        search = f"{url}/api/v1/runs/{run}/tasks/{TASKS[0][0]}/samples?q=caf%C3%A9%20zebra"

        async def again(place: str, kind: str, pause: float) -> None:
            while time.monotonic() < end:
                await timed(session, place, kind, times)
                await asyncio.sleep(pause)

        health = again(f"{url}/healthz", "healthz", 0.05)
        board = again(f"{url}/leaderboard.html", "leaderboard", 0.2)
        await asyncio.gather(health, board, *(again(search, "search", 0.0) for _ in range(16)))
    return times


async def timed(
    session: aiohttp.ClientSession, address: str, kind: str, times: dict[str, list[float]]
) -> bytes:
    """An answer, whole; how long it took goes to its kind, -1 for an error."""
    import aiohttp

    started = time.perf_counter()
    try:
        async with session.get(address, headers={"Accept-Encoding": "gzip"}) as answer:
            body = await answer.read()
            failed = answer.status != 200
            if failed:
                print(answer.status, address, body[:200])
            elif answer.headers.get("Content-Encoding") == "gzip" and kind == "list":
                body = gzip.decompress(body)
    except (aiohttp.ClientError, TimeoutError):
        failed, body = True, b"{}"
    times[kind].append(-1.0 if failed else 1000 * (time.perf_counter() - started))
    return body


def crowd() -> aiohttp.ClientSession:
    """A session with as many connections as are asked for."""
    import aiohttp

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=120),
    )  # fmt: skip
