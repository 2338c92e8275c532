"""Scoring in parallel processes with a hard time limit an answer.

Each worker is driven by a thread that sends it a batch, then waits for one line a job. A worker that
lets a job's time limit pass, or dies, is replaced; that job is reported and the rest of its batch goes
to the new worker. Nothing a model writes can hang, crash or execute anything in this process.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from olmes.errors import OlmesError
from olmes.task import Task
from olmes.types import Doc, Judgement, Response, Verdict

BATCH = 16
START_LIMIT = 120.0
"""Seconds a worker may take to import what its tasks need."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one scorer made of one response: a verdict, or why there is none."""

    verdict: Verdict | None = None
    timeout: str = ""
    """The limit of time or memory that was hit: the answer could not be shown right within it."""
    crash: str = ""
    """A fault of the scorer, never counted as a wrong answer."""


@dataclass(frozen=True, slots=True)
class Job:
    """One scorer on one response."""

    task: str
    scorer: str
    doc: Doc
    response: Response
    limit: float
    done: Callable[[Outcome], None]
    judgements: Sequence[Judgement] | None = None

    def to_json(self) -> dict[str, Any]:
        """What the worker needs."""
        job: dict[str, Any] = {
            "task": self.task,
            "scorer": self.scorer,
            "doc": self.doc,
            "response": self.response.to_json(),
        }
        if self.judgements is not None:
            job["judgements"] = [judgement.to_json() for judgement in self.judgements]
        return job


class Worker:
    """One scoring process and the pipe to it."""

    def __init__(self, setup: str) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
        # A file, not a pipe: nobody reads it while the worker runs, and a full pipe would block it.
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the process)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "olmes.scoring.worker"],
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
            raise OlmesError(f"a scoring process did not start: {self.last_words()}")

    def send(self, line: str) -> None:
        """Write one line; a dead worker is noticed when its answer is waited for."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(line.encode("ascii") + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass

    def receive(self, limit: float) -> dict[str, Any] | None:
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
        answer: dict[str, Any] = json.loads(line)
        return answer

    def last_words(self) -> str:
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


class ScoringPool:
    """Workers for a set of tasks. Use as a context manager; `submit` jobs, then `join`."""

    def __init__(self, tasks: Mapping[str, Task], scoring_processes: int | None = None) -> None:
        self.tasks = dict(tasks)
        self.setup = json.dumps(
            {
                name: {"reference": task.reference, "settings": dict(task.settings)}
                for name, task in self.tasks.items()
            }
        )
        self.jobs: deque[Job] = deque()
        self.changed = threading.Condition()
        self.pending = 0
        self.closing = False
        self.failure: BaseException | None = None
        count = scoring_processes or max(1, min(16, (os.cpu_count() or 2) // 2))
        self.threads = [
            threading.Thread(target=self.drive, name=f"scorer-{i}", daemon=True)
            for i in range(count)
        ]

    def __enter__(self) -> ScoringPool:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self.changed:
            self.closing = True
            self.jobs.clear()
            self.changed.notify_all()
        for thread in self.threads:
            thread.join()

    def submit(
        self,
        task: str,
        doc: Doc,
        response: Response,
        done: Callable[[str, Outcome], None],
        judgements: Sequence[Judgement] | None = None,
    ) -> None:
        """Have every scorer of a task score one response, with its judgements if it is `judged`.

        `done(scorer, outcome)` is called once a scorer, from a thread of the pool.
        """
        jobs = [
            Job(
                task=task,
                scorer=scorer,
                doc=doc,
                response=response,
                limit=self.tasks[task].time_limit,
                done=lambda outcome, scorer=scorer: done(scorer, outcome),  # type: ignore[misc]
                judgements=judgements,
            )
            for scorer in self.tasks[task].scorers
        ]
        with self.changed:
            self.jobs.extend(jobs)
            self.pending += len(jobs)
            self.changed.notify_all()

    def join(self) -> None:
        """Wait until every submitted job is done.

        Raises:
            OlmesError: no worker could be started.
        """
        with self.changed:
            self.changed.wait_for(lambda: self.pending == 0 or self.failure)
        if self.failure:
            raise self.failure

    def take(self) -> list[Job] | None:
        """The next batch of jobs; None when the pool closes."""
        with self.changed:
            self.changed.wait_for(lambda: self.jobs or self.closing)
            if self.closing:
                return None
            fair = -(-len(self.jobs) // len(self.threads))
            return [self.jobs.popleft() for _ in range(min(BATCH, fair))]

    def finish(self, job: Job, outcome: Outcome) -> None:
        """Report a job's outcome."""
        job.done(outcome)
        with self.changed:
            self.pending -= 1
            self.changed.notify_all()

    def drive(self) -> None:
        """One thread: keep one worker busy until the pool closes."""
        worker: Worker | None = None
        try:
            worker = Worker(self.setup)
            while (batch := self.take()) is not None:
                while batch:
                    worker.send(json.dumps([job.to_json() for job in batch]))
                    batch, lost = self.collect(worker, batch)
                    if lost:
                        worker.kill()
                        worker = Worker(self.setup)
        except BaseException as error:
            with self.changed:
                self.failure = error
                self.changed.notify_all()
        finally:
            if worker is not None:
                worker.kill()

    def collect(self, worker: Worker, batch: list[Job]) -> tuple[list[Job], bool]:
        """Wait for a batch's answers: the jobs still to do, and whether the worker was lost."""
        for position, job in enumerate(batch):
            answer = worker.receive(job.limit)
            if answer is None:
                outcome = Outcome(timeout=f"{job.scorer} took more than {job.limit:g} s")
            elif "dead" in answer:
                outcome = Outcome(crash=f"{job.scorer}: the scoring process died")
            elif "verdict" in answer:
                outcome = Outcome(verdict=Verdict(**answer["verdict"]))
            elif "limit" in answer:
                outcome = Outcome(timeout=f"{job.scorer} hit a limit ({answer['limit']})")
            else:
                outcome = Outcome(crash=f"{job.scorer}: {answer['crash']}")
            self.finish(job, outcome)
            if answer is None or "dead" in answer:
                return batch[position + 1 :], True
        return [], False
