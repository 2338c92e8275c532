"""Programs executed side by side, each in a sandbox."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from olmes.errors import OlmesError
from olmes.sandbox.program import Execution, Program

ENDED = "olmes: the end of the tests"


class SandboxPool:
    """Executes programs; `submit` them, `close` when nothing more will come."""

    def __init__(self, processes: int | None = None) -> None:
        """A pool of so many programs at once; None takes half of the processors.

        Raises:
            OlmesError: no sandbox can be had here; nothing is ever executed without one.
        """
        self.bwrap = shutil.which("bwrap")
        if self.bwrap is None:
            raise OlmesError(
                "programs that a model wrote are executed in a sandbox alone, and there is none here; "
                "install bubblewrap (`apt install bubblewrap`)."
            )
        self.threads = ThreadPoolExecutor(processes or max(1, (os.cpu_count() or 2) // 2))

    def submit(self, program: Program, done: Callable[[Execution], None]) -> None:
        """Execute a program; `done` is called with what came of it, from a thread of the pool."""
        self.threads.submit(lambda: done(self.execute(program)))

    def execute(self, program: Program) -> Execution:
        """Execute one program and wait for it."""
        assert self.bwrap is not None
        command = [self.bwrap, "--unshare-all", "--die-with-parent", "--clearenv", "--new-session"]
        command += ["--ro-bind", "/", "/", "--tmpfs", "/tmp", "--dev", "/dev", "--proc", "/proc"]  # noqa: S108
        command += ["--chdir", "/tmp", sys.executable, "-I", "-c"]  # noqa: S108
        text = f"{program.source}\n{program.tests}\nprint({ENDED!r})\n"
        try:
            done = subprocess.run(
                [*command, text], capture_output=True, text=True, timeout=program.limits.wall_s
            )
        except subprocess.TimeoutExpired:
            return program.came_to("timeout")
        passed = done.returncode == 0 and done.stdout.rstrip().endswith(ENDED)
        output = (done.stdout + done.stderr)[-program.limits.output_bytes :]
        return program.came_to("passed" if passed else "failed", output)

    def close(self) -> None:
        """End what still runs and give the processes back."""
        self.threads.shutdown(wait=False, cancel_futures=True)
