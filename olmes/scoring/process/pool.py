"""Scoring in parallel processes with a hard time limit an answer.

Each worker is driven by a thread that sends it a batch, then waits for one line a job. A worker that
lets a job's time limit pass, or dies, is replaced; that job is reported and the rest of its batch goes
to the new worker. Nothing a model writes can hang, crash or execute anything in this process.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from olmes.benchmark.task import Task
from olmes.sandbox.pool import SandboxPool
from olmes.sandbox.program import Execution, Program
from olmes.scoring.process.child import Worker
from olmes.scoring.process.job import Case, Outcome, ScoringJob, ascii_json
from olmes.scoring.process.worker import PROGRAMS
from olmes.types import Doc, Judgement, Response, Verdict

BATCH = 16
"""Jobs that are sent to a worker together at first; more where they are done quickly."""
LARGEST_BATCH = 256
QUICK, SLOW = 0.02, 0.2
"""Seconds a batch takes before the next is larger, after which it is smaller."""
WAITING = 2048
"""Jobs that may wait for a worker; submitting more waits too, so that they do not pile up."""


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
        self.sandboxes: SandboxPool | None = None
        """Where programs run, once one was asked for."""
        self.executing = 0
        """Programs that are not done."""
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
        if self.sandboxes is not None:
            self.sandboxes.close()

    def submit(
        self,
        task: str,
        doc: Doc,
        response: Response,
        done: Callable[[str, Outcome], None],
        judgements: Sequence[Judgement] | None = None,
    ) -> None:
        """Have every scorer of a task score one response, with its judgements if it is `judged`.

        What the task wants executed runs in a sandbox before. `done(scorer, outcome)` is called once
        a scorer, from a thread of the pool. Blocks while too many jobs wait.

        Raises:
            OlmesError: no worker could be started, or there is no sandbox for what is executed.
        """
        case = Case(self.tasks[task], doc, response, done, judgements)
        with self.changed:
            if self.waiting >= WAITING:
                self.changed.wait_for(lambda: self.waiting < WAITING // 2 or self.failure)
            if self.failure:
                raise self.failure
        if case.task.executed:
            if self.sandboxes is None:
                self.sandboxes = SandboxPool(len(self.threads), failed=self.fail)
            self.add([case.job(PROGRAMS, partial(self.execute, case))])
        else:
            self.add(case.jobs())

    @property
    def waiting(self) -> int:
        """Jobs that wait for a worker, and programs that wait for a sandbox."""
        return len(self.jobs) + self.executing

    def add(self, jobs: Sequence[ScoringJob]) -> None:
        """Put jobs at the end of the queue."""
        with self.changed:
            self.jobs.extend(jobs)
            self.pending += len(jobs)
            if self.idle:
                self.changed.notify_all()

    def execute(self, case: Case, outcome: Outcome) -> None:
        """Have a response's programs executed, and then its scorers called with what came of them."""
        if outcome.programs is None:  # it was not to be said what is executed
            for scorer in case.task.scorers:
                case.done(scorer, outcome)
            return
        if not outcome.programs:
            self.add(case.jobs(()))
            return
        assert self.sandboxes is not None
        executions: dict[int, Execution] = {}
        count = len(outcome.programs)
        with self.changed:
            self.executing += count
            self.pending += 1

        def executed(number: int, execution: Execution) -> None:
            with self.changed:
                executions[number] = execution
                self.executing -= 1
                if len(executions) < count:
                    return
            self.add(case.jobs([executions[number] for number in range(count)]))
            self.settle(1)

        for number, program in enumerate(outcome.programs):
            self.sandboxes.submit(program, partial(executed, number))

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
        if job.executions:
            outcome = replace(outcome, executions=job.executions)
        job.done(outcome)
        self.settle(1)

    def settle(self, count: int) -> None:
        """Count so much as done."""
        with self.changed:
            self.pending -= count
            if not self.pending or self.executing:
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
            self.fail(error)
        finally:
            if worker is not None:
                worker.kill()

    def fail(self, error: BaseException) -> None:
        """Have whoever waits for jobs raise this: there is nothing to score them, or to execute."""
        with self.changed:
            self.failure = error
            self.changed.notify_all()

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
            elif "programs" in answer:
                outcome = Outcome(programs=tuple(map(Program.from_json, answer["programs"])))
            elif "limit" in answer:
                outcome = Outcome(timeout=f"{job.scorer} hit a limit ({answer['limit']})")
            else:
                outcome = Outcome(crash=f"{job.scorer}: {answer['crash']}")
            self.finish(job, outcome)
            if answer is None or "dead" in answer:
                return batch[position + 1 :], True
        return [], False
