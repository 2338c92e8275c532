"""Real runs, a real uvicorn on loopback, and both kinds of database."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

ECHO = Path(__file__).parents[1] / "files/echo_task.py"
KINDS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]
START = "from olmes.cli.serve import command; command()"


def clear(url: str) -> bool:
    """Whether a server answers."""
    # On a busy machine a server that starts may take its time over the first answer.
    with contextlib.suppress(requests.RequestException):
        return requests.get(f"{url}/healthz", timeout=5).ok
    return False


@dataclass
class Running:
    """A server process."""

    store: str
    work: Path
    options: tuple[str, ...] = ()
    port: int = 0
    url: str = ""
    process: Any = None
    environment: dict[str, str] = field(default_factory=dict)

    def start(self) -> Running:
        if not self.port:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.port = probe.getsockname()[1]
        command = [sys.executable, "-c", START, "--store", self.store, "--work", str(self.work)]
        command += ["--port", str(self.port), "--rate", "0", *self.options]
        command += [] if "--runs" in self.options else ["--no-runs"]
        self.url = f"http://127.0.0.1:{self.port}"
        self.work.mkdir(parents=True, exist_ok=True)
        log = (self.work / "log").open("ab")
        self.process = subprocess.Popen(
            command, stdout=log, stderr=log, env=os.environ | self.environment
        )
        deadline = time.monotonic() + 180
        while not clear(self.url):
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)
        return self

    def log(self) -> str:
        return (self.work / "log").read_text()[-4000:]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return int(self.process.wait(60))


@pytest.fixture(scope="session")
def new_server() -> type[Running]:
    """What a server process is made with."""
    return Running


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Starts servers, and ends them."""
    started: list[Running] = []

    def start(store: str = "", *options: str, **more: Any) -> Running:
        work = tmp_path / f"server-{len(started)}"
        running = Running(store or str(work / "store"), work, options, **more)
        started.append(running)
        return running.start()

    yield start
    for running in started:
        if running.process and running.process.poll() is None:
            running.kill()


def as_postgres() -> dict[str, Any]:
    """PostgreSQL refuses to run as root; Debian's package brings a user for it."""
    return {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}


@pytest.fixture(scope="session")
def postgresql(postgresql_tools: Path) -> Iterator[Callable[[], str]]:
    """A PostgreSQL on loopback with its own data folder; makes an empty database a call."""
    # Not pytest's folder, which other users cannot enter.
    folder = Path(tempfile.mkdtemp(prefix="olmes-postgres-"))
    if os.getuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    data = folder / "data"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def tool(name: str, *arguments: str) -> None:
        subprocess.run(
            [postgresql_tools / name, *arguments], check=True, capture_output=True, cwd=folder,
            timeout=120, **as_postgres(),
        )  # fmt: skip

    tool("initdb", "-D", str(data), "-U", "olmes", "-A", "trust", "-E", "UTF8", "--no-sync")
    settings = f"-h 127.0.0.1 -p {port} -k {folder} -c fsync=off"
    tool("pg_ctl", "-D", str(data), "-w", "-o", settings, "-l", str(folder / "log"), "start")
    count = 0

    def database() -> str:
        nonlocal count
        count += 1
        tool("createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "olmes", f"olmes{count}")
        return f"postgresql+psycopg://olmes@127.0.0.1:{port}/olmes{count}"

    # As after a power cut: nothing is ended in order.
    database.restart = lambda: tool(  # type: ignore[attr-defined]
        "pg_ctl", "-D", str(data), "-w", "-m", "immediate", "-l", str(folder / "log"), "restart"
    )
    yield database
    tool("pg_ctl", "-D", str(data), "-m", "immediate", "stop")
    shutil.rmtree(folder, ignore_errors=True)


def empty_store(request: pytest.FixtureRequest, folder: Path) -> str:
    """Where an empty store of the kind lies that a fixture's parameter says."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgresql")())
    return str(folder / "store")


@pytest.fixture(params=["sqlite", "postgresql"])  # a database is quickly made, a server is not
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty store of each kind."""
    return empty_store(request, tmp_path)


@pytest.fixture(scope="module", params=KINDS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """A server of each kind for the tests of a module, which give their runs names of their own."""
    work = tmp_path_factory.mktemp("server")
    url = empty_store(request, work)
    running = Running(url, work)
    yield running.start()
    if running.process.poll() is None:
        running.stop()


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The echo task's data and a recording that gets ten of twelve right."""
    folder = tmp_path_factory.mktemp("echo")
    (folder / "echo").mkdir()
    words = [f"word{i}" for i in range(12)]
    (folder / "echo/test.jsonl").write_text("".join(json.dumps({"word": w}) + "\n" for w in words))
    answers = [
        {"response": word if i < 10 else "other", "doc_id": i, "tokens": 1}
        for i, word in enumerate(words)
    ]
    (folder / "recording.jsonl").write_text("".join(json.dumps(row) + "\n" for row in answers))
    return folder


@pytest.fixture(scope="session")
def real_run(bench: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run as olmes leaves it."""
    from olmes import evaluate

    out = tmp_path_factory.mktemp("real")
    record = evaluate(
        str(ECHO),
        model=f"replay:{bench / 'recording.jsonl'}",
        data=bench,
        out=out,
        scoring_processes=1,
    )
    return record.folder


@pytest.fixture
def sealed_run(bench: Path, tmp_path: Path) -> Path:
    """A run of a held-out suite, in a store of its own."""
    from olmes import evaluate

    suite = tmp_path / "exam.toml"
    suite.write_text(f'name = "exam"\ntasks = ["{ECHO}"]\nheld_out = true\n', "utf-8")
    record = evaluate(
        str(suite), model=f"replay:{bench / 'recording.jsonl'}", data=bench,
        out=tmp_path / "sealed-runs", look="final", scoring_processes=1,
    )  # fmt: skip
    return record.folder


@pytest.fixture
def copy_run(real_run: Path, tmp_path: Path) -> Callable[..., Path]:
    """Copies of the real run under other names, with samples and numbers that fit together."""

    def make(name: str, *, rows: int = 12, right: int = 10, **model: Any) -> Path:
        data = json.loads((real_run / "run.json").read_text())
        lines = [json.loads(line) for line in (real_run / "samples/echo.jsonl").open()]
        data["id"] = name
        fingerprint = hashlib.sha256(name.encode()).hexdigest()
        data["model"] |= {"name": name, "fingerprint": fingerprint} | model
        task = data["tasks"]["echo"]
        task["n"] = task["items"] = task["data"]["n"] = rows
        task["metrics"]["exact_match"] |= {"value": right / rows, "n": rows}
        task["metrics"]["length_match"] |= {"value": 1.0, "ci_high": 1.0, "n": rows}
        folder = tmp_path / "copies" / name
        (folder / "samples").mkdir(parents=True, exist_ok=True)
        with (folder / "samples/echo.jsonl").open("w") as stream:
            for number in range(rows):
                row = lines[number % len(lines)] | {"doc_id": number, "doc_hash": f"{number:08x}"}
                row["values"] = {"exact_match": float(number < right), "length_match": 1.0}
                stream.write(json.dumps(row) + "\n")
        (folder / "run.json").write_text(json.dumps(data))
        return folder

    return make


@pytest.fixture
def take_exam(bench: Path, tmp_path: Path) -> Callable[..., Path]:
    """Runs of a held-out suite, `take_exam(store, name)`; the weights are by `answers`, or the name."""
    from olmes import evaluate

    suite = tmp_path / "exam.toml"
    suite.write_text(f'name = "exam"\ntasks = ["{ECHO}"]\nheld_out = true\n', "utf-8")

    def run(store: Path, name: str, *, answers: str = "", look: Any = "final") -> Path:
        lines = [json.loads(line) for line in (bench / "recording.jsonl").open()]
        lines[-1]["response"] = answers or name
        recording = tmp_path / f"{name}.jsonl"
        recording.write_text("".join(json.dumps(line) + "\n" for line in lines))
        record = evaluate(
            str(suite), model=f"replay:{recording}", data=bench, out=store, look=look,
            scoring_processes=1,
        )  # fmt: skip
        return record.folder

    return run


@dataclass
class People:
    """A server and the people who have tokens of it."""

    server: Running
    tokens: dict[str, str]

    def client(self, name: str) -> Any:
        from olmes.client.client import Client

        return Client(self.server.url, token=self.tokens[name], patience=5)

    def bring(self, name: str, ledger: Path) -> Any:
        """The server's answer to a ledger."""
        headers = {"authorization": f"Bearer {self.tokens[name]}"}
        url = f"{self.server.url}/api/v1/ledger"
        return requests.post(url, data=ledger.read_bytes(), headers=headers, timeout=120)

    def audit(self) -> list[dict[str, Any]]:
        """The audit log, newest first."""
        entries: list[dict[str, Any]] = self.client("boss")._call(
            "GET", "/audit", params={"limit": 500}
        )["entries"]
        return entries


@pytest.fixture(scope="session", params=KINDS)
def people(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[People]:
    """A server with tokens: `boss` is its admin, `ann`, `bob` and `eve` write, `reader` reads."""
    from olmes.server.access.tokens import create_token
    from olmes.server.store.database import Database

    work = tmp_path_factory.mktemp("people")
    url = empty_store(request, work)
    database = Database(url)
    database.migrate()
    roles = {"boss": "admin", "ann": "write", "bob": "write", "eve": "write", "reader": "read"}
    tokens = {name: create_token(database, name, role) for name, role in roles.items()}
    database.close()
    running = Running(url, work)
    yield People(running.start(), tokens)
    if running.process.poll() is None:
        running.stop()
