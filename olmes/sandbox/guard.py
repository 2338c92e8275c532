"""What runs inside a sandbox: the guard, process 1 of it, and the program, a child of the guard.

This file imports nothing of olmes: a sandbox sees it alone. The guard reads one program from standard
input, runs it under limits and writes one line that says what came of it, and then its output.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # `signal` imports a third as much again
import os
import resource
import select
import sys
import time

sys.path.insert(0, os.path.dirname(__file__))  # noqa: PTH120
from guarded import confine, receive, run  # type: ignore[import-not-found]

del sys.path[0]

TICK = 0.1
"""Seconds between looks at what the processes use."""
NUMBERS = (
    "wall_ms", "cpu_ms", "memory", "processes", "file", "output", "second_user", "tests", "source",
)  # fmt: skip
"""What the first line of a program says."""
COUNTED = ("RssAnon:", "RssShmem:")
"""Memory of a process that is not a file's."""
FILES = 1 << 16
"""Files there may be: an empty one takes memory too."""
FLOOD = 256
"""So many times what is kept of the output may be written."""


def fork(limits: dict[str, int], source: bytes) -> tuple[int, int, int, int]:
    """Start the child: its number, where it is given, where it answers, where its output comes.

    Nothing of the model's has run when this returns.

    Raises:
        RuntimeError: the child could not set its limits.
    """
    (there, give), (take, back), (output, written) = os.pipe(), os.pipe(), os.pipe()
    child = os.fork()
    if child:
        for descriptor in (there, back, written):
            os.close(descriptor)
        if os.read(take, 1) != b"+":
            raise RuntimeError(os.read(take, 1 << 10).decode("utf-8", "replace"))
        return child, give, take, output
    nothing = os.open("/dev/null", os.O_RDONLY)
    for place, descriptor in enumerate((nothing, written, written)):
        os.dup2(descriptor, place)
    for descriptor in range(3, 256):
        if descriptor not in (there, back):
            try:
                os.close(descriptor)
            except OSError:
                continue
    for place, name in ((1, "stdout"), (2, "stderr")):
        stream = open(place, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    sys.path.extend(sys.argv[1:])
    sys.argv[:] = ["program"]
    try:
        confine(limits)
        os.write(back, b"+")
    except BaseException as error:
        os.write(back, b"-%s" % str(error).encode("utf-8", "replace"))
        os._exit(1)
    run(there, back, limits["tests"], source)
    os._exit(1)


def usage(base: int) -> tuple[int, float, int]:
    """Bytes, processor seconds, and number of threads of all processes but the guard."""
    held, seconds, threads = 0, 0.0, 0
    hertz = os.sysconf("SC_CLK_TCK")
    for name in os.listdir("/proc"):  # noqa: PTH208
        if not name.isdigit() or name == "1":
            continue
        try:
            with open(f"/proc/{name}/status") as stream:  # noqa: PTH123
                lines = [line.split() for line in stream if line.startswith(COUNTED)]
            with open(f"/proc/{name}/stat") as stream:  # noqa: PTH123
                fields = stream.read().rpartition(")")[2].split()
        except (OSError, ValueError):
            continue
        held += max(0, sum(int(line[1]) for line in lines) * 1024 - base)
        seconds += sum(map(int, fields[11:15])) / hertz
        threads += int(fields[17])
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return held, seconds + spent.ru_utime + spent.ru_stime, threads


class Watch:
    """A running program, from the fork to what became of it."""

    def __init__(self, limits: dict[str, int], source: bytes) -> None:
        self.limits = limits
        statm = open("/proc/self/statm").read().split()  # noqa: PTH123, SIM115
        self.base = (int(statm[1]) - int(statm[2])) * resource.getpagesize()
        self.child, self.give, self.take, self.output = fork(limits, source)
        self.secret = os.urandom(32)
        self.told = b""
        self.tail = b""
        self.written = 0
        self.status: int | None = None
        self.most = 0
        self.closed = 0
        """How often was looked whether the child has ended, since its end of the pipe is closed."""

    def watch(self, pending: bytes) -> tuple[str, str]:
        """What became of it, once that is known.

        Args:
            pending: what the child is given.
        """
        for descriptor in (self.give, self.take, self.output):
            os.set_blocking(descriptor, False)
        began = time.monotonic()
        deadline, look = began + self.limits["wall_ms"] / 1000, began + TICK
        ended = 0.0
        poll = select.poll()
        for descriptor, event in ((self.take, select.POLLIN), (self.output, select.POLLIN),
                                  (self.give, select.POLLOUT)):  # fmt: skip
            poll.register(descriptor, event)
        while True:
            now = time.monotonic()
            if now >= deadline and not ended:
                return "timeout", f"it was not done after {self.limits['wall_ms'] / 1000:g} s"
            # Between the end of its pipes and the end of a process lies a moment.
            soon = deadline if not self.closed else now + min(TICK, 0.001 * 2**self.closed)
            self.closed += bool(self.closed)
            ready = dict(poll.poll(max(1, int(1000 * (min(deadline, look, soon) - now)))))
            if self.give in ready:
                pending = self.hand_over(pending, poll)
            if self.output in ready and not self.read_output():
                poll.unregister(self.output)
            if self.take in ready and not self.read_answer():
                poll.unregister(self.take)
                self.closed = 1
            if self.certified() and not ended:
                ended, deadline = now, min(deadline, now + 1.0)
            self.reap()
            if self.status is not None or (ended and now >= deadline):
                return self.verdict()
            if found := self.over(time.monotonic() >= look):
                return found
            look = look if now < look else now + TICK

    def hand_over(self, pending: bytes, poll: select.poll) -> bytes:
        """Give the child the next part; what is left."""
        try:
            pending = pending[os.write(self.give, pending[: 1 << 16]) :]
        except BlockingIOError:
            return pending
        except BrokenPipeError:
            pending = b""
        if not pending:
            poll.unregister(self.give)
            os.close(self.give)
        return pending

    def read_output(self) -> bool:
        """Keep the end of what was written; False where nothing is there."""
        try:
            part = os.read(self.output, 1 << 16)
        except BlockingIOError:
            return False
        self.written += len(part)
        self.tail = (self.tail + part)[-self.limits["output"] :]
        return bool(part)

    def read_answer(self) -> bool:
        """Take what came where the secret is awaited; False where nothing is there."""
        try:
            part = os.read(self.take, 1 << 12)
        except BlockingIOError:
            return False
        self.told = (self.told + part)[: 1 << 12]
        return bool(part)

    def certified(self) -> bool:
        """Whether the secret came, and nothing else; a program that forked may give it twice."""
        return bool(self.told) and not self.told.replace(self.secret, b"")

    def reap(self) -> None:
        """Take note of processes that ended; orphans are the guard's children too."""
        while True:
            try:
                number, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if number == 0:
                return
            if number == self.child:
                self.status = status

    def over(self, look: bool) -> tuple[str, str] | None:
        """The limit that all processes together are over, those that cost a look only if asked."""
        if self.written > FLOOD * self.limits["output"]:
            return "refused", f"it wrote more than {FLOOD * self.limits['output']} bytes"
        if not look:
            return None
        held, seconds, threads = usage(self.base)
        self.most = max(self.most, held)
        if held > self.limits["memory"]:
            return "memory", f"its processes held more than {self.limits['memory']} bytes"
        if seconds > self.limits["cpu_ms"] / 1000:
            return "timeout", f"it used {self.limits['cpu_ms'] / 1000:g} s of processor time"
        if threads > self.limits["processes"]:
            return "refused", f"it had more than {self.limits['processes']} processes and threads"
        for place in ("/tmp", "/dev/shm"):  # noqa: S108
            there = os.statvfs(place)
            if there.f_files - there.f_ffree > FILES:
                return "refused", f"it made more than {FILES} files"
        return None

    def verdict(self) -> tuple[str, str]:
        """What a program that is over came to."""
        for _ in range(64):  # others that it started may go on writing
            if not (self.read_output() or self.read_answer()):
                break
        if self.certified():
            return "passed", ""
        kind, _, why = self.told[1:].partition(b"\0")[0].decode("utf-8", "replace").partition("\n")
        if self.told[:1] == b"!" and kind in ("failed", "memory", "refused"):
            return kind, why
        if self.told:
            return "refused", "it wrote where its verdict is read"
        assert self.status is not None
        if not os.WIFSIGNALED(self.status):
            return "failed", "it ended itself before the end of its tests"
        number = os.WTERMSIG(self.status)
        if number == signal.SIGXCPU:
            return "timeout", f"it used {self.limits['cpu_ms'] / 1000:g} s of processor time"
        if number in (signal.SIGXFSZ, signal.SIGSYS):
            return "refused", f"it was ended by {signal_name(number)}"
        if number == signal.SIGKILL and self.most > 0.8 * self.limits["memory"]:
            return "memory", "it was ended when memory ran out"
        return "crashed", f"its interpreter was ended by {signal_name(number)}"


def signal_name(number: int) -> str:
    """`SIGSEGV`, say."""
    for name, value in sorted(
        vars(signal).items(), key=str
    ):  # SIGABRT before SIGIOT, its other name
        if value == number and name.startswith("SIG") and not name.startswith("SIG_"):
            return str(name)
    return f"signal {number}"


def shield() -> None:
    """Keep the guard's memory from a child of the same user: neither read, written nor traced."""
    import ctypes

    # What the system ends first when memory runs out; afterwards it may not be said.
    with open("/proc/self/oom_score_adj", "w") as stream:  # noqa: PTH123
        stream.write("900")
    ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE


def main() -> None:
    """Run one program."""
    line = b""
    while not line.endswith(b"\n"):
        part = os.read(0, 1)
        if not part:
            return
        line += part
    limits = dict(zip(NUMBERS, map(int, line.split()), strict=True))
    if not limits["second_user"]:
        shield()
    watch = Watch(limits, receive(0, limits["source"]))
    os.write(1, b"started\n")
    result, why = watch.watch(watch.secret + receive(0, limits["tests"]))
    said = why.replace("\n", " ").encode("utf-8", "backslashreplace")
    answer = result.encode() + b" " + said + b"\n" + watch.tail
    while answer:
        answer = answer[os.write(1, answer) :]
    os._exit(0)


if __name__ == "__main__":
    main()
