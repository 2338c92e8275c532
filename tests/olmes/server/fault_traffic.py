"""Who uses a results server while faults strike it: uploaders, readers, slow clients and a forger."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests

from olmes import OlmesError
from olmes.client.client import AnswerError, Client, files_of
from olmes.seal.ledger import hash_of
from olmes.tools.hashing import content_hash, file_sha256

if TYPE_CHECKING:
    from tests.olmes.server.fault_schedule import Windows

PATIENCE = 15.0
TIMEOUT = 150.0
"""Seconds; a database that is locked makes writers wait for a minute."""


@dataclass
class Sent:
    """What lies on the server by the word of those who sent it."""

    runs: dict[str, tuple[str, Path]] = field(default_factory=dict)
    """By id: content hash and folder of what was accepted last."""
    pending: dict[str, set[str]] = field(default_factory=dict)
    """By id: the content hashes that may be there."""
    failures: list[str] = field(default_factory=list)


def hash_of_run(folder: Path) -> str:
    """A run's content hash; the ledger that comes with a run under seal is no part of it."""
    files = {name: path for name, path in files_of(folder).items() if name != "ledger.jsonl"}
    return content_hash({name: file_sha256(path) for name, path in files.items()})


def watched(client: Client, windows: Windows, who: str) -> Client:
    """A client whose every answer is noted, also those after which it tries again by itself."""

    def note(answer: requests.Response, **_: Any) -> None:
        began = time.monotonic() - answer.elapsed.total_seconds()
        what = f"{who} {answer.request.method} {urlsplit(answer.url or '').path}"
        windows.answered(what, began, answer.status_code, answer.text if not answer.ok else "")

    client.session.hooks["response"].append(note)
    return client


@dataclass
class Uploader:
    """Pushes runs, some twice, some corrected, some under seal; each until the server has it."""

    url: str
    token: str
    name: str
    chance: random.Random
    make: Callable[..., Path]
    sealed: list[Path]
    windows: Windows
    sent: Sent
    over: threading.Event
    pause: float

    def run(self) -> None:
        number = 0
        while not self.over.is_set():
            number += 1
            rows = self.chance.randrange(20, 300)
            name = f"{self.name}-{number}"
            folder = self.make(name, rows=rows, right=self.chance.randrange(rows))
            self.push(folder)
            if self.chance.random() < 0.2:
                self.push(folder)
            if self.chance.random() < 0.2:
                changed = self.make(name, rows=rows, right=self.chance.randrange(rows))
                self.push(changed, replace=True)
            if self.sealed and self.chance.random() < 0.3:
                self.push(self.sealed.pop(0))
            self.over.wait(self.chance.uniform(0, 2 * self.pause))
        while self.sealed:
            self.push(self.sealed.pop(0))

    def push(self, folder: Path, *, replace: bool = False) -> None:
        """Push a run again and again until it is there; anything but a fault's answer is a failure."""
        expected = hash_of_run(folder)
        self.sent.pending.setdefault(folder.name, set()).add(expected)
        deadline = time.monotonic() + 600
        while True:
            try:
                client = Client(self.url, token=self.token, patience=PATIENCE, timeout=TIMEOUT)
                with watched(client, self.windows, f"uploader of {folder.name}") as client:
                    pushed = client.push(folder, replace=replace)
                break
            except AnswerError as error:
                if error.status < 500 and error.field != "upload":
                    self.sent.failures.append(f"{folder.name}: {error.status} {error}")
                    return
            except OlmesError:
                pass  # it does not answer
            if time.monotonic() > deadline:
                self.sent.failures.append(f"{folder.name}: not there after ten minutes")
                return
            time.sleep(1)
        if pushed.content_hash != expected:
            self.sent.failures.append(f"{folder.name}: pushed as {pushed.content_hash}")
        self.sent.runs[folder.name] = (pushed.content_hash, folder)


@dataclass
class Reader:
    """Looks at whatever there is, like people and scripts do."""

    url: str
    token: str
    chance: random.Random
    windows: Windows
    over: threading.Event

    def run(self) -> None:
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {self.token}"
        self.ids: list[str] = []
        while not self.over.wait(self.chance.uniform(0.3, 1.5)):
            if self.chance.random() < 0.02:
                self.listen()
                continue
            place = self.place()
            answer = self.get(place)
            if answer is not None and place.startswith("/api/v1/runs?") and answer.ok:
                self.ids = [run["id"] for run in answer.json()["runs"]]

    def place(self) -> str:
        """An address, of a run that was listed where it is one of a run."""
        fixed = ["/", "/leaderboard.html", "/runs.html", "/ledger.html", "/healthz", "/metrics",
                 "/api/v1/runs?limit=50", "/api/v1/runs?limit=50&sort=created", "/api/v1/ledger",
                 "/api/v1/leaderboard", "/api/v1/progress", "/api/v1/families"]  # fmt: skip
        if not self.ids or self.chance.random() < 0.4:
            return self.chance.choice(fixed)
        run, other = self.chance.choice(self.ids), self.chance.choice(self.ids)
        samples = f"/api/v1/runs/{run}/tasks/echo/samples"
        of_run = [f"/runs/{run}/report.html", f"/api/v1/runs/{run}", f"/api/v1/runs/{run}/run.json",
                  f"{samples}?start={self.chance.randrange(20)}&limit=20", f"{samples}?q=word7",
                  f"{samples}?verdict=wrong", f"{samples}/3", f"/compare.html?a={run}&b={other}",
                  f"/api/v1/compare?a={run}&b={other}"]  # fmt: skip
        return self.chance.choice(of_run)

    def get(self, place: str) -> requests.Response | None:
        began = time.monotonic()
        try:
            answer = self.session.get(self.url + place, timeout=TIMEOUT)
        except requests.RequestException as error:
            self.windows.answered(f"reader {place} ({type(error).__name__})", began, 0)
            return None
        self.windows.answered(f"reader {place}", began, answer.status_code, answer.text[:300])
        # What is listed is there; one under seal is not shown, and two that are one have no difference.
        if answer.status_code == 404:
            self.windows.wrong.append(f"reader {place}: listed, and then not there")
        return answer

    def listen(self) -> None:
        """Follow what happens for a few seconds."""
        with contextlib.suppress(requests.RequestException):
            answer = self.session.get(f"{self.url}/api/v1/events", stream=True, timeout=(10, 5))
            self.windows.answered("reader /api/v1/events", time.monotonic(), answer.status_code)
            until = time.monotonic() + self.chance.uniform(1, 6)
            for _ in answer.iter_lines(chunk_size=1):
                if time.monotonic() > until or self.over.is_set():
                    break
            answer.close()


@dataclass
class SlowClients:
    """Opens connections and sends next to nothing: headers that never end, bodies a byte at a time."""

    url: str
    token: str
    chance: random.Random
    over: threading.Event
    many: int = 60

    def run(self) -> None:
        while not self.over.wait(self.chance.uniform(2, 10)):
            address = urlsplit(self.url)
            opened = []
            for _ in range(self.chance.randrange(5, self.many)):
                with contextlib.suppress(OSError):
                    one = socket.create_connection((address.hostname, address.port), timeout=5)
                    opened.append(one)
                    one.sendall(self.beginning())
            for _ in range(self.chance.randrange(2, 8)):
                if self.over.wait(1):
                    break
                for one in opened:
                    with contextlib.suppress(OSError):
                        one.sendall(b"x")
            for one in opened:
                one.close()

    def beginning(self) -> bytes:
        head = (
            f"Host: {urlsplit(self.url).netloc}\r\nAuthorization: Bearer {self.token}\r\n".encode()
        )
        return self.chance.choice([
            b"", b"GET /leaderboard.html HTTP/1.1\r\n", b"GET / HTTP/1.1\r\n" + head + b"X-A: ",
            b"POST /api/v1/uploads HTTP/1.1\r\nContent-Length: 1000\r\n" + head + b"\r\n{",
            b"POST /api/v1/ledger HTTP/1.1\r\nContent-Length: 90000\r\n" + head + b"\r\n{",
        ])  # fmt: skip


@dataclass
class Forger:
    """A stranger with a token that may write, who sends others' ledgers with lines of his own."""

    url: str
    token: str
    lines: list[dict[str, Any]]
    """The ledger he has, of which the server knows the beginning."""
    chance: random.Random
    windows: Windows
    over: threading.Event
    sent: int = 0

    def run(self) -> None:
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {self.token}"
        while not self.over.wait(self.chance.uniform(1, 6)):
            began = time.monotonic()
            what = "forger /api/v1/ledger"
            try:
                answer = session.get(f"{self.url}/api/v1/ledger", timeout=TIMEOUT)
                self.windows.answered(what, began, answer.status_code, answer.text)
                if not answer.ok:
                    continue
                for body in self.forged(answer.json()["entries"]):
                    began = time.monotonic()
                    answer = session.post(f"{self.url}/api/v1/ledger", data=body, timeout=TIMEOUT)
                    self.windows.answered(what, began, answer.status_code, answer.text)
                    self.sent += 1
                    if answer.ok and answer.json().get("opened"):
                        self.windows.wrong.append("a forged line opened samples")
            except requests.RequestException as error:
                self.windows.answered(f"{what} ({type(error).__name__})", began, 0)

    def forged(self, entries: list[dict[str, Any]]) -> Iterator[bytes]:
        """Bodies: garbage, and of what is there an edited line, a fork, a line more."""
        yield self.chance.choice([b"", b"{", b"[]\n", b"5\n", b"\xff\xfe\n", b"[" * 50_000 + b"\n",
                                  b'{"number": 1e999}\n', b'{"number": "\\ud83d"}\n'])  # fmt: skip
        there = {entry.get("hash") for entry in entries}
        chain = [line for line in self.lines if line["hash"] in there]
        if not chain:
            return
        at = self.chance.randrange(len(chain))
        edited = [dict(line) for line in chain]
        edited[at]["reason"] = "nothing to see"
        yield body_of(edited)
        run = chain[at].get("run", "")
        line = {
            "number": at + 2, "time": "2019-01-01T00:00:00Z", "event": "unseal", "run": run,
            "who": "ann@lab", "reason": "forged \ud83d", "looks_before": 0,
            "previous": chain[at]["hash"],
        }  # fmt: skip
        yield body_of([*chain[: at + 1], line | {"hash": hash_of(line)}])
        more = line | {"number": len(chain) + 1, "previous": chain[-1]["hash"]}
        yield body_of([*chain, more | {"hash": hash_of(more)}])


def body_of(lines: list[dict[str, Any]]) -> bytes:
    """A ledger as it is sent."""
    return b"".join(json.dumps(line).encode("ascii") + b"\n" for line in lines)
