"""One caller's load is not everybody's: rows of megabytes, searches, half-open connections."""

from __future__ import annotations

import contextlib
import json
import random
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from olmes.client.client import Client

START = "from olmes.cli.serve import command; command()"
MOST = 500 << 20
"""Bytes of memory that the server may take in all."""


def memory(process: int) -> int:
    """Resident memory of a server and its workers: what they share is counted for each."""
    server = psutil.Process(process)
    total = 0
    for one in [server, *server.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            total += one.memory_info().rss
    return total


@contextlib.contextmanager
def most_memory(process: int) -> Iterator[list[int]]:
    """Note the most memory that a server takes."""
    noted = [0]
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            noted[0] = max(noted[0], memory(process))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield noted
    finally:
        over.set()
        thread.join()


def at_once(addresses: list[str], **more: Any) -> list[requests.Response]:
    """Answers to requests that are made at the same time."""
    found: list[requests.Response] = []
    threads = [
        threading.Thread(target=lambda to=one: found.append(requests.get(to, timeout=300, **more)))
        for one in addresses
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len(addresses)
    return found


def long_rows(run: Path, rows: int, size: int, *, letters: bool = False) -> Path:
    """Give every response of a run a text that hardly packs."""
    path = run / "samples/echo.jsonl"
    lines = [json.loads(line) for line in path.open()]
    with path.open("w") as stream:
        for number in range(rows):
            row = lines[number]
            digits = random.Random(number).randbytes(size // 2).hex()
            row["response"]["text"] = f"caf\u00e9 {digits}" if letters else digits
            stream.write(json.dumps(row) + "\n")
    return run


def test_an_answer_has_rows_as_they_are_and_margins_few_pages(
    server: Any, copy_run: Callable[..., Path]
) -> None:
    first, second = copy_run("load-a", right=4), copy_run("load-b", right=9)
    with Client(server.url) as client:
        client.push(first)
        client.push(second)
    lines = (first / "samples/echo.jsonl").read_text().splitlines()
    samples = f"{server.url}/api/v1/runs/load-a/tasks/echo/samples"
    assert f'"row":{lines[3]}}}' in requests.get(samples, timeout=60).text
    assert requests.get(f"{samples}/3", timeout=60).text == f'{{"place":3,"row":{lines[3]}}}'
    whole = requests.get(f"{server.url}/api/v1/runs/load-a", timeout=60).json()
    assert whole["record"] == json.loads((first / "run.json").read_text())
    page = f"{server.url}/compare.html?a=load-a&b=load-b&margin="
    tags = [requests.get(f"{page}{m}", timeout=60).headers["etag"] for m in (0.01, 0.0101, 0.02)]
    assert tags[0] == tags[1] != tags[2]
    numbers = f"{server.url}/api/v1/compare?a=load-a&b=load-b&margin="
    kept = len(list((server.work / "pages/cache").iterdir()))
    for margin in (0.0123, 0.012345):
        assert requests.get(f"{numbers}{margin}", timeout=60).json()["margin"] == margin
    assert len(list((server.work / "pages/cache").iterdir())) == kept
    raw = requests.get(f"{numbers}0.01", timeout=60, headers={"accept-encoding": "identity"})
    assert raw.json()["runs"][0]["id"] == "load-a"
    assert "content-encoding" not in raw.headers


@pytest.mark.slow
def test_rows_of_megabytes_leave_the_server_small(
    launch: Callable[..., Any], copy_run: Callable[..., Path]
) -> None:
    server = launch()
    run = long_rows(copy_run("long", rows=16), 16, 12 << 20)
    with Client(server.url) as client:
        client.push(run)
    samples = f"{server.url}/api/v1/runs/long/tasks/echo/samples"
    requests.get(f"{server.url}/runs/long/report.html", timeout=300).raise_for_status()
    for query in ("?limit=500", "?limit=500&q=zebra", "/7"):
        with most_memory(server.process.pid) as most:
            answers = at_once([samples + query] * 6)
        assert [one.status_code for one in answers] == [200] * 6
        assert most[0] < MOST, query
    # Page by page every row comes, alone where it is larger than an answer.
    places, start = [], 0
    while start is not None:
        found = requests.get(f"{samples}?limit=500&start={start}", timeout=300).json()
        places += [one["place"] for one in found["samples"]]
        start = found["next"]
    assert places == list(range(16))
    assert not list((server.work / "answers").iterdir())


@pytest.mark.slow
def test_a_record_of_megabytes_is_read_and_not_drawn(
    launch: Callable[..., Any], copy_run: Callable[..., Path]
) -> None:
    server = launch()
    run = copy_run("wordy")
    data = json.loads((run / "run.json").read_text())
    data["model"]["engine"] |= {f"key{at}": {"a": [1, 2, 3], "b": at} for at in range(350_000)}
    (run / "run.json").write_text(json.dumps(data))
    with Client(server.url) as client:
        client.push(run)
        client.push(copy_run("usual"))
    with most_memory(server.process.pid) as most:
        refused = requests.get(f"{server.url}/runs/wordy/report.html", timeout=300)
        compared = requests.get(f"{server.url}/compare.html?a=wordy&b=usual", timeout=300)
        whole = f"{server.url}/api/v1/runs/wordy"
        pages = [f"{server.url}/{one}" for one in ("runs/usual/report.html", "leaderboard.html")]
        answers = at_once([whole, *pages, *[f"{whole}/run.json"] * 6])
    assert refused.status_code == compared.status_code == 422
    assert "api/v1/runs/wordy/run.json" in refused.json()["error"]["message"]
    assert [one.status_code for one in answers] == [200] * 9
    # The main process holds some of what the upload took; drawing it took more than twice as much.
    assert most[0] < 600 << 20


@pytest.mark.slow
def test_sixteen_searches_of_one_token_keep_nobody_waiting(
    launch: Callable[..., Any], copy_run: Callable[..., Path]
) -> None:
    server = launch()
    rows = 20_000
    with Client(server.url) as client:
        client.push(long_rows(copy_run("much", rows=rows), rows, 1000, letters=True))
        client.push(copy_run("usual"))
    tokens = [token(server.store, name) for name in ("searcher", "reader")]
    searcher, reader = ({"Authorization": f"Bearer {one}"} for one in tokens)
    places = ("/healthz", "/runs/usual/report.html", "/leaderboard.html",
              "/api/v1/runs/usual/tasks/echo/samples/3")  # fmt: skip
    for place in places:
        requests.get(server.url + place, headers=reader, timeout=300).raise_for_status()
    search = f"{server.url}/api/v1/runs/much/tasks/echo/samples?q=zebra"
    alone = seconds(lambda: requests.get(search, headers=searcher, timeout=300))
    found: list[requests.Response] = []
    crowd = threading.Thread(target=lambda: found.extend(at_once([search] * 16, headers=searcher)))
    crowd.start()
    times: dict[str, list[float]] = {place: [] for place in places}
    while crowd.is_alive():
        for place in places:
            ask = partial(requests.get, server.url + place, headers=reader, timeout=300)
            times[place].append(seconds(ask))
    assert {one.status_code for one in found} == {200}
    assert {one.json()["next"] for one in found} <= {None, *range(1, rows)}
    # Beside what one search takes here, so that it holds on a busy machine too.
    for place, taken in times.items():
        assert len(taken) > 3
        assert sorted(taken)[len(taken) // 2] < max(0.2, alone / 2), (place, taken, alone)


def seconds(what: Callable[[], requests.Response]) -> float:
    """How long an answer takes; it has to be a good one."""
    started = time.monotonic()
    what().raise_for_status()
    return time.monotonic() - started


def token(store: str, name: str) -> str:
    """A read token of a store."""
    from olmes.server.access.tokens import create_token
    from olmes.server.store.database import Database

    database = Database(store)
    try:
        return create_token(database, name, "read")
    finally:
        database.close()


@pytest.mark.slow
def test_half_open_connections_beyond_the_limit_of_files_keep_nobody_out(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4096:
        pytest.skip("this process may not hold as many connections open")
    serve = [sys.executable, "-c", START, "--store", str(tmp_path / "store"), "--port", "0"]
    limited = ["sh", "-c", 'ulimit -n 1024; exec "$@"', "sh", *serve, "--no-runs", "--quiet"]
    held = []
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(limited, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096, hard))
        assert process.stdout
        url = process.stdout.readline().strip()
        for _ in range(1100):
            address = ("127.0.0.1", int(url.rpartition(":")[2]))
            one = socket.create_connection(address, timeout=60)
            one.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            held.append(one)
        for _ in range(5):
            assert requests.get(f"{url}/healthz", timeout=30).ok
            time.sleep(0.5)
        assert (tmp_path / "log").read_text() == ""
    finally:
        process.kill()
        process.wait()
        for one in held:
            one.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
