"""Odd names of runs and trainings, and odd heads of requests: no page is lost, no answer is a fault."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from olmes.client.client import Client
from olmes.client.start_secret import HEADER, secret_of
from olmes.server.access.guard import host_of, token_of
from olmes.server.refusals import RefusedError

if TYPE_CHECKING:
    from tests.olmes.server.conftest import Running

PAGES = (
    "/leaderboard.html",
    "/runs.html",
    "/ledger.html",
    "/checkpoints.html",
    "/api/v1/leaderboard",
)


def all_answer(url: str, *places: str) -> None:
    """Every page that shows many runs, and some more, answer."""
    for place in (*PAGES, *places):
        answer = requests.get(url + place, timeout=120)
        assert answer.status_code == 200, (place, answer.text[:300])


NAMES = (
    "ledger.jsonl", "ledger.head", "report.html", "run.json", "samples", "cache", "CON", "nul.txt",
    "Run", "run", "a.-._.", "_", "x" * 120, "static", "leaderboard.html",
)  # fmt: skip


@pytest.fixture
def odd_names(copy_run: Callable[..., Path]) -> Callable[[str], Path]:
    """Runs with odd names, a checkpoint each."""
    number = 0

    def make(name: str) -> Path:
        nonlocal number
        number += 1
        return copy_run(name, family="odd names", step=number)

    return make


@pytest.mark.parametrize("pages_first", [pytest.param(True, marks=pytest.mark.slow), False])
def test_a_run_may_have_the_name_of_a_file(
    launch: Callable[..., Running],
    odd_names: Callable[[str], Path],
    tmp_path: Path,
    pages_first: bool,
) -> None:
    if not pages_first:  # as an older olmes did
        left = tmp_path / "server-0/pages/runs/ledger.jsonl"
        left.parent.mkdir(parents=True)
        left.write_text("{}\n")
    server = launch()
    client = Client(server.url, patience=5)
    client.push(odd_names("first"))
    trainings = "/checkpoints.html?family=odd+names"
    if pages_first:
        all_answer(server.url, trainings, "/runs/first/report.html")
    for name in NAMES if pages_first else reversed(NAMES):
        folder = odd_names(name)
        client.push(folder)
        shutil.rmtree(folder)
    all_answer(
        server.url, *(f"/runs/{name}/report.html" for name in ("ledger.jsonl", "Run", "run"))
    )
    all_answer(server.url, *(f"/api/v1/runs/{name}" for name in NAMES))
    all_answer(server.url, trainings, "/api/v1/checkpoints?family=odd+names")
    board = requests.get(f"{server.url}/leaderboard.html", timeout=60).text
    assert all(f'href="runs/{name}/report.html' in board for name in NAMES)


FAMILIES = ("a/../b", "?x=1&y#z %2e", "\U0001f600 é \u202eabc", "'\"><b>\n")


def test_families_of_any_name_have_their_page(
    server: Running, copy_run: Callable[..., Path]
) -> None:
    client = Client(server.url, patience=5)
    for number, family in enumerate(FAMILIES):
        client.push(copy_run(f"family-{number}", family=family, step=number))
        assert [one["run"] for one in client.checkpoints(family)] == [f"family-{number}"]
        answer = requests.get(
            f"{server.url}/checkpoints.html", params={"family": family}, timeout=120
        )
        assert answer.status_code == 200, (family, answer.text[:300])
    all_answer(server.url)


def status_of(port: int, head: bytes, body: bytes = b"") -> int:
    """The status of the answer to a request that no library would send; 0 for a closed line."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as line:
        line.sendall(head.replace(b"\n", b"\r\n") + b"Connection: close\r\n\r\n" + body)
        answer = b""
        while piece := line.recv(65536):
            answer += piece
    return int(answer.split(b" ", 2)[1]) if answer else 0


HOSTS = (
    b"[::1", b"[", b"]", b"[]", b"[::1]x", b"http://[", b"", b"a:b", b"127.0.0.1:port",
    b"127.0.0.1:99999", b"127.0.0.1:-1", b"caf\xe9", b"\xff\xfe", b"a/b", b"a@localhost", b"a b",
    b"localhost#x", b"localhost?x", b"x" * 5000, b"\xc2\xb2", b"[v1.x]", b"[::g]",
)  # fmt: skip


@pytest.mark.parametrize("place", [b"/", b"/runs.html", b"/healthz", b"/api/v1/runs", b"/nothing"])
def test_an_odd_host_is_refused(server: Running, place: bytes) -> None:
    for host in HOSTS:
        status = status_of(server.port, b"GET %s HTTP/1.1\nHost: %s\n" % (place, host))
        assert status in (400, 403), host
    good = b"Host: 127.0.0.1:%d\n" % server.port
    for head in (good + b"Host: evil.example\n", b"Host: [::1\n" + good, good + good):
        assert status_of(server.port, b"GET %s HTTP/1.1\n%s" % (place, head)) == 400
    assert status_of(server.port, b"GET %s HTTP/1.0\n" % place) in (200, 403)


ORIGINS = (
    b"http://[",
    b"http://[::1",
    b"null",
    b"",
    b"\xff",
    b"http://caf\xe9",
    b"://",
    b"[",
    b"http://]",
)


def test_an_odd_origin_is_refused(server: Running) -> None:
    body = b'{"run": "x", "done": 1, "total": 2}'
    own = b"127.0.0.1:%d" % server.port
    head = b"POST /api/v1/progress HTTP/1.1\nHost: %s\nContent-Type: application/json\n" % own
    head += b"Content-Length: %d\n%s: %s\n" % (
        len(body), HEADER.encode(), secret_of(server.url).encode()
    )  # fmt: skip
    for origin in ORIGINS:
        assert status_of(server.port, head + b"Origin: %s\n" % origin, body) in (400, 403), origin
    both = b"Origin: http://%s\nOrigin: http://evil.example\n" % own
    assert status_of(server.port, head + both, body) == 403
    assert status_of(server.port, head + b"Origin: http://%s\n" % own, body) == 204


@pytest.mark.parametrize(
    "head",
    [
        b"Authorization: Basic caf\xe9\n", b"Authorization: Basic \xff\xfe\n",
        b"Authorization: Basic =\n", b"Authorization: Bearer \xff\n", b"Authorization: \xe9\n",
        b"Authorization: Basic 4pyT\n", b"Authorization:\n", b"Cookie: \xff=\xfe\n",
        b"Content-Length: \xb2\n", b"Content-Length: " + b"9" * 5000 + b"\n", b"Content-Length: -1\n",
        b"If-None-Match: \xff\n", b"Accept-Encoding: \xff\n", b"Last-Event-ID: \xff\n",
        b"Range: bytes=9-1\n", b"Sec-Fetch-Site: \xff\n", b"Content-Encoding: \xff\n",
    ],
)  # fmt: skip
def test_an_odd_header_is_no_fault(server: Running, head: bytes) -> None:
    for place in (b"/runs.html", b"/api/v1/runs"):
        own = b"GET %s HTTP/1.1\nHost: 127.0.0.1:%d\n" % (place, server.port)
        assert 200 <= status_of(server.port, own + head) < 500


@pytest.mark.parametrize(
    "place",
    [
        b"/%00", b"/%ff", b"/caf\xe9", b"/runs/%ff/report.html", b"/runs/%00/report.html", b"//",
        b"/api/v1/runs/%ed%a0%bd", b"/static/%ff", b"/" + b"a" * 20000, b"*", b"http://[/", b"/%",
        b"/runs.html?q=%ff&q=%00", b"/runs.html?" + b"a=b&" * 5000, b"/ledger.html/",
        b"/checkpoints.html?family=%ed%a0%bd", b"/api/v1/runs?after=%ff", b"/compare.html?a=%ff&b=%00",
        b"/api/v1/ledger/%2e",
    ],
)  # fmt: skip
def test_an_odd_address_is_no_fault(server: Running, place: bytes) -> None:
    head = b"GET %s HTTP/1.1\nHost: 127.0.0.1:%d\n" % (place, server.port)
    assert status_of(server.port, head) < 500


def test_hosts_with_and_without_a_port_are_read() -> None:
    from starlette.datastructures import Headers

    for said, host in (
        ("LOCALHOST:8765", "localhost"), ("127.0.0.1", "127.0.0.1"), ("[::1]:80", "::1"),
        ("evals.example.org", "evals.example.org"), ("a_b-c:1", "a_b-c"),
    ):  # fmt: skip
        assert host_of(Headers({"host": said})) == host
    assert host_of(Headers({})) == ""
    with pytest.raises(RefusedError, match="not one host"):
        host_of(Headers(raw=[(b"host", b"a"), (b"host", b"b")]))
    assert token_of(Headers(raw=[(b"authorization", b"Basic \xe9")]), "GET") == ""
