"""A server that answers as no results server would: what a wrong port or a login page says."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

UPLOAD: dict[str, Any] = {
    "state": "open",
    "upload": "u",
    "content_hash": "c",
    "run": None,
    "files": [],
}


class Odd(http.server.BaseHTTPRequestHandler):
    """Answers as its server was told to; what a results server never would."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def reply(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.asked.append(f"{self.command} {self.path.partition('?')[0]}")  # type: ignore[attr-defined]
        self.server.answer(self)  # type: ignore[attr-defined]

    do_GET = do_POST = do_PUT = reply  # noqa: N815

    def send(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def abort(self) -> None:
        """Reset the connection."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()


Answer = Callable[[Odd], None]


def status(code: int) -> Answer:
    body = json.dumps({"error": {"field": "", "message": f"refused with {code}."}}).encode()
    return lambda odd: odd.send(code, body)


def as_json(**answers: Any) -> Answer:
    """Answers by the last part of the address; an empty object where none is given."""
    return lambda odd: odd.send(
        200, json.dumps(answers.get(odd.path.partition("?")[0].split("/")[-1], {})).encode()
    )


def half(odd: Odd) -> None:
    odd.send_response(200)
    odd.send_header("content-length", "1000")
    odd.end_headers()
    odd.wfile.write(b'{"state": ')
    odd.close_connection = True


def login_page(odd: Odd) -> None:
    odd.send(200, b"<html>please log in \x1b[31m</html>", "text/html")


def redirected(odd: Odd) -> None:
    odd.send_response(302)
    odd.send_header("location", odd.path)
    odd.send_header("content-length", "0")
    odd.end_headers()


def hanging(odd: Odd) -> None:
    odd.server.released.wait(60)  # type: ignore[attr-defined]


ODD: dict[str, Answer] = {
    **{str(code): status(code) for code in (401, 403, 409, 422, 429, 500, 507)},
    "a login page": login_page,
    "a page of an error": lambda odd: odd.send(404, b"<html>", "text/html"),
    "redirected for ever": redirected,
    "reset": Odd.abort,
    "half": half,
    "hanging": hanging,
    "no bytes": lambda odd: odd.send(200, b""),
    "null": lambda odd: odd.send(200, b"null"),
    "a list": lambda odd: odd.send(200, b"[1]"),
    "deep": lambda odd: odd.send(200, b"[" * 200_000),
    "not UTF-8": lambda odd: odd.send(200, b"\xff\xfe{"),
    "another object": as_json(),
    "no files": as_json(uploads=UPLOAD | {"files": None}),
    "odd names": as_json(uploads=UPLOAD | {"upload": 5}),
    "present without a run": as_json(uploads={"state": "present", "run": None}),
    "a run without a name": as_json(uploads={"state": "present", "run": {"id": 3}}),
    "takes nothing": as_json(uploads=UPLOAD, **{"0": {"received": 0}}),
    "takes words": as_json(uploads=UPLOAD, **{"0": {"received": "all"}}),
    "another commit": as_json(
        uploads=UPLOAD, commit={"run": 1}, **{str(n): {"received": 1 << 30} for n in range(9)}
    ),
    "an error of another form": lambda odd: odd.send(422, b'{"error": "no"}'),
    "an error as deep": lambda odd: odd.send(422, b"[" * 200_000),
}


class OddServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Odd)
        self.answer: Answer = status(500)
        self.asked: list[str] = []
        self.released = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: Any) -> None:
        """The client may have gone."""


@contextlib.contextmanager
def serving() -> Iterator[OddServer]:
    """Such a server, for as long as it is asked."""
    server = OddServer()
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()
