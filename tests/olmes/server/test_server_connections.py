"""Slow and half-open connections are let go, living ones are not: real sockets, a real uvicorn."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn

from olmes.server import connections
from olmes.server.connections import ACCEPTED_AT_ONCE, Connections, Listener, protocol

LARGE = 24 << 20


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Reads the body; answers how long it was, or with a large body."""
    assert scope["type"] == "http"
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    pieces = [b"x" * (1 << 20)] * (LARGE >> 20) if scope["path"] == "/large" else [b"%d" % size]
    length = str(sum(map(len, pieces))).encode()
    head = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]}
    await send(head)
    for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body"})


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., int]]:
    """Serves `app` with short limits; gives the port."""
    servers = []
    monkeypatch.setattr(connections, "HEADER_SECONDS", 1.0)
    monkeypatch.setattr(connections, "LOOK", 2.0)

    def start(most: int = 100) -> int:
        listener = Listener(socket.AF_INET, socket.SOCK_STREAM)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        config = uvicorn.Config(
            app, log_config=None, http=protocol(Connections(most)), ws="none", lifespan="off",
            backlog=ACCEPTED_AT_ONCE, timeout_graceful_shutdown=1,
        )  # fmt: skip
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        servers.append((server, thread))
        while not server.started:
            time.sleep(0.01)
        return int(listener.getsockname()[1])

    yield start
    for server, thread in servers:
        server.should_exit = True
        thread.join()


def connected(port: int, text: bytes = b"") -> socket.socket:
    one = socket.create_connection(("127.0.0.1", port), timeout=60)
    one.sendall(text)
    return one


def is_closed(one: socket.socket) -> bool:
    """Whether the other side ends the connection within a minute."""
    with contextlib.suppress(ConnectionError):
        while one.recv(1000):
            pass
    return True


def answer(one: socket.socket) -> bytes:
    """What comes until the connection ends."""
    found = b""
    while piece := one.recv(1 << 16):
        found += piece
    return found


GET = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
BEGUN = b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "
BODY = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"


def test_who_sends_nothing_or_half_a_request_is_let_go(serve: Callable[..., int]) -> None:
    port = serve()
    kept_alive = connected(port, GET.replace(b"close", b"keep-alive"))
    assert b"200 OK" in kept_alive.recv(1000)
    kept_alive.sendall(BEGUN)
    held = [connected(port), connected(port, BEGUN), connected(port, b"GET"), kept_alive]
    dripping = connected(port, BEGUN)
    with contextlib.suppress(ConnectionError):
        for _ in range(600):  # a byte now and then keeps nothing open
            dripping.sendall(b"a")
            time.sleep(0.1)
        pytest.fail("a connection that never ends its headers stays open")
    assert all(is_closed(one) for one in held)
    assert answer(connected(port, GET)).endswith(b"\r\n\r\n0")


def test_headers_without_an_end_are_refused(serve: Callable[..., int]) -> None:
    one = connected(serve(), BEGUN)
    with contextlib.suppress(ConnectionError):
        for _ in range(100):
            one.sendall(b"a" * 4096)
    with contextlib.suppress(ConnectionError):
        assert b"400 Bad Request" in one.recv(1000)


def test_a_slow_body_that_lives_arrives_and_a_dead_one_is_let_go(
    serve: Callable[..., int],
) -> None:
    port = serve()
    dead = connected(port, BODY % 2000 + b"a" * 10)
    living = connected(port, BODY % 3000)
    for _ in range(30):
        living.sendall(b"a" * 100)
        time.sleep(0.15)
    assert answer(living).endswith(b"\r\n\r\n3000")
    assert is_closed(dead)


@pytest.mark.slow
def test_a_reader_who_reads_slowly_gets_all_and_one_who_does_not_is_let_go(
    serve: Callable[..., int],
) -> None:
    port = serve()
    large = GET.replace(b"/ ", b"/large ")
    dead, living = connected(port, large), connected(port, large)
    size = 0
    while piece := living.recv(1 << 18):
        size += len(piece)
        time.sleep(0.08)
    assert size > LARGE
    # It was let go meanwhile: what lies in the system's buffers is all there is.
    assert len(answer_until_reset(dead)) < LARGE


def answer_until_reset(one: socket.socket) -> bytes:
    found = b""
    with contextlib.suppress(ConnectionError):
        while piece := one.recv(1 << 20):
            found += piece
    return found


def test_half_open_ones_give_way_and_busy_ones_stay(
    serve: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEADER_SECONDS", 600.0)
    monkeypatch.setattr(connections, "LOOK", 600.0)
    port = serve(most=20)
    busy = connected(port, BODY % 10 + b"a")
    time.sleep(0.2)
    held = [connected(port, BEGUN) for _ in range(200)]
    for _ in range(3):
        assert answer(connected(port, GET)).endswith(b"\r\n\r\n0")
    busy.sendall(b"a" * 9)
    assert answer(busy).endswith(b"\r\n\r\n10")
    assert is_closed(held[0])
    for one in held:
        one.close()


def test_one_address_has_half_of_the_places() -> None:
    class Fake:
        """Stands for a connection: addresses other than loopback cannot be had here."""

        def __init__(self, address: str) -> None:
            self.address, self.over = address, False

        def abort(self) -> None:
            self.over = True

    counted = Connections(10)
    many: list[Any] = [Fake("192.0.2.1") for _ in range(8)]
    assert all(counted.add(one) for one in many)
    assert [one.over for one in many] == [True] * 3 + [False] * 5
    for one in many[3:]:
        counted.asks(one)
    late: Any = Fake("192.0.2.1")
    assert not counted.add(late)
    assert counted.add(Fake("192.0.2.2"))  # type: ignore[arg-type]
    counted.rests(many[3])
    assert counted.add(late)
    assert many[3].over
    for one in many:
        counted.remove(one)
    assert counted.of_address == {"192.0.2.1": 1, "192.0.2.2": 1}
