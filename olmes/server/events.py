"""What happens, sent to everybody who listens (server-sent events), and evaluations under way."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict
from weakref import WeakKeyDictionary

from olmes.client.types import Arrival, EventKind, UnderWay
from olmes.server.refusals import RefusedError
from olmes.tools.jsonl import dumps

MOST_LISTENERS = 500
MOST_OF_ONE = 100
"""Listeners of one caller; where all places are taken, whoever has most gives one to who has fewer."""
MOST_WAITING = 100
"""Events a slow listener may be behind before it is let go; it comes back by itself."""
HEARTBEAT = 15.0
"""Seconds of silence after which a comment shows that the line is up."""
MOST_UNDER_WAY = 500
FORGOTTEN = 600.0
"""Seconds after which an evaluation that says nothing is taken for dead."""


class Listener:
    """The events from now on, as the text of a stream."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[str | None] = asyncio.Queue()
        self.begun = False

    def __aiter__(self) -> Listener:
        return self

    async def __anext__(self) -> str:
        """What is sent next."""
        if not self.begun:
            self.begun = True
            return "retry: 2000\n\n"
        try:
            text = await asyncio.wait_for(self.queue.get(), HEARTBEAT)
        except TimeoutError:
            return ": still here\n\n"
        if text is None:
            raise StopAsyncIteration
        return text


class Hub:
    """Passes events on. Belongs to the server's event loop: no locks."""

    def __init__(self) -> None:
        # One whose answer was never begun is gone with it.
        self.listeners: WeakKeyDictionary[Listener, str] = WeakKeyDictionary()
        """Who listens at each, the one that began first first."""
        self.under_way: OrderedDict[str, tuple[float, UnderWay]] = OrderedDict()
        self.closed = False

    def send(self, kind: EventKind, facts: Arrival | UnderWay, number: int | None = None) -> None:
        """Send an event to everybody who listens."""
        mark = f"id: {number}\n" if number is not None else ""
        text = f"{mark}event: {kind}\ndata: {dumps(facts)}\n\n"
        for listener in list(self.listeners):
            if listener.queue.qsize() >= MOST_WAITING:
                self.let_go(listener)
            else:
                listener.queue.put_nowait(text)

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

    def listen(self, who: str) -> Listener:
        """The events from now on, as the text of a stream.

        Args:
            who: listens: whose places are counted together.

        Raises:
            RefusedError: too many listen already, or the server is about to end.
        """
        if self.closed:
            raise RefusedError(503, "the server is about to end; try again later.")
        of_each = Counter(self.listeners.values())
        if of_each[who] >= MOST_OF_ONE:
            raise RefusedError(429, f"you listen {of_each[who]} times already; end some of them.")
        if len(self.listeners) >= MOST_LISTENERS:
            [(most, count)] = of_each.most_common(1)
            if count <= of_each[who] + 1:
                raise RefusedError(503, "too many listen already; try again later.")
            self.let_go(next(one for one, own in self.listeners.items() if own == most))
        listener = Listener()
        self.listeners[listener] = who
        return listener

    def let_go(self, listener: Listener) -> None:
        """End a stream; who listens there may come back."""
        self.listeners.pop(listener, None)
        listener.queue.put_nowait(None)

    def close(self) -> None:
        """End every stream, so that the server can end."""
        self.closed = True
        for listener in list(self.listeners):
            listener.queue.put_nowait(None)
