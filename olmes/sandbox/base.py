"""What a sandbox is to the pool: a way to start one, and a started one that runs one program."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from olmes.errors import OlmesError
from olmes.sandbox import environments
from olmes.sandbox.interpreter import Interpreter
from olmes.sandbox.program import RESULTS, Execution, Limits, Program
from olmes.tools.visible_text import visible

GRACE = 20.0
"""Seconds beyond its limit after which a program's sandbox is ended from outside."""
STARTED = b"started\n"
VARIABLES = {
    "HOME": "/tmp",  # noqa: S108
    "LANG": "C.UTF-8",
    "MALLOC_ARENA_MAX": "2",
    "MPLBACKEND": "Agg",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "PYTHONHASHSEED": "0",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
"""The whole environment of a program."""


@dataclass(frozen=True, slots=True)
class Started:
    """A sandbox whose guard waits for its program; it runs one and is gone with it."""

    process: subprocess.Popen[bytes]
    second_user: bool
    """Whether the program can be another user than its guard."""
    first: int = 0
    """The number that its process 1 has outside; 0 where that is not known. With it all others end."""
    ending: tuple[str, ...] = ()
    """A command that ends what the process alone does not take with it: a container."""

    def execute(self, program: Program) -> Execution:
        """Run the program, and end everything that it started.

        Raises:
            OlmesError: there was no sandbox to run it in: nothing was executed.
        """
        limits = program.limits
        try:
            out, err = self.process.communicate(
                message(program, second_user=self.second_user), limits.wall_s + GRACE
            )
        except subprocess.TimeoutExpired:
            self.end()
            return program.came_to("timeout", "olmes: the sandbox was ended from outside\n")
        if not out.startswith(STARTED):
            raise OlmesError(f"a sandbox did not start: {reason(err)}")
        first, _, written = out[len(STARTED) :].partition(b"\n")
        word, _, why = first.decode("utf-8", "replace").partition(" ")
        result = RESULTS.get(word)
        if result is None:
            return program.came_to("crashed", "olmes: its sandbox was ended with it\n")
        said = f"olmes: {why}\n" if why else ""
        shown = visible(text_of(written[-limits.output_bytes :]) + said)
        return program.came_to(result, shown[-limits.output_bytes :])

    def end(self) -> None:
        """End it with all that runs in it."""
        self.kill()
        self.process.communicate()

    def kill(self) -> None:
        """End it, and do not wait for it."""
        if self.ending:
            subprocess.run(self.ending, capture_output=True)
        # One that was started just now may not have said yet that it ends with its parent.
        if self.first and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.first, signal.SIGKILL)
        self.process.kill()


class Sandbox(ABC):
    """A kind of isolation."""

    name: str

    @abstractmethod
    def unusable(self) -> str:
        """Why it cannot be had here, with the remedy; '' where nothing speaks against trying."""

    def interpreter(self, environment: str) -> Interpreter:
        """What runs the programs of an environment.

        Raises:
            OlmesError: it is not installed.
        """
        return environments.interpreter(environment)

    @abstractmethod
    def start(self, interpreter: Interpreter, limits: Limits, folder: Path) -> Started:
        """A sandbox that waits for a program.

        Args:
            interpreter: what runs the program.
            limits: what the sandbox itself must know before: the size of its folder.
            folder: with the guard and the files of a user database, seen inside as `/olmes`.

        Raises:
            OlmesError: it could not be started.
        """


def message(program: Program, *, second_user: bool) -> bytes:
    """A program as the guard reads it: a line of numbers, the source, the tests."""
    limits = program.limits
    source = program.source.encode("utf-8", "surrogatepass")
    tests = program.tests.encode("utf-8", "surrogatepass")
    numbers: Sequence[float] = (
        limits.wall_s * 1000, limits.wall_s * limits.processors * 1000, limits.memory_bytes,
        limits.processes, limits.file_bytes, limits.output_bytes, second_user, len(tests), len(source),
    )  # fmt: skip
    return " ".join(str(int(number)) for number in numbers).encode() + b"\n" + source + tests


def text_of(written: bytes) -> str:
    """Output as text: what is no UTF-8 is replaced, a character cut in two at the front left out."""
    return written.decode("utf-8", "replace").lstrip("\ufffd" if written[:1] > b"\x7f" else "")


def reason(err: bytes, otherwise: str = "it ended without a word") -> str:
    """The last line of what a sandbox wrote when it failed."""
    lines = err.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else otherwise


def popen(
    command: list[str], descriptors: tuple[int, ...] = (), *, keep_environment: bool = False
) -> subprocess.Popen[bytes]:
    """Start a command with pipes; Ctrl-C does not reach it, and our environment only where asked."""
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        pass_fds=descriptors, start_new_session=True, env=None if keep_environment else {},
    )  # fmt: skip
