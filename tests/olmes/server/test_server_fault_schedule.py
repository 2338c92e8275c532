"""A server under faults at random, four uploaders, twenty readers and a forger: nothing is lost.

`FAULT_SECONDS` says how long in all, half of it for each kind of database (an hour when it is not set,
and at least a minute each), and `FAULT_SEED` repeats a schedule:

    FAULT_SECONDS=240 FAULT_SEED=7 pytest -n 0 -s tests/olmes/server/test_server_fault_schedule.py
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from olmes import evaluate
from olmes.client.client import Client
from olmes.server.access.tokens import create_token
from olmes.server.settings import Settings
from olmes.server.store.database import Database
from olmes.server.store.store import Store
from olmes.tools import jsonl
from tests.olmes.server.fault_schedule import Disk, Faults, MemoryWatch, Windows
from tests.olmes.server.fault_traffic import Forger, Reader, Sent, SlowClients, Uploader
from tests.olmes.server.shifted_clock import Clock

if TYPE_CHECKING:
    from tests.olmes.server.conftest import Running

SECONDS = max(60.0, float(os.environ.get("FAULT_SECONDS", "3600")) / 2)
SEED = int(os.environ.get("FAULT_SEED", "0")) or int(time.time())
UPLOADERS, READERS = 4, 20
RUNS = 400
"""About as many are uploaded, however long it takes."""
SEALED = 5
MOST_MEMORY = 500.0
"""Megabytes of all the server's processes, shared pages counted once."""
CHECKED = 60
"""Runs whose every sample is read again at the end; of all the content hash is compared."""
EXAM = 'name = "exam"\ntasks = ["{task}"]\nheld_out = true\n'


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    found = Disk(tmp_path / "disk")
    yield found
    found.close()


@pytest.fixture
def sealed(bench: Path, tmp_path: Path) -> list[Path]:
    """Runs of one ledger, each with the ledger as it was after that run."""
    from tests.olmes.server.conftest import ECHO

    suite, out = tmp_path / "exam.toml", tmp_path / "exams"
    suite.write_text(EXAM.format(task=ECHO), "utf-8")
    found = []
    for number in range(SEALED):
        record = evaluate(
            str(suite), model=f"replay:{bench / 'recording.jsonl'}", data=bench, out=out,
            look="final", limit=12 - number, scoring_processes=1,
        )  # fmt: skip
        shutil.copytree(out, tmp_path / f"sealed-{number}")
        found.append(tmp_path / f"sealed-{number}" / record.folder.name)
    return found


@pytest.fixture
def restart_database(request: pytest.FixtureRequest, store: str) -> Callable[[], None] | None:
    """Kills a PostgreSQL as a power cut would and starts it; None for SQLite."""
    if "://" not in store:
        return None
    return request.getfixturevalue("postgresql").restart  # type: ignore[no-any-return]


def tokens_of(store: str) -> dict[str, str]:
    database = Database(store)
    database.migrate()
    roles = {f"uploader{number}": "write" for number in range(UPLOADERS)}
    roles |= {"stranger": "write", "reader": "read", "chief": "admin"}
    made = {name: create_token(database, name, role) for name, role in roles.items()}
    database.close()
    return made


@pytest.mark.slow
def test_nothing_is_lost_under_faults_at_random(
    store: str,
    disk: Disk,
    sealed: list[Path],
    tmp_path: Path,
    new_server: type[Running],
    copy_run: Callable[..., Path],
    restart_database: Callable[[], None] | None,
) -> None:
    print(f"\nFAULT_SEED={SEED}, {SECONDS:.0f} seconds on {store.partition(':')[0][:10]}")
    chance, over, windows, sent = random.Random(SEED), threading.Event(), Windows(), Sent()
    work = disk.folder / "server"
    place = store if "://" in store else str(work / "store")
    work.mkdir()
    tokens, clock = tokens_of(place), Clock(tmp_path)
    running = new_server(place, work, ("--quiet",), environment=clock.environment).start()
    faults = Faults(running, windows, disk, clock, chance, restart_database)
    watch = MemoryWatch(running, faults.serving, over)

    def drawn() -> random.Random:
        return random.Random(chance.random())

    makers = threading.Lock()

    def make(name: str, **more: Any) -> Path:
        """Of one name one after another: what is pushed lies apart from what corrects it."""
        with makers:
            folder = copy_run(name, **more)
            kept = tmp_path / "kept" / str(chance.random()) / name
            shutil.copytree(folder, kept)
            shutil.rmtree(folder)
            return kept

    exams = list(sealed)
    uploaders = [
        Uploader(
            running.url, tokens[f"uploader{number}"], f"run{number}", drawn(), make,
            exams if number == 0 else [], windows, sent, over, max(1.0, SECONDS * UPLOADERS / RUNS),
        )
        for number in range(UPLOADERS)
    ]  # fmt: skip
    readers = [
        Reader(running.url, tokens["reader"], drawn(), windows, over) for _ in range(READERS)
    ]
    lines = [json.loads(line) for line in (sealed[-1].parent / "ledger.jsonl").open()]
    forger = Forger(running.url, tokens["stranger"], lines, drawn(), windows, over)
    slow = SlowClients(running.url, tokens["reader"], drawn(), over)
    people: list[Uploader | Reader | Forger | SlowClients] = [*uploaders, *readers, forger, slow]
    broken: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            broken.append(error)
            raise

    threads = [threading.Thread(target=guarded, args=(one.run,), daemon=True) for one in people]
    for thread in (*threads, watch):
        thread.start()
    end = time.monotonic() + SECONDS
    try:
        while time.monotonic() < end or len(faults.kinds) > len(set(faults.struck)):
            time.sleep(chance.uniform(3, 6) if SECONDS < 300 else chance.uniform(20, 60))
            faults.strike()
    finally:
        if clock.environment:
            clock.step(0)
        over.set()
    for thread in threads:
        thread.join(900)
    try:
        assert not any(thread.is_alive() for thread in threads)
        assert broken == []
        print(
            f"{len(sent.runs)} runs, answers {windows.counts}, memory at most {watch.most:.0f} MB"
        )
        print(f"faults: {faults.struck}; {forger.sent} forged ledgers")
        check_answers(windows, sent, watch)
        check_store(running, tokens["chief"], sent)
        check_backup(place, work, tmp_path, sent)
    finally:
        running.kill()
        for what, count in faults_in((work / "log").read_text("utf-8", "replace")).most_common(20):
            print(f"{count:4} x {what}")


def check_answers(windows: Windows, sent: Sent, watch: MemoryWatch) -> None:
    """No answer but what a fault excuses, and no more memory than is allowed."""
    for what, count in Counter(map(alike, windows.wrong)).most_common(40):
        print(f"{count:4} x {what}")
    assert sent.failures == []
    assert windows.wrong == []
    assert 0 < watch.most < MOST_MEMORY


def faults_in(log: str) -> Counter[str]:
    """The exceptions that a server's log tells of."""
    return Counter(re.findall(r"\\n([\w.]+(?:Error|Exception|Interrupt)\b[^\\\"]{0,200})", log))


def alike(what: str) -> str:
    """Without what differs from one answer of a kind to the next."""
    return re.sub(r"run\d+-\d+|echo0-[\w.-]+|[0-9a-f]{32,}|=\d+", "*", what)


def check_store(running: Running, token: str, sent: Sent) -> None:
    """The server is well, and every run there once and whole."""
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {token}"
    deadline = time.monotonic() + 180
    while (well := session.get(f"{running.url}/healthz", timeout=60)).status_code != 200 or (
        well.json()["status"] != "ok"
    ):
        assert time.monotonic() < deadline, well.text
        time.sleep(1)
    for place in ("/", "/leaderboard.html", "/runs.html", "/ledger.html", "/metrics",
                  "/api/v1/ledger", "/api/v1/leaderboard", "/api/v1/audit"):  # fmt: skip
        assert session.get(running.url + place, timeout=300).status_code == 200, place
    with Client(running.url, token=token, patience=60) as client:
        seen = list(client.runs())
        assert sorted(run["id"] for run in seen) == sorted(sent.runs)
        assert {run["id"]: run["content_hash"] for run in seen} == {
            name: digest for name, (digest, _) in sent.runs.items()
        }
        for name, (_, folder) in list(sent.runs.items())[-CHECKED:]:
            raw = session.get(f"{running.url}/api/v1/runs/{name}/run.json", timeout=60).content
            assert raw == (folder / "run.json").read_bytes()
            page = session.get(f"{running.url}/runs/{name}/report.html", timeout=300)
            assert page.status_code == 200, page.text[:300]
            if (folder / "samples").is_dir():
                rows = list(client.samples(name, "echo"))
                assert rows == list(jsonl.read(folder / "samples/echo.jsonl"))
        assert sum(run["held_out"] for run in seen) == SEALED


def check_backup(place: str, work: Path, tmp_path: Path, sent: Sent) -> None:
    """A backup of it is whole, and gives the same runs back."""
    backup, restored = str(tmp_path / "backup"), str(tmp_path / "restored")
    olmes("backup", "make", backup, "--store", place, "--artifacts", str(work / "artifacts"))
    olmes("backup", "restore", backup, "--store", restored)
    store = Store(Settings(store=restored))
    try:
        assert store.count_runs()[0] == len(sent.runs)
    finally:
        store.database.close()


def olmes(*words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "olmes", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
