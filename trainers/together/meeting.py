"""Where processes that train together meet: answers of the first, and arrivals of all, in a store."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from olmes.errors import OlmesError
from olmes.trainers.together.ranks import named, rank, say, world_size
from olmes.trainers.together.signs_of_life import GRACE, SERVER_GONE, Life, neighbours
from olmes.trainers.together.store import connect, shown

T = TypeVar("T")


class Failure:
    """What the first process raised instead of deciding."""

    def __init__(self, text: str) -> None:
        self.text = text


class Meeting:
    """Answers of the first process, arrivals of all, and who is alive.

    Args:
        number: how many meetings this process had, this one included; the same in all.
        limit: seconds without a sign of life after which a process is given up.

    Raises:
        OlmesError: the first process does not answer.
    """

    def __init__(self, number: int, limit: float) -> None:
        self.prefix = f"olmes/{number}"
        self.store = connect(limit)
        self.count = 0
        self.old: list[str] = []
        """Keys that may be removed once all have come further."""
        self.life = Life(self.prefix, limit)

    def patience(self, limit: float) -> None:
        """Wait so many seconds for one that shows no sign of life."""
        self.life.limit = limit

    def told(self, what: str, decide: Callable[[], T]) -> T:
        """See `processes.told`."""
        key = self.next_key("answer")
        self.old.append(key)
        if rank() == 0:
            self.at_work_on(what)
            try:
                answer: Any = decide()
            except BaseException as error:
                text = str(error) if isinstance(error, OlmesError) else type(error).__name__
                self.store.set(key, pickle.dumps(Failure(text)))
                raise
            self.store.set(key, pickle.dumps(answer))
            return answer  # type: ignore[no-any-return]
        self.wait({0: key}, what)
        answer = pickle.loads(self.store.get(key))  # noqa: S301 (of our own first process)
        if isinstance(answer, Failure):
            raise OlmesError(answer.text)
        return answer  # type: ignore[no-any-return]

    def gathered(self, what: str, mine: T) -> list[T]:
        """See `processes.gathered`."""
        base = self.next_key("all")
        keys = {number: f"{base}/{number}" for number in range(world_size())}
        self.store.set(keys[rank()], pickle.dumps(mine))
        self.wait(keys, what)
        values = (self.store.get(key) for key in keys.values())
        found = [pickle.loads(value) for value in values]  # noqa: S301 (of our own processes)
        # Who is here has read all that was before; the store lives as long as the training.
        old, self.old = self.old, list(keys.values())
        for key in old if rank() == 0 else []:
            self.store.delete_key(key)
        return found

    def next_key(self, kind: str) -> str:
        """A key that all processes come to at the same point."""
        self.count += 1
        return f"{self.prefix}/{kind}/{self.count}"

    def wait(self, keys: dict[int, str], what: str) -> None:
        """Until each rank has set its key; says every so often who has not.

        Raises:
            OlmesError: one of them has ended or stopped.
        """
        from torch.distributed import DistError

        began = time.monotonic()
        line, pause, missing = began + self.life.spoken, 0.002, dict(keys)
        try:
            while missing := {n: key for n, key in missing.items() if not self.store.check([key])}:
                if text := self.life.verdict:
                    raise OlmesError(text)
                now = time.monotonic()
                if now >= line:
                    line = now + self.life.spoken
                    if self.speaks(set(keys) - set(missing)):
                        whom = ", ".join(map(self.life.named, list(missing)[:4]))
                        more = f" and {len(missing) - 4} more" if len(missing) > 4 else ""
                        say(f"{named()} waits for {whom}{more}: {what} ({shown(now - began)})")
                time.sleep(pause)
                pause = min(0.1, pause * 1.5)
        except DistError as error:
            raise OlmesError(self.life.verdict or SERVER_GONE) from error

    def speaks(self, arrived: set[int]) -> bool:
        """Whether this is the lowest of its machine that waits."""
        here = [number for number in neighbours() if number in arrived]
        return not here or rank() == min(here)

    def at_work_on(self, what: str) -> None:
        """See `processes.at_work_on`."""
        self.life.doing = what

    def fail(self, why: str) -> None:
        """Have the others know that this process ends, and why."""
        with suppress(RuntimeError):  # of the store, whose server may have gone
            self.store.set(f"{self.prefix}/failed/{rank()}", f"{named()} has ended: {why}")
            self.store.add(f"{self.prefix}/failed", 1)

    def who_failed(self) -> str:
        """What another process has said at its end; empty where none has, within some seconds."""
        end = time.monotonic() + GRACE
        with suppress(RuntimeError):
            while time.monotonic() < end:
                if self.store.add(f"{self.prefix}/failed", 0):
                    for number in range(world_size()):
                        key = f"{self.prefix}/failed/{number}"
                        if number != rank() and self.store.check([key]):
                            return str(self.store.get(key).decode().rstrip("."))
                time.sleep(0.05)
        return ""

    def close(self) -> None:
        """Leave; the first goes last, since others may still read what it serves."""
        self.life.end()
        with suppress(RuntimeError):
            self.store.set(f"{self.prefix}/left/{rank()}", b"")
            end = time.monotonic() + GRACE
            if rank() == 0:
                keys = [f"{self.prefix}/left/{number}" for number in range(world_size())]
                while time.monotonic() < end and not all(self.store.check([key]) for key in keys):
                    time.sleep(0.01)
