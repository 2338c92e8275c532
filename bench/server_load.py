"""The results server under load: uploads while readers browse, then readers alone.

`python -m bench.server_load` starts `olmes serve` on loopback with an empty store. 8 processes upload
runs while 100 readers browse; then every run has to be there once, with its content hash. Then 100
readers alone, each a page, a pause of 0.5 to 1.5 seconds, and so on: milliseconds to the last byte of
the leaderboard and of run pages, errors, and the memory of the server with its worker processes
(proportional set size, the most there was). A second measure has no pauses: what the server can give
at most. `--runs 500 --samples 1000000` is the size it is built for; `--store` names a PostgreSQL
database. With `--folder` the store stays there, and a second call measures readers on it alone.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import multiprocessing
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

START = "from olmes.cli.serve import command; command()"
WORDS = ("robe", "bolt", "fibre", "train", "leaves", "city", "miles", "eggs", "each", "week")
NEWEST = "/api/v1/runs?limit=20&sort=created"
"""What readers list, and whose pages they open."""
TASKS = (("gsm8k", "GSM8K"), ("math", "MATH"))


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--uploaders", type=int, default=8)
    parser.add_argument("--readers", type=int, default=100)
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
        for pause in (True, False):
            before = cpu_seconds(server.pid)
            with most_memory(server.pid) as most:
                times = asyncio.run(browse(url, arguments.readers, arguments.seconds, pause=pause))
            spent = cpu_seconds(server.pid) - before
            what = "with pauses" if pause else "without pauses"
            report(what, times, arguments.seconds, max(most))
            answers = sum(map(len, times.values()))
            print(f"    {1000 * spent / answers:.2f} ms of processor time an answer")
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
        report("while they arrived", times, seconds, max(most))


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


def make_run(folder: Path, name: str, rows: int) -> Path:
    """A record with samples of a few hundred bytes."""
    chance = random.Random(name)
    (folder / "samples").mkdir(parents=True)
    tasks = {task: make_task(folder, task, title, rows, chance) for task, title in TASKS}
    values = [task["metrics"]["exact_match"] for task in tasks.values()]
    mean = sum(one["value"] for one in values) / len(values)
    data = {
        "schema": 1,
        "id": name,
        "identity": "0123456789abcdef",
        "complete": True,
        "created": f"2026-11-{1 + chance.randrange(28):02}T10:00:00Z",
        "olmes": {"version": "0.1.0", "git_commit": None, "git_dirty": None},
        "model": {
            "name": f"model/{name}",
            "fingerprint": hashlib.sha256(name.encode()).hexdigest(),
            "engine": {"backend": "replay"},
        },
        "suite": {
            "name": "dev", "title": "Development suite", "held_out": False, "aggregate": "mean",
            "complete": True, "tasks": list(tasks), **estimate(mean, 2 * rows),
        },
        "limit": None,
        "tasks": tasks,
        "warnings": [],
        "environment": {"python": "3.11"},
        "timing": {"answer_s": 1.0},
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(data))
    return folder


def make_task(
    folder: Path, task: str, title: str, rows: int, chance: random.Random
) -> dict[str, Any]:
    """A task's part of the record; its rows go to the samples file."""
    right = 0
    with (folder / "samples" / f"{task}.jsonl").open("w") as stream:
        for number in range(rows):
            good = chance.random() < 0.4
            right += good
            text = " ".join(chance.choices(WORDS, k=40))
            row = {
                "doc_id": number, "subtask": "", "repeat": 0, "doc_hash": f"{number:016x}",
                "prompt_hash": f"{number:016x}", "prompt": None, "prefill": "", "gold": "18",
                "messages": [{"role": "user", "content": f"Question: {text}?"}],
                "continuations": [], "values": {"exact_match": float(good)}, "extracted": "18",
                "response": {"text": text, "finish": "stop", "prompt_tokens": 90,
                             "completion_tokens": 60, "prompt_truncated": 0, "logprobs": [],
                             "error": ""},
                "flags": [], "note": "", "parts": [],
            }  # fmt: skip
            stream.write(json.dumps(row) + "\n")
    return {
        "title": title, "primary": "exact_match", "standard": True, "settings": {},
        "formulation": {"aggregate": "micro"}, "formulation_hash": "0123456789abcdef",
        "scorer_hash": "0123456789abcdef",
        "data": {"origin": "official", "location": "", "content_hash": "ab" * 32, "official": True,
                 "n": rows, "notes": []},
        "n": rows,
        "metrics": {"exact_match": estimate(right / rows, rows) | {"help": "", "honest": False,
                                                                   "higher_is_better": True}},
        "subtasks": {}, "counts": {"failed": 0}, "tokens": {"prompt": 1, "completion": 1},
        "shared_messages": [], "samples": f"samples/{task}.jsonl",
    }  # fmt: skip


def estimate(value: float, n: int) -> dict[str, Any]:
    """A share with its binomial error."""
    error = (value * (1 - value) / n) ** 0.5
    ends = {"ci_low": max(0.0, value - 2 * error), "ci_high": min(1.0, value + 2 * error)}
    return {"value": value, "stderr": error, "n": n, **ends}


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
    import aiohttp

    times: dict[str, list[float]] = defaultdict(list)
    end = time.monotonic() + seconds

    async def read(session: aiohttp.ClientSession, place: str, kind: str) -> bytes:
        started = time.perf_counter()
        try:
            async with session.get(url + place, headers={"Accept-Encoding": "gzip"}) as answer:
                body = await answer.read()
                failed = answer.status != 200
                if failed:
                    print(answer.status, place, body[:200])
        except (aiohttp.ClientError, TimeoutError):
            failed, body = True, b"{}"
        times[kind].append(-1.0 if failed else 1000 * (time.perf_counter() - started))
        return body

    async def reader(session: aiohttp.ClientSession, chance: random.Random) -> None:
        while time.monotonic() < end and not until():
            if pause:
                await asyncio.sleep(chance.uniform(0.5, 1.5))
            kind = chance.choices(["leaderboard", "run", "list"], [4, 4, 2])[0]
            if kind == "leaderboard":
                await read(session, "/leaderboard.html", kind)
                continue
            body = await read(session, NEWEST, "list")
            names = [run["id"] for run in json.loads(body).get("runs", [])]
            if kind == "run" and names:
                await read(session, f"/runs/{chance.choice(names)}/report.html", "run")

    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(
        connector=connector, auto_decompress=False, timeout=timeout
    ) as session:
        await asyncio.gather(*(reader(session, random.Random(n)) for n in range(readers)))
    return times


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


def report(what: str, times: dict[str, list[float]], seconds: float, most: float) -> None:
    """Print latencies and memory."""
    print(f"  {what}: memory at most {most:.0f} MB")
    for kind, found in sorted(times.items()):
        good = sorted(one for one in found if one >= 0)
        if good:
            p50, p99 = good[len(good) // 2], good[min(len(good) - 1, int(0.99 * len(good)))]
            print(
                f"    {kind:12} {len(good):6} ({len(good) / seconds:6.1f}/s)  p50 {p50:7.1f} ms  "
                f"p99 {p99:7.1f} ms  max {good[-1]:7.1f} ms  errors {len(found) - len(good)}"
            )


def cpu_seconds(process: int) -> float:
    """Processor time of the serving process."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def most_memory(server: int) -> Iterator[list[float]]:
    """Note the memory of the server and its workers once a second."""
    noted = [memory(server)]
    over = threading.Event()

    def note() -> None:
        while not over.wait(1.0):
            noted.append(memory(server))

    thread = threading.Thread(target=note)
    thread.start()
    try:
        yield noted
    finally:
        over.set()
        thread.join()


def memory(server: int) -> float:
    """Proportional set size of a process and its children, in megabytes."""
    total = 0.0
    for process in [server, *children(server)]:
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    return total


def children(process: int) -> list[int]:
    """The processes below a process."""
    found = []
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found += [child, *children(child)]
    return found


if __name__ == "__main__":
    main()
