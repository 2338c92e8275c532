"""A server behind TLS of a private authority, and a proxy on the way: with a token as without one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from olmes import OlmesError
from olmes.client.client import AnswerError, Client
from olmes.client.session import BUNDLES, without_password
from olmes.client.start_secret import HEADER, write_secret
from olmes.server.access.tokens import create_token
from olmes.server.store.database import Database
from tests.conftest import missing

TLS = """
import sys, uvicorn
from olmes.server.app import create_app
from olmes.server.settings import Settings
store, port, folder = sys.argv[1:]
app = create_app(Settings(store=store))
files = {"ssl_certfile": f"{folder}/server.pem", "ssl_keyfile": f"{folder}/server.key"}
uvicorn.run(app, port=int(port), **files)
"""


@dataclass
class Secured:
    """A server that speaks TLS, its authority's certificate and a token."""

    url: str
    authority: Path
    token: str


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a private authority and a certificate of its for `localhost`."""
    folder = tmp_path_factory.mktemp("authority")
    program = shutil.which("openssl") or missing("openssl", "openssl")

    def openssl(*arguments: str) -> None:
        subprocess.run([program, *arguments], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "rsa:2048", "-nodes")
    openssl(
        "req", "-x509", *key, "-days", "2", "-subj", "/CN=private authority", "-keyout", "ca.key",
        "-out", "ca.pem", "-addext", "keyUsage=critical,keyCertSign",
    )  # fmt: skip
    openssl("req", *key, "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr")
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    openssl(
        "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2",
        "-CAcreateserial", "-extfile", "names", "-out", "server.pem",
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def secured(authority: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    store = tmp_path_factory.mktemp("secured") / "store"
    database = Database(str(store))
    database.migrate()
    token = create_token(database, "ann", "write")
    database.close()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-c", TLS, str(store), str(port), str(authority)],
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            break
        except OSError:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
    yield Secured(f"https://localhost:{port}", authority / "ca.pem", token)
    process.kill()
    process.wait()


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No proxy, no authority and no .netrc of whoever runs the tests."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in BUNDLES:
            monkeypatch.delenv(name)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


@pytest.mark.slow
def test_a_private_authority_is_believed_with_a_token_too(
    secured: Secured, copy_run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    client = Client(secured.url, token=secured.token, patience=60)
    began = time.monotonic()
    with pytest.raises(OlmesError, match=r"is not trusted \(.*REQUESTS_CA_BUNDLE"):
        client.push(copy_run("secured"))
    assert time.monotonic() - began < 50  # asking again would not help, and is not done
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "nowhere.pem"))
    with pytest.raises(OlmesError, match=r"\$REQUESTS_CA_BUNDLE names .*nowhere.pem, which is no"):
        client.push(copy_run("secured"))
    (tmp_path / "empty.pem").write_text("no certificate")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "empty.pem"))
    with pytest.raises(OlmesError, match=r"\$REQUESTS_CA_BUNDLE names .*empty.pem, which is no"):
        Client(secured.url, token=secured.token, patience=60).running()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(secured.authority))
    # What a .netrc says of the host does not take the token's place.
    (tmp_path / "netrc").write_text("default login ann password of-another-service\n")
    (tmp_path / "netrc").chmod(0o600)
    assert client.push(copy_run("secured")).new
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    monkeypatch.setenv("SSL_CERT_FILE", str(secured.authority))
    Client(secured.url, token=secured.token, patience=1).running()


def test_a_server_without_tls_is_told_at_once() -> None:
    with socket.socket() as plain:
        plain.bind(("127.0.0.1", 0))
        plain.listen()
        threading.Thread(target=answer_plainly, args=(plain,), daemon=True).start()
        client = Client(f"https://127.0.0.1:{plain.getsockname()[1]}", patience=60)
        with pytest.raises(OlmesError, match="does not speak TLS; write http://"):
            client.running()


def answer_plainly(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    connection.close()


@dataclass
class Passed:
    """What went through a proxy."""

    tunnels: list[str] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def proxy() -> Iterator[Passed]:
    """A proxy that passes tunnels on, and answers plain requests itself."""
    passed = Passed()

    class Handler(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            passed.tunnels.append(self.path)
            host, _, port = self.path.rpartition(":")
            there = socket.create_connection((host, int(port)))
            self.send_response(200)
            self.end_headers()
            threading.Thread(target=pump, args=(self.connection, there), daemon=True).start()
            pump(there, self.connection)

        def do_GET(self) -> None:
            passed.requests.append((self.path, dict(self.headers.items())))
            self.send_response(200)
            self.send_header("content-length", "14")
            self.end_headers()
            self.wfile.write(b'{"running":[]}')

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    passed.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield passed
    server.shutdown()
    server.server_close()


def pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@pytest.mark.slow
def test_a_proxy_of_the_environment_is_used_with_a_token_too(
    secured: Secured, proxy: Passed, copy_run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(secured.authority))
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    with Client(secured.url, token=secured.token, patience=5) as client:
        assert client.push(copy_run("proxied")).new
    assert set(proxy.tunnels) == {secured.url.removeprefix("https://")}
    before = len(proxy.tunnels)
    monkeypatch.setenv("NO_PROXY", "localhost")
    with Client(secured.url, token=secured.token, patience=5) as client:
        client.running()
    assert len(proxy.tunnels) == before
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    client = Client(secured.url, token=secured.token, patience=0.2)
    with pytest.raises(OlmesError, match=r"the proxy on the way.*\$HTTPS_PROXY"):
        client.running()


def test_a_proxy_does_not_get_the_secret_of_this_machine_s_server(
    proxy: Passed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    with Client("http://127.0.0.1:9", patience=0) as client:
        assert client.running() == []
    assert proxy.requests[0][0] == "http://127.0.0.1:9/api/v1/progress"
    write_secret(9)  # now it is a server that this account started here
    with Client("http://127.0.0.1:9", patience=0) as client, pytest.raises(OlmesError):
        client.running()
    assert len(proxy.requests) == 1
    assert all(HEADER not in {name.lower() for name in found} for _, found in proxy.requests)


def test_a_request_that_met_a_restart_is_sent_with_the_new_secret() -> None:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.headers[HEADER])
            self.rfile.read(int(self.headers["content-length"]))
            if len(asked) == 1:
                asked.append(write_secret(port))
            self.send_response(204 if self.headers[HEADER] == asked[1] else 403)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    first = write_secret(port)
    with Client(f"http://127.0.0.1:{port}", patience=0) as client:
        client.progress("a", 1, 2)
    assert asked == [first, asked[1], asked[1]]
    server.shutdown()
    server.server_close()


@dataclass
class Sender:
    """A server that sends everybody on to another address, and what it and that one were asked."""

    url: str = ""
    target: str = ""
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)


@pytest.fixture
def sender() -> Iterator[Sender]:
    found = Sender()

    class Handler(BaseHTTPRequestHandler):
        def send_on(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            found.asked.append((self.path, headers))
            there = self.path.startswith("/there")
            self.send_response(200 if there else 307)
            self.send_header("content-length", "14" if there else "0")
            if not there:
                self.send_header("location", found.target)
            self.end_headers()
            if there:
                self.wfile.write(b'{"running":[]}')

        do_GET = do_POST = send_on  # noqa: N815

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    found.target = f"http://localhost:{server.server_address[1]}/there"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield found
    server.shutdown()
    server.server_close()


def test_whoever_a_server_sends_on_to_gets_no_token(
    sender: Sender, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine localhost login ann password of-another-service\n")
    write_secret(int(sender.url.rpartition(":")[2]))
    with Client(sender.url, token="olmes_secret", patience=0) as client:
        assert client.running() == []
    (_, first), (_, second) = sender.asked
    assert first["authorization"] == "Bearer olmes_secret"
    assert HEADER in first
    assert "authorization" not in second
    assert HEADER not in second
    # What changes something is not sent on: it would arrive without its body.
    client = Client(sender.url, token="olmes_secret", patience=0)
    with pytest.raises(AnswerError, match="sends on to http://localhost.*/there"):
        client.progress("a", 1, 2)
    assert len(sender.asked) == 3


def test_a_password_in_a_server_s_address_is_not_shown() -> None:
    assert without_password("https://ann:S3CRET@runs.example:8443/x?y") == (
        "https://runs.example:8443/x?y"
    )
    assert without_password("http://ann:S3CRET@[runs") == "http://[runs"
    said: list[str] = []
    client = Client("http://ann:S3CRET@127.0.0.1:9", patience=0.1, say=said.append)
    with pytest.raises(OlmesError) as told:
        client.running()
    assert "S3CRET" not in str(told.value) + "".join(said)
    assert "127.0.0.1:9" in str(told.value)
    with pytest.raises(OlmesError) as told:
        Client("ftp://ann:S3CRET@runs.example")
    assert "S3CRET" not in str(told.value)
