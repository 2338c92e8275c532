"""One engine: a model in a Ray actor, somewhere on a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import TypedDict

import olmes
from olmes.models.base import Model
from olmes.types import JsonObject, Request, Response

PositionedResponse = tuple[int, Response]
"""A request's position in its portion, and its response."""


class Report(TypedDict):
    """What an engine is, before it gets work."""

    engine: JsonObject
    """As `Model.engine`."""
    olmes: str
    """Its version."""
    host: str
    fingerprint: str | None
    """As `Model.fingerprint`; None on the machine of the run, which has the same files."""


class Engine:
    """The actor's class.

    The model lives in one thread of its own, because torch keeps threads for each that calls it;
    the actor's thread hands on what is finished.
    """

    def __init__(self, make: Callable[[], Model]) -> None:
        self.make = make
        self.model: Model | None = None
        self.thread = ThreadPoolExecutor(1)

    def report(self, home: str) -> Report:
        """Make the model, without its weights, and say what it is.

        Args:
            home: the node of the run.
        """
        import socket

        import ray

        away = ray.get_runtime_context().get_node_id() != home

        def make_report() -> Report:
            self.model = self.make()
            return {
                "engine": self.model.engine,
                "olmes": olmes.__version__,
                "host": socket.gethostname(),
                "fingerprint": self.model.fingerprint if away else None,
            }

        return self.thread.submit(make_report).result()

    def answer(
        self, requests: list[Request], *, loglikelihood: bool
    ) -> Iterator[list[PositionedResponse]]:
        """Answer every request; whatever is finished is handed on at once."""
        assert self.model is not None, "the report comes first"
        ask = self.model.loglikelihood if loglikelihood else self.model.generate
        arrived: SimpleQueue[PositionedResponse | None] = SimpleQueue()

        def work() -> None:
            try:
                ask(requests, lambda at, response: arrived.put((at, response)))
            finally:
                arrived.put(None)

        working = self.thread.submit(work)
        over = False
        while not over:
            batch, over = gather(arrived)
            if batch:
                yield batch
        working.result()

    def close(self) -> None:
        """Free what the model has loaded."""
        if self.model is not None:
            self.thread.submit(self.model.close).result()


def gather(
    arrived: SimpleQueue[PositionedResponse | None],
) -> tuple[list[PositionedResponse], bool]:
    """Wait for a response, take those that are there with it, and say whether it was the last."""
    batch: list[PositionedResponse] = []
    one = arrived.get()
    while one is not None:
        batch.append(one)
        try:
            one = arrived.get_nowait()
        except Empty:
            return batch, False
    return batch, True
