"""Connections: how many there may be, and how long one may take over what it sends and reads.

uvicorn waits for ever for the first bytes of a request, for a body and for a reader. Here whoever
sends or reads next to nothing is let go, and where there are too many connections the one that has
waited longest without asking for anything gives way to the new one.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections import Counter, OrderedDict
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from olmes.client.start_secret import is_loopback
from olmes.server.observe import log

HEADER_SECONDS = 15.0
"""Until a request's headers are there, from the connection's or the request's first byte on."""
MOST_HEADERS = 64 << 10
"""Bytes of a request's headers."""
LOOK = 30.0
"""Seconds after which it is looked at what came of a body, or went of an answer, in between."""
SLOWEST = 100
"""Bytes a second of a body or an answer, on average between two looks."""
MOST_CONNECTIONS = 4000
ENOUGH_FILES = 1 << 14
KEPT_FILES = 192
"""Files that are left for databases, samples and workers; a quarter of the rest for large answers."""
ACCEPTED_AT_ONCE = 64
"""Connections that are taken before those taken are counted."""
WAITING = 1024
"""Connections that the system lets wait to be taken."""


class Listener(socket.socket):
    """A socket for connections that lets more wait than are taken at once.

    asyncio has one number for both, and files could run out before any connection is counted.
    """

    def listen(self, backlog: int = WAITING, /) -> None:
        """Begin to listen, or go on."""
        super().listen(max(backlog, WAITING))


def allow_files() -> int:
    """Let this process open as many files as it may; the connections it has room for."""
    if sys.platform == "win32":
        return MOST_CONNECTIONS
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(hard, ENOUGH_FILES)
    if soft < most:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            soft = most
        except (ValueError, OSError) as error:  # some systems allow less than they say
            log.warning("the limit on open files stays", extra={"facts": {"why": str(error)}})
    return max(16, min(MOST_CONNECTIONS, (soft - KEPT_FILES) * 3 // 4))


class Connections:
    """Every open connection, those that ask for nothing apart.

    Args:
        most: connections at a time; of one address, other than this machine's own, half as many.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.open: set[Connection] = set()
        self.of_address: Counter[str] = Counter()
        self.idle: OrderedDict[Connection, None] = OrderedDict()
        """Those without a request under way, the one that has been so for longest first."""

    def add(self, connection: Connection) -> bool:
        """Take a connection in; whether there is room for it."""
        address = connection.address
        own = self.of_address[address] >= self.most // 2 and not is_loopback(address)
        if own or len(self.open) >= self.most:
            oldest = next((one for one in self.idle if not own or one.address == address), None)
            if oldest is None:
                return False
            self.remove(oldest)
            oldest.abort()
        self.open.add(connection)
        self.of_address[address] += 1
        self.idle[connection] = None
        return True

    def remove(self, connection: Connection) -> None:
        """A connection is over."""
        if connection in self.open:
            self.open.remove(connection)
            self.idle.pop(connection, None)
            self.of_address[connection.address] -= 1
            if not self.of_address[connection.address]:
                del self.of_address[connection.address]

    def asks(self, connection: Connection) -> None:
        """A request is there, headers and all."""
        self.idle.pop(connection, None)

    def rests(self, connection: Connection) -> None:
        """A connection's requests are answered."""
        if connection in self.open:
            self.idle[connection] = None


class Connection(HttpToolsProtocol):
    """uvicorn's protocol with limits on time."""

    def __init__(self, connections: Connections, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.counted = connections
        self.address = ""
        self.header_size = 0
        self.in_headers = True
        self.header_timer: asyncio.TimerHandle | None = None
        self.look_timer: asyncio.TimerHandle | None = None
        self.received = 0
        """Bytes since the last look."""
        self.began = 0.0
        """When the headers of the request under way had come, by the loop's clock."""
        self.unsent: int | None = None
        """Bytes that waited to be read at the last look; None where the reader has caught up since."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take it in, or let it go at once."""
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        if not self.counted.add(self):
            self.abort()
            return
        self.await_headers()
        self.look_timer = self.loop.call_later(LOOK, self.look)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self.counted.remove(self)
        self.headers_are_there()
        if self.look_timer:
            self.look_timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        self.received += len(data)
        if self.in_headers:
            self.header_size += len(data)
            if self.header_timer is None:
                self.await_headers()
        super().data_received(data)
        if self.in_headers and self.header_size > MOST_HEADERS and not self.transport.is_closing():
            self.send_400_response(f"The headers have more than {MOST_HEADERS} bytes.")

    def on_headers_complete(self) -> None:
        """A request begins."""
        self.in_headers, self.header_size = False, 0
        self.headers_are_there()
        self.began = self.loop.time()
        self.counted.asks(self)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is there, body and all; what follows is another's headers."""
        self.in_headers = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """A request is answered."""
        super().on_response_complete()
        if self.cycle.response_complete:
            self.counted.rests(self)

    def resume_writing(self) -> None:
        """The reader has caught up."""
        self.unsent = None
        super().resume_writing()

    def await_headers(self) -> None:
        """Give the next request's headers their time."""
        self.header_timer = self.loop.call_later(HEADER_SECONDS, self.abort)

    def headers_are_there(self) -> None:
        """They have come, or are not waited for any longer."""
        if self.header_timer:
            self.header_timer.cancel()
            self.header_timer = None

    def look(self) -> None:
        """Let it go if next to nothing moved since the last look."""
        self.look_timer = self.loop.call_later(LOOK, self.look)
        least = SLOWEST * LOOK
        slow = self.received < least and self.waits_for_body()
        self.received = 0
        waits = self.transport.get_write_buffer_size() if self.flow.write_paused else None
        if waits is not None and self.unsent is not None and self.unsent - waits < least:
            slow = True
        self.unsent = waits
        if slow:
            self.abort()

    def waits_for_body(self) -> bool:
        """Whether all this time a body was to come that the server would have read."""
        if self.cycle is None or self.loop.time() - self.began < LOOK:
            return False
        # What the server does not take, because it is busy, is not the sender's fault.
        asked = not self.flow.read_paused and not self.cycle.waiting_for_100_continue
        return asked and self.cycle.more_body and not self.cycle.response_complete

    def abort(self) -> None:
        """Let it go without a word."""
        self.transport.abort()


def protocol(connections: Connections) -> Any:
    """What uvicorn makes for every connection."""

    class Counted(Connection):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(connections, *args, **kwargs)

    return Counted


def limits() -> dict[str, Any]:
    """Uvicorn's settings for connections."""
    return {
        "http": protocol(Connections(allow_files())),
        "ws": "none",
        "backlog": ACCEPTED_AT_ONCE,
        "timeout_keep_alive": 20,
    }
