"""A real web server on this machine, a tiny benchmark of two items a file, and a clean surrounding."""

from __future__ import annotations

import gzip
import hashlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from olmes import (
    DataFile,
    Formulation,
    Generation,
    Metric,
    Request,
    Response,
    Source,
    Task,
    Verdict,
)
from olmes.data import network
from olmes.data.dataset import content_hash

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def surrounding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the machine reaches a test, and no test the machine."""
    for name in ("OLMES_DATA", "OLMES_OFFLINE", "OLMES_GITHUB_RAW", "OLMES_HUB_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(network, "_answers", {})


@dataclass
class Web:
    """What the server answers by path, and what it was asked."""

    base: str
    answers: dict[str, Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def serve(self, path: str, body: bytes) -> None:
        self.answers[path] = lambda handler: _answer(handler, 200, body)

    def fail(self, path: str, status: int) -> None:
        self.answers[path] = lambda handler: _answer(handler, status, b"")

    def cut(self, path: str, body: bytes) -> None:
        """Promise the whole body, send half of it and hang up."""

        def answer(handler: BaseHTTPRequestHandler) -> None:
            _start(handler, 200, len(body))
            handler.wfile.write(body[: len(body) // 2])

        self.answers[path] = answer

    def stall(self, path: str, body: bytes, seconds: float) -> None:
        """Send half of the body, then nothing for a while."""

        def answer(handler: BaseHTTPRequestHandler) -> None:
            _start(handler, 200, len(body))
            handler.wfile.write(body[: len(body) // 2])
            handler.wfile.flush()
            time.sleep(seconds)

        self.answers[path] = answer

    def together(self, path: str, body: bytes, clients: int) -> None:
        """Answer only when this many clients are asking at the same time."""
        barrier = threading.Barrier(clients, timeout=20)

        def answer(handler: BaseHTTPRequestHandler) -> None:
            barrier.wait()
            _answer(handler, 200, body)

        self.answers[path] = answer

    def gets(self) -> list[str]:
        return [path for method, path in self.asked if method == "GET"]


def _start(handler: BaseHTTPRequestHandler, status: int, length: int) -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", "application/octet-stream")
    handler.send_header("Content-Length", str(length))
    handler.end_headers()


def _answer(handler: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
    _start(handler, status, len(body))
    handler.wfile.write(body)


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """A running server that stands where GitHub's raw files are."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            found.asked.append(("HEAD", self.path))
            # As GitHub does; whoever follows it does not arrive.
            self.send_response(301)
            self.send_header("Location", "http://host.invalid/")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            found.asked.append(("GET", self.path))
            answer = found.answers.get(self.path)
            if answer is None:
                _answer(self, 404, b"")
            else:
                answer(self)

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    found = Web(base=f"http://127.0.0.1:{server.server_address[1]}")
    monkeypatch.setenv("OLMES_GITHUB_RAW", found.base)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def closed_port() -> str:
    """The address of a port on which nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


class Capitals(Task):
    """The smallest task there can be; each test gives it the source it is about."""

    name = "capitals"
    title = "Capitals"
    metrics = (Metric(name="exact_match", help="the capital, as a string"),)
    primary = "exact_match"
    formulation = Formulation(generation=Generation(max_tokens=8))

    def __init__(self, source: Source, reference: str = "") -> None:
        self.source = source  # type: ignore[misc]  # an attribute of the class in a real task
        self.reference = reference

    def request(self, doc: dict[str, Any]) -> Request:
        return Request(prompt=doc["country"], generation=self.formulation.generation)

    def gold(self, doc: dict[str, Any]) -> str:
        return str(doc["capital"])

    def score(self, doc: dict[str, Any], response: Response) -> Verdict:
        return Verdict(values={"exact_match": float(response.text == self.gold(doc))})

    def perfect_response(self, doc: dict[str, Any], *, corrupt: bool = False) -> Response:
        return Response(text="" if corrupt else self.gold(doc))

    def subtask(self, doc: dict[str, Any]) -> str:
        return str(doc.get("continent", ""))


ROWS = [{"country": "Österreich", "capital": "Wien"}, {"country": "Chile", "capital": "Santiago"}]
FIELDS = ("country", "capital")


def lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


@dataclass
class Official:
    """The tiny benchmark as its makers published it."""

    content: bytes = field(default_factory=lambda: lines(ROWS))
    rows: list[dict[str, Any]] = field(default_factory=lambda: list(ROWS))
    path: str = "capitals/test.jsonl.gz"
    original: str = "data/te st.jsonl"

    @property
    def file(self) -> DataFile:
        return DataFile(
            path=self.path,
            github=f"atlas/capitals:{self.original}@{COMMIT}",
            sha256=hashlib.sha256(self.content).hexdigest(),
            rows=len(self.rows),
        )

    @property
    def source(self) -> Source:
        empty = Source(files=(self.file,), fields=FIELDS, content_hash="")
        return self.with_hash(empty, [("", self.rows)])

    @staticmethod
    def with_hash(source: Source, parts: list[tuple[str, list[dict[str, Any]]]]) -> Source:
        return Source(
            files=source.files,
            fields=source.fields,
            content_hash=content_hash(source, parts),
            hub=source.hub,
            from_hub=source.from_hub,
            licence="CC0",
        )

    @property
    def web_path(self) -> str:
        return f"/atlas/capitals/{COMMIT}/{self.original.replace(' ', '%20')}"

    def task(self, **changes: Any) -> Capitals:
        fields = {
            name: getattr(self.source, name)
            for name in ("files", "fields", "content_hash", "hub", "from_hub", "licence")
        }
        return Capitals(Source(**{**fields, **changes}))

    def write(self, folder: Path, rows: list[dict[str, Any]] | None = None) -> Path:
        """Put the file, or one with other rows, below a data folder."""
        path = folder / self.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(self.content if rows is None else lines(rows)))
        return path


@pytest.fixture
def official() -> Official:
    return Official()


@pytest.fixture
def said() -> list[str]:
    """The lines that went to the screen: pass `said.append` as `say`."""
    return []


def cache_entries(folder: Path) -> list[str]:
    """Every file below a folder."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


@pytest.fixture
def kept(tmp_path: Path) -> Callable[[], list[str]]:
    """Lists every file in the user's cache."""
    return lambda: cache_entries(tmp_path / "cache")


@pytest.fixture
def make_task() -> Callable[..., Capitals]:
    """The tiny task with a source of one's own."""
    return Capitals
