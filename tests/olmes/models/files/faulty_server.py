"""A fault-injecting server: speaks as much of the OpenAI protocol as the tests need, and breaks it.

No model is behind it. It answers a chat with the last turn's last word (without its full stop) and a
plain prompt with the prompt's, unless `reply` says otherwise, and does as `faults` says by the number
of the request, from 0.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class FaultyServer:
    """The server, on a free port of the loopback, from creation to `close`."""

    def __init__(self, port: int = 0) -> None:
        self.asked: list[dict[str, Any]] = []
        """Bodies of all requests for an answer, in the order of arrival."""
        self.headers: list[dict[str, str]] = []
        self.times: list[float] = []
        self.faults: Callable[[int, dict[str, Any]], str] = lambda number, body: ""
        self.reply: Callable[[str, dict[str, Any]], Any] = plain_reply
        self.latency = 0.0
        self.at_once = self.most_at_once = 0
        self.pages: dict[str, tuple[int, Any]] = {
            "/v1/models": (200, {"data": [{"id": "m", "owned_by": "test", "created": 1}]})
        }
        self.lock = threading.Lock()
        handler = type("BoundHandler", (Handler,), {"owner": self})
        self.server = Listener(("127.0.0.1", port), handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self.server.shutdown()
        self.server.server_close()


class Listener(ThreadingHTTPServer):
    """Takes many connections at once and leaves none to be waited for."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are what the tests are about."""


def plain_reply(path: str, body: dict[str, Any]) -> Any:
    """The last word of what was asked."""
    asked = body["messages"][-1]["content"] if "messages" in body else body["prompt"]
    text = (asked.split() or [""])[-1].rstrip(".")
    place = {"message": {"role": "assistant", "content": text}} if "messages" in body else {}
    return {
        "choices": [{"index": 0, "finish_reason": "stop", "text": text, **place}],
        "usage": {"prompt_tokens": len(asked.split()), "completion_tokens": 1},
    }


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    owner: FaultyServer
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""

    def do_GET(self) -> None:
        status, page = self.owner.pages.get(self.path, (404, {"detail": "Not Found"}))
        self.headers_seen()
        self.send(status, page)

    def headers_seen(self) -> None:
        self.owner.headers.append({key.lower(): value for key, value in self.headers.items()})

    def do_POST(self) -> None:
        owner = self.owner
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with owner.lock:
            number = len(owner.asked)
            owner.asked.append(body)
            owner.times.append(time.monotonic())
            self.headers_seen()
            owner.at_once += 1
            owner.most_at_once = max(owner.most_at_once, owner.at_once)
        try:
            time.sleep(owner.latency)
            fault = owner.faults(number, body)
            reply = owner.reply(self.path, body)
        finally:
            with owner.lock:
                owner.at_once -= 1
        if fault:
            name, _, argument = fault.partition(" ")
            getattr(self, f"fault_{name}")(argument, json.dumps(reply).encode())
        else:
            self.send(200, reply)

    def send(self, status: int, body: Any, **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def fault_status(self, argument: str, reply: bytes) -> None:
        """`status 500`, or `status 400 {json}`."""
        status, _, body = argument.partition(" ")
        self.send(int(status), body.encode() or b'{"error": {"message": "on purpose"}}')

    def fault_later(self, argument: str, reply: bytes) -> None:
        """`later 0.5`: 429 with Retry-After (a whole number, else in milliseconds)."""
        seconds = float(argument)
        whole = {"Retry_After": argument} if seconds.is_integer() else {}
        self.send(429, {"error": "slow down"}, **(whole or {"Retry_After_Ms": str(seconds * 1000)}))

    def fault_drop(self, argument: str, reply: bytes) -> None:
        """Close without a word."""
        self.close_connection = True

    def fault_reset(self, argument: str, reply: bytes) -> None:
        """Close with a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def fault_slow(self, argument: str, reply: bytes) -> None:
        """A byte every so many seconds, which no time limit between bytes would end."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        for byte in reply:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            time.sleep(float(argument))

    def fault_silent(self, argument: str, reply: bytes) -> None:
        """Say nothing for so many seconds, then hang up."""
        time.sleep(float(argument))
        self.close_connection = True

    def fault_truncated(self, argument: str, reply: bytes) -> None:
        """Half of the body that was announced."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply[: len(reply) // 2])
        self.wfile.flush()
        self.close_connection = True

    def fault_body(self, argument: str, reply: bytes) -> None:
        """Status 200 with this body."""
        self.send(200, argument.encode())

    def fault_stream(self, argument: str, reply: bytes) -> None:
        """Status 200 with these server-sent events."""
        self.send(200, argument.encode(), Content_Type="text/event-stream")

    def fault_deep(self, argument: str, reply: bytes) -> None:
        """JSON nested deeper than any parser goes."""
        self.send(200, b'{"choices":' + b"[" * 200_000)

    def fault_garbage(self, argument: str, reply: bytes) -> None:
        """No HTTP at all."""
        self.wfile.write(b"\x00\x01garbage\r\n\r\n")
        self.wfile.flush()
        self.close_connection = True
