"""What happens, sent to everybody who listens (server-sent events), and evaluations under way."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator

from olmes.client.types import Arrival, EventKind, UnderWay
from olmes.server.refusals import RefusedError
from olmes.tools.jsonl import dumps

MOST_LISTENERS = 500
MOST_WAITING = 100
"""Events a slow listener may be behind before it is let go; it comes back by itself."""
HEARTBEAT = 15.0
"""Seconds of silence after which a comment shows that the line is up."""
MOST_UNDER_WAY = 500
FORGOTTEN = 600.0
"""Seconds after which an evaluation that says nothing is taken for dead."""


class Hub:
    """Passes events on. Belongs to the server's event loop: no locks."""

    def __init__(self) -> None:
        self.listeners: set[asyncio.Queue[str | None]] = set()
        self.under_way: OrderedDict[str, tuple[float, UnderWay]] = OrderedDict()
        self.closed = False

    def send(self, kind: EventKind, facts: Arrival | UnderWay, number: int | None = None) -> None:
        """Send an event to everybody who listens."""
        mark = f"id: {number}\n" if number is not None else ""
        text = f"{mark}event: {kind}\ndata: {dumps(facts)}\n\n"
        for queue in list(self.listeners):
            if queue.qsize() >= MOST_WAITING:
                self.listeners.discard(queue)
                queue.put_nowait(None)
            else:
                queue.put_nowait(text)

    def progress(self, who: str, facts: UnderWay) -> None:
        """Note how far an evaluation is, and send it."""
        key = f"{who} {facts['run']}"
        self.under_way.pop(key, None)
        if not facts["finished"]:
            self.under_way[key] = (time.monotonic(), facts)
            if len(self.under_way) > MOST_UNDER_WAY:
                self.under_way.popitem(last=False)
        self.send("progress", facts)

    def arrived(self, number: int, facts: Arrival) -> None:
        """A run is here: send it, and forget that it was under way."""
        for key in [key for key, (_, one) in self.under_way.items() if one["run"] == facts["id"]]:
            del self.under_way[key]
        self.send("run", facts, number)

    def running(self) -> list[UnderWay]:
        """Evaluations under way, the one heard of last first."""
        limit = time.monotonic() - FORGOTTEN
        for key in [key for key, (heard, _) in self.under_way.items() if heard < limit]:
            del self.under_way[key]
        return [facts for _, facts in reversed(self.under_way.values())]

    def listen(self) -> AsyncGenerator[str, None]:
        """The events from its first text on, as the text of a stream.

        Raises:
            RefusedError: too many listen already, or the server is about to end.
        """
        if self.closed or len(self.listeners) >= MOST_LISTENERS:
            raise RefusedError(503, "too many listen already; try again later.")
        return self._stream(asyncio.Queue())

    async def _stream(self, queue: asyncio.Queue[str | None]) -> AsyncGenerator[str, None]:
        self.listeners.add(queue)
        try:
            yield "retry: 2000\n\n"
            while True:
                try:
                    text = await asyncio.wait_for(queue.get(), HEARTBEAT)
                except TimeoutError:
                    text = ": still here\n\n"
                if text is None:
                    return
                yield text
        finally:
            self.listeners.discard(queue)

    def close(self) -> None:
        """End every stream, so that the server can end."""
        self.closed = True
        for queue in list(self.listeners):
            queue.put_nowait(None)
