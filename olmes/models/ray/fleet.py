"""The engines of a run on Ray: each is given some requests at a time, and replaced when it dies.

Ray places the actors, carries requests and responses, and reports who has died (`ray.wait` is all the
waiting there is). Known here is which requests are still open.
"""

from __future__ import annotations

import contextlib
import sys
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import olmes
from olmes.errors import OlmesError
from olmes.models.base import Done, Model
from olmes.models.ray.cluster import Cluster, Shape, one_line
from olmes.models.ray.engine import Engine, PositionedResponse, Report
from olmes.types import Request

TRIES = 3
"""Engines in a row that may die, each replacing the one before, without answering anything."""
SMALLEST_ON_CPU = 16
SMALLEST_ON_GPU = 64
"""Requests that are given out together at least: fewer would not fill an engine's batch."""
PATIENCE = 30.0
"""Seconds without any engine after which the wait is reported."""
CLOSING = 10.0
"""Seconds an idle engine has to free what it has loaded."""


class LostError(Exception):
    """An engine died or broke; the message says how."""


@dataclass(slots=True, eq=False)
class Life:
    """One engine, from its start to its death."""

    actor: Any
    awaited: Any
    """What it is at: its report, then a stream of responses; None when it has nothing to do."""
    barren: int
    """Engines in a row before it, each replaced by the next, that died without answering anything."""
    reported: bool = False
    asked: list[int] = field(default_factory=list)
    """Positions of the requests it is at."""
    fruitful: bool = False
    """Whether it has answered anything."""


class Fleet:
    """Engines of one model.

    Args:
        cluster: where they run.
        make: makes the model in an engine.
        shape: how many, and what each takes.
        check: raises an `OlmesError` when an engine that reports must not be used.
    """

    def __init__(
        self,
        cluster: Cluster,
        make: Callable[[], Model],
        shape: Shape,
        check: Callable[[Report], None],
    ) -> None:
        self.cluster, self.make, self.shape, self.check = cluster, make, shape, check
        self.ray = cluster.ray
        self.smallest = SMALLEST_ON_GPU if shape.gpus else SMALLEST_ON_CPU
        self.reported_wait = False
        self.lives = [self.start() for _ in range(shape.engines)]

    def start(self, barren: int = 0) -> Life:
        """A new engine; Ray starts it as soon as there is room, wherever that is."""
        remote = self.ray.remote(
            num_cpus=self.shape.cpus,
            num_gpus=self.shape.gpus,
            scheduling_strategy="SPREAD",
            max_restarts=0,
        )(Engine)
        actor = remote.remote(self.make)
        return Life(actor, actor.report.remote(self.cluster.here), barren)

    def first_report(self) -> Report:
        """The report of the first engine that is up; the caller checks it."""
        while True:
            for life in self.news():
                try:
                    report: Report = self.get(life.awaited)
                except LostError as lost:
                    self.replace(life, lost)
                else:
                    return report

    def answer(self, requests: Sequence[Request], done: Done, *, loglikelihood: bool) -> None:
        """Answer every request, each once, whatever dies.

        Raises:
            OlmesError: an engine reports that the model cannot be run, or none stays alive.
        """
        pile = deque(sorted(range(len(requests)), key=lambda at: sort_key(requests[at])))
        still_open = set(pile)
        deaths: Counter[int] = Counter()
        while still_open:
            for life in self.lives:
                if pile and life.awaited is None:
                    size = portion(len(requests), len(pile), len(self.lives), self.smallest)
                    life.asked = take(pile, size, deaths)
                    stream = life.actor.answer.options(num_returns="streaming")
                    life.awaited = stream.remote(
                        [requests[at] for at in life.asked], loglikelihood=loglikelihood
                    )
            for life in self.news():
                try:
                    arrived = self.hear(life)
                except LostError as lost:
                    # Behind the others, and in smaller portions: one of them may have killed it.
                    again = [at for at in life.asked if at in still_open]
                    deaths.update(again)
                    pile.extend(again)
                    self.replace(life, lost)
                    continue
                for number, response in arrived:
                    at = life.asked[number]
                    still_open.remove(at)
                    done(at, response)
                if life.awaited is None:
                    if not still_open.isdisjoint(life.asked):
                        raise RuntimeError("the model left requests without a response")
                    life.asked = []
        # A stream may end after its last response, in the next call, whose positions are others.
        for life in self.lives:
            life.asked = []

    def news(self) -> list[Life]:
        """The engines that have sent something, once there are any."""
        awaited = [life.awaited for life in self.lives if life.awaited is not None]
        while not self.ray.wait(awaited, num_returns=1, timeout=PATIENCE)[0]:
            if not self.reported_wait and not any(life.reported for life in self.lives):
                self.reported_wait = True
                needs = f"{self.shape.gpus} GPU" if self.shape.gpus else f"{self.shape.cpus:g} CPU"
                say(f"no engine is up yet; Ray starts each as soon as a machine has {needs} free")
        ready = self.ray.wait(awaited, num_returns=len(awaited), timeout=0)[0]
        sent = {id(one) for one in ready}
        return [life for life in self.lives if id(life.awaited) in sent]

    def hear(self, life: Life) -> list[PositionedResponse]:
        """The next responses of an engine.

        Raises:
            LostError: it has died.
            OlmesError: it reports that the model cannot be run.
        """
        if not life.reported:
            self.check(self.get(life.awaited))
            life.reported, life.awaited = True, None
            return []
        try:
            reference = next(life.awaited)
        except StopIteration:
            life.awaited = None
            return []
        arrived: list[PositionedResponse] = self.get(reference)
        life.fruitful = True
        return arrived

    def get(self, reference: Any) -> Any:
        """What an engine sent.

        Raises:
            LostError: it has died, or something in it broke.
            OlmesError: it was raised there.
        """
        try:
            return self.ray.get(reference)
        except self.ray.exceptions.RayTaskError as error:
            cause = error.cause
            if isinstance(cause, OlmesError):
                raise cause from None
            raise LostError(f"{type(cause).__name__}: {one_line(cause)}") from error
        except self.ray.exceptions.RayError as error:
            raise LostError(one_line(error)) from error

    def replace(self, life: Life, lost: LostError) -> None:
        """Start another engine for one that was lost, unless nothing comes of it.

        Raises:
            OlmesError: no engine is left that stays alive.
        """
        self.kill(life)
        self.lives.remove(life)
        barren = 0 if life.fruitful else life.barren + 1
        if barren < TRIES:
            self.lives.append(self.start(barren))
        elif self.lives:
            say(f"an engine was lost {TRIES} times in a row and is given up: {lost}")
        else:
            raise OlmesError(
                f"no engine stays alive on Ray: {TRIES} in a row were lost before they answered "
                f"anything, the last with '{lost}'; see the logs in /tmp/ray/session_latest/logs "
                "of its machine; the same command resumes the run."
            ) from lost

    def close(self) -> None:
        """End the engines; those that have nothing to do may free what they have loaded."""
        idle = [life for life in self.lives if life.reported and life.awaited is None]
        try:
            closing = [life.actor.close.remote() for life in idle]
            if closing:
                self.ray.wait(closing, num_returns=len(closing), timeout=CLOSING)
        finally:
            for life in self.lives:
                self.kill(life)
            self.lives = []

    def kill(self, life: Life) -> None:
        """End an engine at once, if it has not ended."""
        with contextlib.suppress(self.ray.exceptions.RayError):
            self.ray.kill(life.actor)


def check_version(report: Report) -> None:
    """Refuse an engine of another version of olmes.

    Raises:
        OlmesError: it is one.
    """
    if report["olmes"] != olmes.__version__:
        raise OlmesError(
            f"{report['host']} has olmes {report['olmes']} and this machine {olmes.__version__}; "
            "install the same version on every node."
        )


def sort_key(request: Request) -> str:
    """What requests are sorted by, so that those with a shared prefix are neighbours."""
    turns = (f"{message['role']}\n{message['content']}\n" for message in request.messages)
    return request.prompt if request.prompt is not None else "".join(turns)


def portion(total: int, left: int, engines: int, smallest: int) -> int:
    """How many requests to give an engine: half of its share of what is left.

    Large at first, so that batches stay full and shared prefixes are computed once; small at the
    end, so that all engines end together (guided self-scheduling, Polychronopoulos and Kuck 1987).
    """
    return min(-(-total // engines), max(smallest, left // (2 * engines)))


def take(pile: deque[int], size: int, deaths: Counter[int]) -> list[int]:
    """The next requests: at most `size`, a quarter of that for each engine that died at them."""
    positions: list[int] = []
    while pile and len(positions) < max(1, size >> (2 * deaths[pile[0]])):
        positions.append(pile.popleft())
    return positions


def say(line: str) -> None:
    """Print a line for the user."""
    print(f"olmes: {line}", file=sys.stderr, flush=True)
