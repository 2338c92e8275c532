"""Where processes that train together meet: answers, arrivals and signs of life in one store.

torch's `TCPStore`, which its launcher or the first process serves anyway. Each process beats: a
thread of its own counts a number up, so that one that is stopped, killed or cut off is known by a
number that stands still. Nobody's clock is compared with another's.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar

from olmes.errors import OlmesError
from olmes.trainers.ranks import local_rank, named, rank, say, world_size

T = TypeVar("T")
SPOKEN = 30.0
"""Seconds between two lines about what is waited for."""
BEAT = 5.0
"""Seconds between two signs of life."""
GRACE = 3.0
"""Seconds for which others are waited for at the end, and for which an error may arrive."""
STATUS = 2
"""Exit status of a process that gives up a wait which only its end can end."""


class Failure:
    """What the first process raised instead of deciding."""

    def __init__(self, text: str) -> None:
        self.text = text


def connect(limit: float) -> Any:
    """The store at the launcher's address, served by the first process where no launcher does.

    Raises:
        OlmesError: nobody answers within `limit` seconds.
    """
    # Of a server that has gone a sentence is said here; torch would print stacks of C++ as well.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    from torch.distributed import DistNetworkError, DistStoreError, TCPStore

    host, port = os.environ.get("MASTER_ADDR", "127.0.0.1"), os.environ.get("MASTER_PORT", "29500")
    serves = rank() == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
    began = time.monotonic()
    while True:
        left = limit - (time.monotonic() - began)
        tried = timedelta(seconds=max(0.1, min(SPOKEN, left)))
        try:
            return TCPStore(
                host, int(port), None, serves, timeout=tried, wait_for_workers=False,
                multi_tenant=True,
            )  # fmt: skip
        except (DistNetworkError, DistStoreError) as error:
            if serves:
                raise OlmesError(
                    f"port {port} cannot be listened on; set MASTER_PORT to a free one."
                ) from error
        waited = time.monotonic() - began
        if waited >= limit:
            raise OlmesError(
                f"{named()} has waited {shown(waited)} for the first process, and nobody answers at "
                f"{host}:{port}; see whether it runs, and whether this address can be reached."
            )
        say(f"{named()} waits for the first process at {host}:{port} ({shown(waited)})")


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
        self.limit = limit
        self.store = connect(limit)
        self.count = 0
        self.old: list[str] = []
        """Keys that may be removed once all have come further."""
        self.life = Life(self)

    def patience(self, limit: float) -> None:
        """Wait so many seconds for one that shows no sign of life."""
        self.limit = limit

    @property
    def spoken(self) -> float:
        """Seconds between two lines."""
        return min(SPOKEN, self.limit / 3)

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
        line, pause, missing = began + self.spoken, 0.002, dict(keys)
        try:
            while missing := {n: key for n, key in missing.items() if not self.store.check([key])}:
                if text := self.life.verdict:
                    raise OlmesError(text)
                now = time.monotonic()
                if now >= line:
                    line = now + self.spoken
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
    """

    def __init__(self, meeting: Meeting) -> None:
        super().__init__(name="signs-of-life", daemon=True)
        self.meeting = meeting
        self.doing = ""
        self.verdict = ""
        """Why this process must end; empty while it need not."""
        self.ended = threading.Event()
        self.names: dict[int, str] = {}
        lowest = neighbours()[0]
        seen = range(world_size()) if rank() == lowest else {0, lowest}
        now = time.monotonic()
        self.last = {number: (0, now) for number in seen if number != rank()}
        self.told_of: dict[int, float] = {}
        self.answered = now
        """When the store answered last."""
        self.start()
        threading.Thread(target=self.watch_server, name="store-watch", daemon=True).start()

    def end(self) -> None:
        """No more signs."""
        self.ended.set()
        self.join(GRACE)

    def run(self) -> None:
        """Beat and watch until the end."""
        prefix = self.meeting.prefix
        try:
            # Its own connection: that of the meeting may be in the middle of a call.
            store = connect(self.meeting.limit)
            store.set(f"{prefix}/who/{rank()}", named())
            store.set(f"{prefix}/process/{rank()}", str(os.getpid()))
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
                if self.ended.wait(min(BEAT, self.meeting.limit / 10)):
                    return
        except (RuntimeError, OlmesError):  # the store's server has gone
            if not self.ended.is_set():
                self.verdict = SERVER_GONE
                self.give_up()

    def watch_server(self) -> None:
        """Notice a store that answers no more: a stopped first process closes no connection."""
        line = 0.0
        while not self.ended.wait(min(1.0, self.meeting.limit / 10)):
            now = time.monotonic()
            silent = now - self.answered
            what = f"{self.named(0)} has shown no sign of life for {shown(silent)}"
            if silent >= self.meeting.limit:
                self.verdict = f"{what}; {ENDS}"
                self.give_up()
            if silent >= self.meeting.spoken and now - line >= self.meeting.spoken:
                line = now
                if self.speaks(0):
                    say(f"{what}; it is waited for up to {shown(self.meeting.limit)}")

    def give_up(self) -> None:
        """End this process unless it ends by itself: no exception reaches into a collective."""
        if not self.ended.wait(max(GRACE, 2 * min(BEAT, self.meeting.limit / 10))):
            say(self.verdict)
            os._exit(STATUS)

    def found(self, store: Any) -> Iterator[str]:
        """Reasons to end; says who shows no sign of life."""
        prefix, now = self.meeting.prefix, time.monotonic()
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
            if silent < min(self.meeting.spoken, self.meeting.limit):
                continue
            if store.check([f"{prefix}/left/{number}"]):
                continue
            name = self.look_up(store, number)
            what = (
                f"{name} has shown no sign of life for {shown(silent)}{self.place(store, number)}"
            )
            if silent >= self.meeting.limit:
                self.end_neighbour(store, number)
                yield f"{what}; {ENDS}"
            if now - self.told_of.get(number, 0) >= self.meeting.spoken and self.speaks(number):
                self.told_of[number] = now
                say(f"{what}; it is waited for up to {shown(self.meeting.limit)}")

    def end_neighbour(self, store: Any, number: int) -> None:
        """End a stopped process of this machine, for which its launcher would wait."""
        key = f"{self.meeting.prefix}/process/{number}"
        if number in neighbours() and self.speaks(number) and store.check([key]):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(int(store.get(key)), signal.SIGKILL)

    def speaks(self, missing: int) -> bool:
        """Whether this process says it for its machine."""
        lowest = neighbours()[0]
        return rank() == (lowest if missing != lowest else lowest + 1)

    def look_up(self, store: Any, number: int) -> str:
        """A rank's name with host and process."""
        key = f"{self.meeting.prefix}/who/{number}"
        if number not in self.names and store.check([key]):
            self.names[number] = store.get(key).decode()
        return self.named(number)

    def named(self, number: int) -> str:
        """A rank's name, as far as it is known."""
        return self.names.get(number, f"rank {number}")

    def place(self, store: Any, number: int) -> str:
        """What a rank was at last."""
        key = f"{self.meeting.prefix}/doing/{number}"
        doing = store.get(key).decode() if store.check([key]) else ""
        return f" (it was at: {doing})" if doing else ""


def shown(seconds: float) -> str:
    """A length of time for a reader."""
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.3g} s"
