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

from olmes.benchmark.task import Task
from olmes.errors import OlmesError
from olmes.scoring.process.worker import WorkerAnswer
from olmes.tools.jsonl import compact_json
from olmes.types import Doc, Judgement, Response, Verdict

BATCH = 16
"""Jobs that are sent to a worker together at first; more where they are done quickly."""
LARGEST_BATCH = 256
QUICK, SLOW = 0.02, 0.2
"""Seconds a batch takes before the next is larger, after which it is smaller."""
WAITING = 2048
"""Jobs that may wait for a worker; submitting more waits too, so that they do not pile up."""
START_LIMIT = 120.0
"""Seconds a worker may take to import what its tasks need."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one scorer made of one response: a verdict, or why there is none."""

    verdict: Verdict | None = None
    timeout: str = ""
    """The limit of time or memory that was hit: the answer was not shown to be right within it."""
    crash: str = ""
    """A fault of the scorer, never counted as a wrong answer."""


@dataclass(frozen=True, slots=True)
class ScoringJob:
    """One scorer on one response."""

    task: str
    scorer: str
    doc: Doc
    response: Response
    limit: float
    done: Callable[[Outcome], None]
    judgements: Sequence[Judgement] | None = None

    def to_json(self) -> bytes:
        """What the worker needs, as a JSON object."""
        response = self.response.to_json()
        parts = [
            b'{"task":' + compact_json(self.task),
            b'"scorer":' + compact_json(self.scorer),
            b'"doc":' + ascii_json(self.doc),
            # A log-probability may be NaN, which `compact_json` cannot write.
            b'"response":'
            + (ascii_json(response) if response["logprobs"] else compact_json(response)),
        ]
        if self.judgements is not None:
            rows = [judgement.to_json() for judgement in self.judgements]
            parts.append(b'"judgements":' + ascii_json(rows))
        return b",".join(parts) + b"}"


def ascii_json(value: Any) -> bytes:
    """JSON of any value, without line ends."""
    return json.dumps(value).encode("ascii")


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


class ScoringPool:
    """Workers for a set of tasks. Use as a context manager; `submit` jobs, then `join`."""

    def __init__(self, tasks: Mapping[str, Task], scoring_processes: int | None = None) -> None:
        self.tasks = dict(tasks)
        self.setup = ascii_json(
            {
                name: {"reference": task.reference, "settings": dict(task.settings)}
                for name, task in self.tasks.items()
            }
        )
        self.jobs: deque[ScoringJob] = deque()
        self.changed = threading.Condition()
        self.pending = 0
        """Jobs that are not done."""
        self.idle = 0
        """Threads that wait for jobs."""
        self.cpu_s = 0.0
        """Processor seconds of the workers; a job that ran into its time limit counts that limit."""
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

        `done(scorer, outcome)` is called once a scorer, from a thread of the pool. Blocks while too
        many jobs wait.

        Raises:
            OlmesError: no worker could be started.
        """
        jobs = [
            ScoringJob(
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
            if len(self.jobs) >= WAITING:
                self.changed.wait_for(lambda: len(self.jobs) < WAITING // 2 or self.failure)
            if self.failure:
                raise self.failure
            self.jobs.extend(jobs)
            self.pending += len(jobs)
            if self.idle:
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

    def take(self, most: int) -> list[ScoringJob] | None:
        """The next batch of jobs, `most` of them at most; None when the pool closes."""
        with self.changed:
            self.idle += 1
            self.changed.wait_for(lambda: self.jobs or self.closing)
            self.idle -= 1
            if self.closing:
                return None
            fair = -(-len(self.jobs) // len(self.threads))
            batch = [self.jobs.popleft() for _ in range(min(most, fair))]
            self.changed.notify_all()
            return batch

    def finish(self, job: ScoringJob, outcome: Outcome) -> None:
        """Report a job's outcome."""
        job.done(outcome)
        with self.changed:
            self.pending -= 1
            if not self.pending:
                self.changed.notify_all()

    def drive(self) -> None:
        """One thread: keep one worker busy until the pool closes."""
        worker: Worker | None = None
        try:
            worker = self.start()
            size = BATCH
            while (batch := self.take(size)) is not None:
                began = time.monotonic()
                while batch:
                    worker.send(b"[" + b",".join(job.to_json() for job in batch) + b"]")
                    batch, lost = self.collect(worker, batch)
                    if lost:
                        worker.kill()
                        worker = self.start()
                took = time.monotonic() - began
                size = min(2 * size, LARGEST_BATCH) if took < QUICK else size
                size = max(size // 2, BATCH) if took > SLOW else size
        except BaseException as error:
            with self.changed:
                self.failure = error
                self.changed.notify_all()
        finally:
            if worker is not None:
                worker.kill()

    def start(self) -> Worker:
        """A new worker, its start counted."""
        worker = Worker(self.setup)
        self.count(worker.start_cpu_s)
        return worker

    def count(self, seconds: float) -> None:
        """Add processor seconds of a worker."""
        with self.changed:
            self.cpu_s += seconds

    def collect(self, worker: Worker, batch: list[ScoringJob]) -> tuple[list[ScoringJob], bool]:
        """Wait for a batch's answers: the jobs still to do, and whether the worker was lost."""
        for position, job in enumerate(batch):
            answer = worker.receive(job.limit)
            self.count(job.limit if answer is None else answer.get("cpu_s", 0.0))
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
