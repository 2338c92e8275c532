"""Who asks when something stands in between: nobody's word is taken but a named proxy's."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from starlette.datastructures import Headers

from olmes import OlmesError
from olmes.client.client import AnswerError, Client
from olmes.client.start_secret import HEADER, secret_file, secret_of, write_secret
from olmes.server.access.guard import local_caller
from olmes.server.access.proxies import came_by_proxy, networks_of, seen_by_proxies
from olmes.server.access.tokens import ROLES, create_token
from olmes.server.refusals import RefusedError
from olmes.server.serving import check_host
from olmes.server.settings import Settings
from olmes.server.store.database import Database

if TYPE_CHECKING:
    from tests.olmes.server.conftest import Running

    Locked = tuple[Running, dict[str, str], Database]

CHANGES = [
    ("POST", "/api/v1/uploads"),
    ("POST", "/api/v1/progress"),
    ("POST", "/api/v1/ledger"),
    ("PUT", f"/api/v1/uploads/{'0' * 32}/files/0"),
    ("POST", f"/api/v1/uploads/{'0' * 32}/commit"),
    ("DELETE", f"/api/v1/uploads/{'0' * 32}"),
    ("DELETE", "/api/v1/runs/there"),
    ("GET", "/api/v1/audit"),
]


class PlainProxy(ThreadingHTTPServer):
    """What nginx does with nothing but a `proxy_pass`: the server's own name, no word of itself."""

    daemon_threads = True

    def __init__(self, port: int, version: int, **added: str) -> None:
        super().__init__(("127.0.0.1", 0), PlainHandler)
        self.port, self.version, self.added = port, version, added
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class PlainHandler(BaseHTTPRequestHandler):
    server: PlainProxy

    def pass_on(self) -> None:
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        upstream._http_vsn = self.server.version  # type: ignore[attr-defined]
        upstream._http_vsn_str = f"HTTP/1.{self.server.version - 10}"  # type: ignore[attr-defined]
        headers = dict(self.headers.items()) | self.server.added
        headers |= {"Host": f"127.0.0.1:{self.server.port}", "Connection": "close"}
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        upstream.request(self.command, self.path, body, headers)
        answer = upstream.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = pass_on  # noqa: N815

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def open_server(
    tmp_path_factory: pytest.TempPathFactory, new_server: type[Running]
) -> Iterator[Running]:
    """A server without tokens."""
    work = tmp_path_factory.mktemp("open")
    running = new_server(str(work / "store"), work).start()
    yield running
    running.kill()


def statuses(url: str, **options: Any) -> set[int]:
    """What the requests that change something, or are an admin's, are answered."""
    return {
        requests.request(method, url + path, json={}, timeout=60, **options).status_code
        for method, path in CHANGES
    }


def test_without_tokens_a_hidden_proxy_is_no_way_to_change_anything(
    open_server: Running, copy_run: Callable[..., Path]
) -> None:
    Client(open_server.url, patience=1).push(copy_run("there"))
    for version in (10, 11):
        proxy = PlainProxy(open_server.port, version)
        assert statuses(proxy.url) == {403}, version
        assert requests.get(f"{proxy.url}/healthz", timeout=60).ok
        # What speaks HTTP/1.0 is a proxy for sure, and is not even shown anything.
        looked = requests.get(f"{proxy.url}/runs.html", timeout=60)
        assert looked.status_code == (403 if version == 10 else 200)
    for name in ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Via", "Forwarded"):
        proxy = PlainProxy(open_server.port, 11, **{name: "x"})
        assert statuses(proxy.url) == {403}
        assert requests.get(f"{proxy.url}/runs.html", timeout=60).status_code == 403, name
    with Client(open_server.url) as client:
        assert [run["id"] for run in client.runs()] == ["there"]


def test_the_account_that_started_a_server_proves_itself(
    open_server: Running, copy_run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = open_server.url
    # Anybody on this machine may look, and change nothing.
    assert requests.get(f"{url}/runs.html", timeout=60).ok
    assert requests.get(f"{url}/api/v1/runs", timeout=60).ok
    assert statuses(url) == {403}
    path = secret_file(open_server.port)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o077 == 0
    for wrong in ("", "x" * 43, path.read_text()[:-1], path.read_text() + "x"):
        assert statuses(url, headers={HEADER: wrong}) == {403}
    assert 403 not in statuses(url, headers={HEADER: path.read_text()})
    assert 403 not in statuses(url, headers={"Authorization": f"Bearer {path.read_text()}"})
    # A token of some other server's changes nothing about who this is.
    monkeypatch.setenv("OLMES_TOKEN", "olmes_of_a_team")
    with Client(url, patience=1) as client:
        assert client.push(copy_run("own")).new
        client._call("DELETE", "/runs/own")
        [removed] = [e for e in client._call("GET", "/audit")["entries"] if e["target"] == "own"][
            :1
        ]
        assert (removed["action"], removed["who"]) == ("run removed", "local")
    # Of an account that has no secret, the refusal says what to do.
    monkeypatch.setenv("XDG_STATE_HOME", str(open_server.work / "elsewhere"))
    with Client(url, patience=1) as client, pytest.raises(AnswerError, match="olmes token create"):
        client.push(copy_run("own"))


@pytest.mark.slow
def test_the_secret_goes_with_the_server_and_with_the_first_token(
    launch: Callable[..., Running],
) -> None:
    running = launch()
    first = secret_file(running.port).read_text()
    client = Client(running.url, patience=1)
    client._call("GET", "/audit")
    running.stop()
    assert not secret_file(running.port).exists()
    running.start()
    assert secret_file(running.port).read_text() != first
    client._call("GET", "/audit")  # with the new one, by itself
    database = Database(running.store)
    create_token(database, "ann", "admin")
    database.close()
    time.sleep(2.5)
    with pytest.raises(AnswerError, match="needs a token") as refused:
        client._call("GET", "/audit")
    assert refused.value.status == 401
    running.kill()  # and leaves its secret
    running.start()
    assert not secret_file(running.port).exists()


def test_a_secret_is_sent_to_this_machine_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = write_secret(18765)
    assert secret_of("http://127.0.0.1:18765/api") == secret
    assert secret_of("http://localhost:18765") == secret
    assert secret_of("http://[::1]:18765") == secret
    for other in (
        "http://server.example:18765", "https://127.0.0.1:18765", "http://127.0.0.1:18766",
        "http://127.0.0.1.example:18765", "http://127.0.0.1", "http://[", "http://192.0.2.1:18765",
    ):  # fmt: skip
        assert secret_of(other) == ""


@pytest.mark.parametrize(
    "name",
    [
        "forwarded", "via", "x-real-ip", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host",
        "x-forwarded-server", "x-forwarded", "cf-connecting-ip", "true-client-ip", "X-Forwarded-Port",
    ],
)  # fmt: skip
def test_a_request_that_says_it_was_passed_on_is_not_from_this_machine(name: str) -> None:
    headers = Headers({"host": "localhost", name: "127.0.0.1", HEADER: "secret"})
    assert came_by_proxy({}, headers)
    with pytest.raises(RefusedError):
        local_caller(headers, "127.0.0.1", "secret")


NAMED = networks_of(["10.0.0.0/24", "127.0.0.1", "2001:db8::/32"])


@pytest.mark.parametrize(
    ("peer", "headers", "client"),
    [
        ("10.0.0.1", {}, "10.0.0.1"),
        ("10.0.0.1", {"x-forwarded-for": "192.0.2.7"}, "192.0.2.7"),
        # What the client wrote itself stands further left.
        ("10.0.0.1", {"x-forwarded-for": "127.0.0.1, 198.51.100.1, 192.0.2.7"}, "192.0.2.7"),
        ("10.0.0.1", {"x-forwarded-for": "192.0.2.7, 10.0.0.9, 127.0.0.1"}, "192.0.2.7"),
        ("10.0.0.1", {"x-forwarded-for": "10.0.0.8,10.0.0.9"}, "10.0.0.8"),
        ("10.0.0.1", {"x-forwarded-for": "192.0.2.7:5113"}, "192.0.2.7"),
        ("10.0.0.1", {"x-forwarded-for": "[2001:db9::7]:80"}, "2001:db9::7"),
        ("10.0.0.1", {"x-forwarded-for": "2001:db9::7"}, "2001:db9::7"),
        ("10.0.0.1", {"x-forwarded-for": "::ffff:192.0.2.7"}, "192.0.2.7"),
        ("::ffff:10.0.0.1", {"x-forwarded-for": "192.0.2.7"}, "192.0.2.7"),
        ("2001:db8::1", {"x-forwarded-for": "192.0.2.7"}, "192.0.2.7"),
        ("10.0.0.1", {"x-forwarded-for": "192.0.2.7, unknown"}, "10.0.0.1"),
        ("10.0.0.1", {"x-forwarded-for": "192.0.2.7, <script>"}, "10.0.0.1"),
        ("10.0.0.1", {"x-forwarded-for": ", ,"}, "10.0.0.1"),
        ("10.0.0.1", {"forwarded": "for=192.0.2.7;proto=https"}, "192.0.2.7"),
        ("10.0.0.1", {"forwarded": 'for="[2001:db9::7]:4711"'}, "2001:db9::7"),
        ("10.0.0.1", {"forwarded": 'for=127.0.0.1, For="192.0.2.7:99" ; by=x'}, "192.0.2.7"),
        ("10.0.0.1", {"forwarded": 'for=";,for=192.0.2.8", for=192.0.2.7'}, "192.0.2.7"),
        ("10.0.0.1", {"forwarded": "for=192.0.2.7, for=_hidden"}, "10.0.0.1"),
        ("10.0.0.1", {"forwarded": "garbage"}, "10.0.0.1"),
        ("10.0.0.1", {"x-real-ip": "192.0.2.7"}, "192.0.2.7"),
        # Two that say different things: one was written by the client.
        ("10.0.0.1", {"x-forwarded-for": "192.0.2.7", "forwarded": "for=192.0.2.8"}, "10.0.0.1"),
        ("10.0.0.1", {"x-forwarded-for": "192.0.2.7", "forwarded": "for=192.0.2.7"}, "192.0.2.7"),
        ("10.0.0.1", {"x-forwarded-for": "192.0.2.7", "x-real-ip": "192.0.2.8"}, "192.0.2.7"),
        # Whoever is not named is not believed.
        ("192.0.2.9", {"x-forwarded-for": "127.0.0.1"}, "192.0.2.9"),
        ("192.0.2.9", {"forwarded": "for=127.0.0.1"}, "192.0.2.9"),
        ("192.0.2.9", {"x-real-ip": "127.0.0.1"}, "192.0.2.9"),
        ("10.0.1.1", {"x-forwarded-for": "127.0.0.1"}, "10.0.1.1"),
        ("", {"x-forwarded-for": "127.0.0.1"}, ""),
    ],
)
def test_the_client_is_the_first_from_the_right_that_is_no_named_proxy(
    peer: str, headers: dict[str, str], client: str
) -> None:
    assert seen_by_proxies(peer, Headers(headers), NAMED).address == client


def test_lines_of_one_header_are_one_header() -> None:
    raw = [(b"x-forwarded-for", b"127.0.0.1"), (b"x-forwarded-for", b"192.0.2.7")]
    assert seen_by_proxies("10.0.0.1", Headers(raw=raw), NAMED).address == "192.0.2.7"


@pytest.mark.parametrize(
    ("headers", "scheme", "host"),
    [
        ({"x-forwarded-proto": "https", "x-forwarded-host": "runs.example"}, "https", "runs.example"),
        ({"x-forwarded-proto": "http, HTTPS", "x-forwarded-host": "a, b:8443"}, "https", "b:8443"),
        ({"forwarded": "for=192.0.2.7;proto=https;host=runs.example"}, "https", "runs.example"),
        ({"forwarded": 'host="[::1]:80"; for=192.0.2.7'}, "", "[::1]:80"),
        ({"x-forwarded-proto": "javascript", "x-forwarded-host": "a/b?<c>"}, "", ""),
        ({}, "", ""),
    ],
)  # fmt: skip
def test_scheme_and_host_are_the_named_proxy_s_too(
    headers: dict[str, str], scheme: str, host: str
) -> None:
    hop = seen_by_proxies("10.0.0.1", Headers(headers), NAMED)
    assert (hop.scheme, hop.host) == (scheme, host)
    stranger = seen_by_proxies("192.0.2.9", Headers(headers), NAMED)
    assert (stranger.scheme, stranger.host) == ("", "")


def test_a_named_proxy_brings_others_so_there_must_be_a_token(tmp_path: Path) -> None:
    settings = Settings(store=str(tmp_path / "store"))
    assert not check_host(settings, "127.0.0.1")
    with pytest.raises(OlmesError, match="olmes token create"):
        check_host(settings, "127.0.0.1", proxied=True)
    for wrong in ("proxy.example", "10.0.0.1:80", "", "10.0.0.0/99"):
        with pytest.raises(OlmesError, match="is not an address"):
            networks_of([wrong])


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory, new_server: type[Running]) -> Iterator[Locked]:
    """A server with tokens behind a proxy that it is told of."""
    work = tmp_path_factory.mktemp("locked")
    running = new_server(
        str(work / "store"), work, ("--proxy", "127.0.0.1", "--proxy", "10.0.0.0/8")
    )
    database = Database(running.store)
    database.migrate()
    tokens = {role: create_token(database, role, role) for role in ROLES}
    yield running.start(), tokens, database
    running.kill()
    database.close()


def bearer(token: str, **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", **more}


def test_a_right_token_passes_however_many_wrong_ones_come_from_its_address(locked: Locked) -> None:
    running, tokens, database = locked

    def ask(token: str, address: str) -> int:
        headers = bearer(token, **{"X-Forwarded-For": f"127.0.0.1, {address}"})
        return requests.get(f"{running.url}/api/v1/runs", headers=headers, timeout=60).status_code

    assert {ask(f"wrong{n}", "192.0.2.66") for n in range(14)} == {401, 429}
    assert ask("wrong", "192.0.2.66") == 429
    # One that this process has never seen, one from another address, and a made one.
    assert ask(tokens["read"], "192.0.2.66") == 200
    assert ask("wrong", "192.0.2.67") == 401
    assert ask(create_token(database, "late", "read"), "192.0.2.66") == 200
    # The audit log and the server's log have the client's address, not the proxy's.
    entries = requests.get(
        f"{running.url}/api/v1/audit", headers=bearer(tokens["admin"]), timeout=60
    ).json()["entries"]
    failed = {e["address"] for e in entries if e["action"] == "wrong token"}
    assert failed == {"192.0.2.66", "192.0.2.67"}
    assert '"address": "192.0.2.66"' in running.log()


@pytest.mark.slow
def test_a_right_token_passes_also_after_a_restart_among_wrong_ones(locked: Locked) -> None:
    running, tokens, _ = locked
    running.kill()
    running.start()

    def ask(token: str) -> int:
        return requests.get(
            f"{running.url}/api/v1/runs", headers=bearer(token), timeout=60
        ).status_code

    assert {ask(f"wrong{n}") for n in range(14)} == {401, 429}
    assert ask(tokens["write"]) == 200


def test_origin_and_links_are_of_the_proxy_s_name(locked: Locked) -> None:
    running, tokens, _ = locked
    told = {"X-Forwarded-Host": "runs.example", "X-Forwarded-Proto": "https"}
    body: dict[str, Any] = {"run": "a", "done": 1, "total": 2}

    def report(**headers: str) -> int:
        return requests.post(
            f"{running.url}/api/v1/progress", json=body, headers=bearer(tokens["write"], **headers),
            timeout=60,
        ).status_code  # fmt: skip

    assert report(Origin="https://runs.example", **told) == 204
    assert report(Origin="https://evil.example", **told) == 403
    assert report(Origin="https://runs.example") == 403
    page = requests.get(
        f"{running.url}/runs.html", headers=bearer(tokens["read"], **told), timeout=60
    ).text
    assert "https://runs.example" in page


@pytest.mark.slow
def test_a_secret_that_cannot_be_kept_leaves_a_server_to_look_at(
    launch: Callable[..., Running], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    running = launch("", environment={"XDG_STATE_HOME": str(tmp_path / "file")})
    first, second, *_ = running.log().splitlines()
    assert first == running.url or second == running.url  # beside the log, on standard error
    assert "read-only: " in running.log()
    assert requests.get(f"{running.url}/runs.html", timeout=60).ok
    assert statuses(running.url) == {403}
