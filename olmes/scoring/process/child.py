"""One scoring process, as the process that started it sees it."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time

from olmes.errors import OlmesError
from olmes.scoring.process.worker import WorkerAnswer

START_LIMIT = 120.0
"""Seconds a worker may take to import what its tasks need."""


class Worker:
    """One scoring process and the pipe to it."""

    def __init__(self, setup: bytes) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
        # A file, not a pipe: nobody reads it while the worker runs, and a full pipe would block it.
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the process)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "olmes.scoring.process.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env=environment,
            # Ctrl-C reaches the whole terminal group; the run decides when workers end.
            start_new_session=True,
        )
        self.buffer = b""
        self.send(setup)
        answer = self.receive(START_LIMIT)
        if answer is None or "ready" not in answer:
            raise OlmesError(f"a scoring process did not start: {self.last_error_line()}")
        self.start_cpu_s = float(answer["cpu_s"])

    def send(self, line: bytes) -> None:
        """Write one line; a dead worker is noticed when its answer is waited for."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(line + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass

    def receive(self, limit: float) -> WorkerAnswer | None:
        """The next answer; `{"dead": True}` from a process that ended, None when `limit` passed."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + limit
        descriptor = self.process.stdout.fileno()
        while b"\n" not in self.buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                return None
            chunk = os.read(descriptor, 1 << 16)
            if not chunk:
                return {"dead": True}
            self.buffer += chunk
        line, _, self.buffer = self.buffer.partition(b"\n")
        answer: WorkerAnswer = json.loads(line)
        return answer

    def last_error_line(self) -> str:
        """The last line the process wrote to its standard error."""
        self.process.kill()
        self.process.wait()
        self.errors.seek(0)
        lines = self.errors.read().decode("utf-8", "replace").strip().splitlines()
        self.kill()
        return lines[-1] if lines else f"exit status {self.process.returncode}"

    def kill(self) -> None:
        """End the process at once."""
        self.process.kill()
        self.process.communicate()
        self.errors.close()
