"""Which of the processes that train together are alive.

Each counts a number in the store up, in a thread of its own, so that one that is stopped, killed or
cut off is known by a number that stands still. Nobody's clock is compared with another's.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from olmes.errors import OlmesError
from olmes.trainers.together.ranks import local_rank, named, rank, say, world_size
from olmes.trainers.together.store import SPOKEN, connect, shown

BEAT = 5.0
"""Seconds between two signs of life."""
GRACE = 3.0
"""Seconds that a process has to end by itself."""
STATUS = 2
"""Exit status of a process that gives up a wait which only its end can end."""
SERVER_GONE = (
    "the first process, or what launched it, has ended; its own lines say why. The same command "
    "resumes from the last checkpoint."
)

ENDS = "this training ends. See what stopped it; the same command resumes from the last checkpoint."


def neighbours() -> Sequence[int]:
    """The ranks of this process's machine."""
    here = int(os.environ.get("LOCAL_WORLD_SIZE", world_size()))
    begin = rank() - local_rank()
    return range(begin, begin + here)


class Life(threading.Thread):
    """Beats for this process, and watches the beats of others.

    The lowest of a machine watches all; the others watch the lowest and the first, so that the store
    is asked little. Who finds that another has stopped says so, and gives up after the limit: a
    process that is at work within a collective can only be ended.

    Args:
        prefix: of the keys in the store.
        limit: seconds without a sign of life after which a process is given up.
    """

    def __init__(self, prefix: str, limit: float) -> None:
        super().__init__(name="signs-of-life", daemon=True)
        self.prefix = prefix
        self.limit = limit
        self.doing = ""
        self.verdict = ""
        """Why this process must end; empty while it need not."""
        self.ended = threading.Event()
        self.names: dict[int, str] = {}
        self.processes: dict[int, int] = {}
        lowest = neighbours()[0]
        seen = range(world_size()) if rank() == lowest else {0, lowest}
        now = time.monotonic()
        self.last = {number: (0, now) for number in seen if number != rank()}
        self.told_of: dict[int, float] = {}
        self.answered = now
        """When the store answered last."""
        self.start()
        threading.Thread(target=self.watch_server, name="store-watch", daemon=True).start()

    @property
    def spoken(self) -> float:
        """Seconds between two lines."""
        return min(SPOKEN, self.limit / 3)

    @property
    def beat(self) -> float:
        """Seconds between two signs."""
        return min(BEAT, self.limit / 10)

    def end(self) -> None:
        """No more signs."""
        self.ended.set()
        self.join(GRACE)

    def run(self) -> None:
        """Beat and watch until the end."""
        prefix = self.prefix
        try:
            # Its own connection: that of the meeting may be in the middle of a call.
            store = connect(self.limit)
            store.set(f"{prefix}/process/{rank()}", str(os.getpid()))
            store.set(f"{prefix}/who/{rank()}", named())
            while True:
                store.add(f"{prefix}/life/{rank()}", 1)
                store.set(f"{prefix}/doing/{rank()}", self.doing)
                if 0 not in self.names:
                    self.look_up(store, 0)
                self.answered = time.monotonic()
                if not self.verdict:
                    self.verdict = next(self.found(store), "")
                    if self.verdict:
                        threading.Thread(target=self.give_up, daemon=True).start()
                late = self.rest(self.beat)
                if self.ended.is_set():
                    return
                self.last = {one: (count, at + late) for one, (count, at) in self.last.items()}
        except (RuntimeError, OlmesError):  # the store's server has gone
            if not self.ended.is_set():
                self.verdict = SERVER_GONE
                self.give_up()

    def rest(self, seconds: float) -> float:
        """Wait for the end or so many seconds.

        Returns:
            Seconds that this process stood still meanwhile: suspended by its scheduler together with
            the others, or starved. They are no silence of others, who had no more time than it.
        """
        before = time.monotonic()
        self.ended.wait(seconds)
        late = time.monotonic() - before - seconds
        return late if late > seconds else 0.0

    def watch_server(self) -> None:
        """Notice a store that answers no more: a stopped first process closes no connection."""
        line = 0.0
        while True:
            late = self.rest(min(1.0, self.limit / 10))
            if self.ended.is_set():
                return
            self.answered += late
            now = time.monotonic()
            silent = now - self.answered
            what = f"{self.named(0)} has shown no sign of life for {shown(silent)}"
            if silent >= self.limit:
                self.verdict = f"{what}; {ENDS}"
                self.end_neighbour(0)
                self.give_up()
            if silent >= self.spoken and now - line >= self.spoken:
                line = now
                if self.speaks(0):
                    say(f"{what}; it is waited for up to {shown(self.limit)}")

    def give_up(self) -> None:
        """End this process unless it ends by itself: no exception reaches into a collective."""
        if not self.ended.wait(max(GRACE, 2 * self.beat)):
            say(self.verdict)
            os._exit(STATUS)

    def found(self, store: Any) -> Iterator[str]:
        """Reasons to end; says who shows no sign of life."""
        prefix, now = self.prefix, time.monotonic()
        if store.add(f"{prefix}/failed", 0):
            for number in range(world_size()):
                key = f"{prefix}/failed/{number}"
                if number != rank() and store.check([key]):
                    yield str(store.get(key).decode())
        for number, (count, since) in self.last.items():
            beats = store.add(f"{prefix}/life/{number}", 0)
            if beats != count:
                self.last[number] = (beats, now)
                self.told_of.pop(number, None)
                continue
            silent = now - since
            if silent < min(self.spoken, self.limit):
                continue
            if store.check([f"{prefix}/left/{number}"]):
                continue
            name = self.look_up(store, number)
            what = (
                f"{name} has shown no sign of life for {shown(silent)}{self.place(store, number)}"
            )
            if silent >= self.limit:
                self.end_neighbour(number)
                yield f"{what}; {ENDS}"
            if now - self.told_of.get(number, 0) >= self.spoken and self.speaks(number):
                self.told_of[number] = now
                say(f"{what}; it is waited for up to {shown(self.limit)}")

    def end_neighbour(self, number: int) -> None:
        """End a stopped process of this machine, for which its launcher would wait."""
        if number in neighbours() and self.speaks(number) and number in self.processes:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(self.processes[number], signal.SIGKILL)

    def speaks(self, missing: int) -> bool:
        """Whether this process says it for its machine."""
        lowest = neighbours()[0]
        return rank() == (lowest if missing != lowest else lowest + 1)

    def look_up(self, store: Any, number: int) -> str:
        """A rank's name with host and process."""
        key = f"{self.prefix}/who/{number}"
        if number not in self.names and store.check([key]):
            self.names[number] = store.get(key).decode()
            self.processes[number] = int(store.get(f"{self.prefix}/process/{number}"))
        return self.named(number)

    def named(self, number: int) -> str:
        """A rank's name, as far as it is known."""
        return self.names.get(number, f"rank {number}")

    def place(self, store: Any, number: int) -> str:
        """What a rank was at last."""
        key = f"{self.prefix}/doing/{number}"
        doing = store.get(key).decode() if store.check([key]) else ""
        return f" (it was at: {doing})" if doing else ""
