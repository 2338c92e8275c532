"""Programs executed side by side, each in a sandbox of its own that is gone with it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import ExitStack
from queue import SimpleQueue

from olmes.errors import OlmesError
from olmes.sandbox.base import Sandbox, Started
from olmes.sandbox.choice import chosen
from olmes.sandbox.inside import laid_out
from olmes.sandbox.program import Execution, Program

POLL = 0.5
"""Seconds between looks whether the pool has failed, for those who wait."""
Done = Callable[[Execution], None]
Failed = Callable[[BaseException], None]


class SandboxPool:
    """Executes programs; `submit` them, `close` when nothing more will come."""

    def __init__(
        self,
        processes: int | None = None,
        *,
        failed: Failed | None = None,
        sandbox: Sandbox | None = None,
    ) -> None:
        """A pool of so many programs at once.

        Args:
            processes: how many; None takes half of the processors.
            failed: told once, from a thread of the pool, where a program could not be executed because
                no sandbox could be started: that is no result of it. Nothing is executed after it.
            sandbox: which; None takes the one that is chosen for this machine.

        Raises:
            OlmesError: no sandbox can be had here; nothing is ever executed without one.
        """
        self.sandbox = sandbox or chosen()
        self.failed = failed
        self.failure: BaseException | None = None
        self.waiting: SimpleQueue[tuple[Program, Done] | None] = SimpleQueue()
        self.closing = False
        self.lock = threading.Lock()
        self.running: set[Started] = set()
        self.inside = ExitStack()
        self.folder = self.inside.enter_context(laid_out())
        count = processes or max(1, (os.cpu_count() or 2) // 2)
        self.threads = [
            threading.Thread(target=self.drive, name=f"sandbox-{number}", daemon=True)
            for number in range(count)
        ]
        for thread in self.threads:
            thread.start()

    def submit(self, program: Program, done: Done) -> None:
        """Execute a program; `done` is called with what came of it, from a thread of the pool.

        Never blocks.

        Raises:
            OlmesError: an earlier one could not be executed; its environment is not installed; the pool
            is closed.
        """
        if self.failure is not None:
            raise self.failure
        if self.closing:
            raise OlmesError("the sandboxes are closed; nothing is executed any more.")
        self.sandbox.interpreter(program.environment)
        self.waiting.put((program, done))

    def execute(self, program: Program) -> Execution:
        """Execute a program and wait for what comes of it.

        Raises:
            OlmesError: it could not be executed, as at `submit`, or the pool was closed.
        """
        found: list[Execution] = []
        ready = threading.Event()

        def done(execution: Execution) -> None:
            found.append(execution)
            ready.set()

        self.submit(program, done)
        while not ready.wait(POLL):
            if self.failure is not None:
                raise self.failure
            if self.closing:
                raise OlmesError("the sandboxes were closed before the program was executed.")
        return found[0]

    def drive(self) -> None:
        """One thread: a program after the other, the next one's sandbox started meanwhile."""
        spare: tuple[tuple[object, ...], Started] | None = None
        try:
            while (asked := self.waiting.get()) is not None and not self.closing:
                program, done = asked
                kind = kind_of(program)
                if spare is not None and spare[0] != kind:
                    self.end(spare[1])
                    spare = None
                started = spare[1] if spare is not None else self.start(program)
                spare = kind, self.start(program)
                execution = self.finish(started, program)
                if self.closing:
                    return
                done(execution)
        except BaseException as error:
            with self.lock:
                first = self.failure is None and not self.closing
                self.failure = self.failure or error
            if first and self.failed is not None:
                self.failed(error)
        finally:
            if spare is not None:
                self.end(spare[1])

    def start(self, program: Program) -> Started:
        """A sandbox for programs like this one."""
        interpreter = self.sandbox.interpreter(program.environment)
        started = self.sandbox.start(interpreter, program.limits, self.folder)
        with self.lock:
            self.running.add(started)
            if self.closing:
                started.kill()
        return started

    def finish(self, started: Started, program: Program) -> Execution:
        """Execute a program in a sandbox that waits for it."""
        try:
            return started.execute(program)
        finally:
            with self.lock:
                self.running.discard(started)

    def end(self, started: Started) -> None:
        """End a sandbox that is not needed."""
        with self.lock:
            self.running.discard(started)
        started.end()

    def close(self) -> None:
        """End what still runs and give the processes back."""
        with self.lock:
            self.closing = True
        for _ in self.threads:
            self.waiting.put(None)
        with self.lock:
            running = list(self.running)
        for started in running:
            started.kill()
        for thread in self.threads:
            if thread is not threading.current_thread():
                thread.join()
        self.inside.close()


def kind_of(program: Program) -> tuple[object, ...]:
    """What programs have in common that can use the same started sandbox."""
    limits = program.limits
    return program.environment, limits.file_bytes, limits.memory_bytes, limits.processes
