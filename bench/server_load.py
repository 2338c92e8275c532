"""The results server under load: uploads while readers browse, then readers alone.

`python -m bench.server_load` starts `olmes serve` on loopback with an empty store. 8 processes upload
runs while 100 readers browse; then every run has to be there once, with its content hash. Then 100
readers alone, each a page, a pause of 0.5 to 1.5 seconds, and so on: milliseconds to the last byte of
the leaderboard and of run pages, errors, and the memory of the server with its worker processes (the
most there was: proportional set size, and resident, in which what they share is counted for each). A
second measure has no pauses: what the server can give at most. Then people (`--people`), who also list,
search, read samples and compare, with pauses of 0.5 to 2 seconds and the stream of events open; and 16
searches at once by one of them, while another asks how the server is (`/healthz`). At the end the table
of docs/server.md. `--runs 500 --samples 1000000` is the size it is built for; `--store` names a
PostgreSQL database. With `--folder` the store stays there, and a second call measures readers on it
alone.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import multiprocessing
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from bench.files.processes import cpu_seconds, most_memory
from bench.files.server_records import TASKS, make_run
from bench.files.server_visitors import browse, people, searches, settle

Visit = Coroutine[Any, Any, dict[str, list[float]]]
START = "from olmes.cli.serve import command; command()"


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--uploaders", type=int, default=8)
    parser.add_argument("--readers", type=int, default=100)
    parser.add_argument("--people", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--store", default="", help="URL of an empty PostgreSQL database")
    parser.add_argument("--folder", type=Path, help="where the store stays, and is found again")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="olmes-load-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        measure(arguments, folder)
    finally:
        if not arguments.folder:
            shutil.rmtree(folder, ignore_errors=True)


def measure(arguments: argparse.Namespace, folder: Path) -> None:
    """Start a server, load it, and print what it did."""
    from olmes.client.client import Client

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    store = arguments.store or str(folder / "store")
    command = [sys.executable, "-c", START, "--store", store, "--work", str(folder / "store")]
    command += ["--port", str(port), "--no-runs", "--rate", "0", "--quiet"]
    there = folder / "uploaded"
    server = subprocess.Popen(command)
    try:
        load = os.getloadavg()[0]
        print(f"{os.cpu_count()} cores, load {load:.1f} before, {arguments.readers} readers")
        rows = arguments.samples // arguments.runs // len(TASKS)
        with Client(url, patience=180) as client:
            next(client.runs(), None)  # until it answers
        if not there.exists():
            upload(arguments, url, folder, rows, server.pid)
            there.touch()
        settle(url)
        check_content(url, store, folder, arguments.runs)
        seconds = arguments.seconds
        rounds: dict[str, Callable[[], Visit]] = {
            f"{arguments.readers} readers with pauses": lambda: browse(
                url, arguments.readers, seconds, pause=True
            ),
            f"{arguments.readers} readers without pauses": lambda: browse(
                url, arguments.readers, seconds, pause=False
            ),
            f"{arguments.people} people": lambda: people(url, arguments.people, 3 * seconds),
            "16 searches at once": lambda: searches(url, seconds),
        }
        table = []
        for what, play in rounds.items():
            before, started = cpu_seconds(server.pid), time.monotonic()
            with most_memory(server.pid) as most:
                times = asyncio.run(play())
            spent, took = cpu_seconds(server.pid) - before, time.monotonic() - started
            table += report(what, times, took, most)
            sizes = " | ".join(f"{size:.0f} MB" for size in most.values())
            table.append(f"| {what} | memory, PSS and RSS | | {sizes} | |")
            answers = sum(map(len, times.values()))
            print(f"    {1000 * spent / answers:.2f} ms of processor time an answer")
        print("\n| who | what | answers | p50 | p99 | errors |\n|---|---|---|---|---|---|")
        print("\n".join(table))
    finally:
        server.kill()
        server.wait()


def upload(arguments: argparse.Namespace, url: str, folder: Path, rows: int, server: int) -> None:
    """Upload every run while readers browse, and hold what is there against what was sent."""
    from olmes.client.client import Client

    with Client(url) as client:
        context = multiprocessing.get_context("spawn")
        queue: Any = context.Queue()
        names = [f"load-{number:04}" for number in range(arguments.runs)]
        parts = [names[first :: arguments.uploaders] for first in range(arguments.uploaders)]
        workers = [
            context.Process(target=push_part, args=(url, folder, part, rows, queue))
            for part in parts
        ]
        started = time.monotonic()
        for worker in workers:
            worker.start()
        with most_memory(server) as most:
            times: Any = asyncio.run(
                browse(url, arguments.readers, 3600, pause=True, until=lambda: not alive(workers))
            )
        seconds = time.monotonic() - started
        sent = dict(queue.get() for _ in names)
        found = [(run["id"], run["content_hash"], run["samples"]) for run in client.runs()]
        assert sorted(found) == sorted((name, sent[name], 2 * rows) for name in names)
        total = 2 * rows * len(names)
        print(f"{len(names)} runs, {total:,} samples uploaded in {seconds:.0f} s; each there once")
        report("while they arrived", times, seconds, most)


def alive(workers: list[Any]) -> bool:
    """Whether a process is still at work."""
    return any(worker.is_alive() for worker in workers)


def push_part(url: str, folder: Path, names: list[str], rows: int, queue: Any) -> None:
    """What an uploading process does: make a run, push it, tell its content hash."""
    from olmes.client.client import Client, files_of
    from olmes.tools.hashing import content_hash, file_sha256

    with Client(url, patience=600) as client:
        for name in names:
            run = make_run(folder / "runs" / name, name, rows)
            expected = content_hash({n: file_sha256(path) for n, path in files_of(run).items()})
            assert client.push(run).content_hash == expected
            queue.put((name, expected))
            shutil.rmtree(run)


def check_content(url: str, store: str, folder: Path, runs: int) -> None:
    """Make every run's content hash again, of the bytes that lie in the store."""
    import requests

    from olmes.client.client import Client
    from olmes.server.settings import Settings
    from olmes.server.store.store import Store
    from olmes.tools.hashing import content_hash

    opened = Store(Settings(store=store, work=str(folder / "store")))
    session = requests.Session()
    found = {run["id"]: run["content_hash"] for run in Client(url).runs()}
    assert len(found) == runs, f"{len(found)} runs are there instead of {runs}"
    for name, expected in found.items():
        raw = session.get(f"{url}/api/v1/runs/{name}/run.json", timeout=60).content
        hashes = {"run.json": hashlib.sha256(raw).hexdigest()}
        for row in opened.task_rows(name):
            digest = hashlib.sha256()
            for line in opened.artifacts.lines(row.artifact):
                digest.update(line + b"\n")
            hashes[f"samples/{row.task}.jsonl"] = digest.hexdigest()
        assert content_hash(hashes) == expected, name
    opened.database.close()
    print(f"{len(found)} content hashes made again of the stored bytes: all equal")


def report(
    what: str, times: dict[str, list[float]], seconds: float, most: Mapping[str, float]
) -> list[str]:
    """Print latencies and memory; the lines of a table."""
    print(f"  {what}: memory at most {most['PSS']:.0f} MB, {most['RSS']:.0f} MB resident")
    lines = []
    for kind, found in sorted(times.items()):
        good = sorted(one for one in found if one >= 0)
        if good:
            p50, p99 = good[len(good) // 2], good[min(len(good) - 1, int(0.99 * len(good)))]
            failed = len(found) - len(good)
            print(
                f"    {kind:14} {len(good):6} ({len(good) / seconds:6.1f}/s)  p50 {p50:7.1f} ms  "
                f"p99 {p99:7.1f} ms  max {good[-1]:7.1f} ms  errors {failed}"
            )
            lines.append(
                f"| {what} | {kind} | {len(good):,} | {p50:.1f} ms | {p99:.0f} ms | {failed} |"
            )
    return lines


if __name__ == "__main__":
    main()
