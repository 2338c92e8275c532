"""The queue of checkpoints to be scored: one SQLite file a training, which outlives every process.

A job is one checkpoint and one evaluation request. It is `queued`, `running`, and then `done`, `failed`
or `skipped`. Who runs a job holds a lock on a file of its own; the lock ends with the process, so a
job whose process was killed is taken by the next one. The file uses SQLite's rollback journal and
not its write-ahead log, so that processes on several machines may share it.
"""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from olmes.errors import OlmesError
from olmes.tools.file_systems import locks_ranges
from olmes.tools.hashing import content_hash
from olmes.tools.jsonl import dumps
from olmes.tools.locks import Lock, locked
from olmes.tools.places import DAMAGED
from olmes.trainers.checkpoints.request import EvalRequest, Policy
from olmes.trainers.checkpoints.results import ScoreResult, State
from olmes.trainers.checkpoints.rows import readable_jobs

WAITING = ("queued", "running")
MOST_DEATHS = 20
"""Processes that may die over one job before it counts as failed; a raised error is not a death."""
BUSY_SECONDS = 30.0
SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL,
    label TEXT NOT NULL, step INTEGER, signature TEXT NOT NULL, source TEXT NOT NULL,
    folder TEXT NOT NULL, ask_hash TEXT NOT NULL, ask TEXT NOT NULL, policy TEXT NOT NULL,
    state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, deaths INTEGER NOT NULL DEFAULT 0,
    not_before REAL NOT NULL DEFAULT 0, reason TEXT NOT NULL DEFAULT '',
    owner TEXT NOT NULL DEFAULT '', fingerprint TEXT NOT NULL DEFAULT '',
    result TEXT NOT NULL DEFAULT 'null', created REAL NOT NULL, updated REAL NOT NULL
)
"""


@dataclass(frozen=True, slots=True)
class Job:
    """One checkpoint and one evaluation request."""

    number: int
    id: str
    label: str
    """The checkpoint's name: `checkpoint-500`."""
    step: int | None
    signature: str
    """Of the staged files."""
    source: str
    folder: str
    """The folder they are staged in, below the training's."""
    request_hash: str
    request: EvalRequest
    policy: Policy
    state: State
    attempts: int
    """Errors so far."""
    deaths: int
    """Processes that died over it so far."""
    not_before: float
    reason: str
    """Why it failed or was skipped."""
    owner: str
    fingerprint: str
    """Of the model, once it is scored."""
    result: ScoreResult | None
    created: float
    updated: float

    @property
    def over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state not in WAITING

    @property
    def score(self) -> ScoreResult:
        """The result of a job that is done.

        Raises:
            ValueError: it has none.
        """
        if self.result is None:
            raise ValueError(f"{self.label} has no score: it is {self.state}")
        return self.result


class Queue:
    """The jobs of one training."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.lockless = not locks_ranges(folder)
        """Whether the file system has no locks: then a lock of ours stands in for SQLite's."""
        with self.changing() as connection:
            connection.execute(SCHEMA)

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that nobody else's can interleave with; undone when an error leaves it."""
        with self.opened() as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")

    @contextmanager
    def opened(self) -> Iterator[sqlite3.Connection]:
        """A connection; at its end what was not committed is rolled back.

        Raises:
            OlmesError: the file of the queue is damaged.
        """
        file = self.folder / "queue.sqlite"
        with ExitStack() as ending:
            if self.lockless:
                guard = file.with_name("queue.lock")
                ending.enter_context(locked(ending.enter_context(guard.open("a+b")), guard))
            address = f"{file.absolute().as_uri()}{'?nolock=1' * self.lockless}"
            connection = sqlite3.connect(
                address, uri=True, timeout=BUSY_SECONDS, isolation_level=None
            )
            ending.callback(connection.close)
            connection.row_factory = sqlite3.Row
            try:
                yield connection
            except sqlite3.DatabaseError as error:
                if getattr(error, "sqlite_errorcode", 0) & 0xFF not in DAMAGED:
                    raise
                raise OlmesError(
                    f"{file} is damaged ({error}); move it away: checkpoints that are still there are "
                    "queued anew, and finished runs are taken as they are."
                ) from error

    def jobs(self, where: str = "1", values: tuple[str, ...] = ()) -> list[Job]:
        """The jobs that a condition holds for, in the order they were put."""
        with self.opened() as connection:
            query = f"SELECT * FROM jobs WHERE {where} ORDER BY number"  # noqa: S608 (ours)
            return readable_jobs(connection.execute(query, values), job_of, self.folder)

    def waiting(self) -> list[Job]:
        """The jobs that are not over."""
        return self.jobs("state IN ('queued', 'running')")

    def progress(self) -> object:
        """Something that changes whenever a job does."""
        return [(job.id, job.state, job.attempts, job.deaths, job.signature) for job in self.jobs()]

    def find(self, label: str, request: EvalRequest) -> Job | None:
        """The job of a checkpoint and a request."""
        return next(iter(self.jobs("id = ?", (job_id(label, request),))), None)

    def insert(
        self,
        connection: sqlite3.Connection,
        *,
        label: str,
        step: int | None,
        signature: str,
        source: Path,
        folder: str,
        request: EvalRequest,
        policy: Policy,
    ) -> None:
        """Put a job; one that is there for older files of the same name is queued again.

        With the policy `one_behind` the older jobs of the same request that nobody runs yet are
        skipped.
        """
        now = time.time()
        connection.execute(
            "INSERT INTO jobs (id, label, step, signature, source, folder, ask_hash, ask, policy,"
            " state, created, updated) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued', ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET step = excluded.step, signature = excluded.signature,"
            " source = excluded.source, folder = excluded.folder, ask = excluded.ask,"
            " policy = excluded.policy, state = 'queued', attempts = 0, deaths = 0, not_before = 0,"
            " reason = '', fingerprint = '', result = 'null', updated = excluded.updated",
            (
                *(job_id(label, request), label, step, signature, str(source), folder),
                *(request.hash, dumps(request.to_json()), policy, now, now),
            ),
        )
        if policy == "one_behind":
            connection.execute(
                "UPDATE jobs SET state = 'skipped', reason = ?, updated = ?"
                " WHERE ask_hash = ? AND state = 'queued' AND id != ?",
                (f"{label} came before it was begun", now, request.hash, job_id(label, request)),
            )

    def refuse(
        self, *, label: str, step: int | None, source: Path, request: EvalRequest, reason: str
    ) -> None:
        """Record that a checkpoint cannot be scored, so that it is shown."""  # fmt: skip
        with self.changing() as connection:
            self.insert(
                connection, label=label, step=step, signature="", source=source, folder="",
                request=request, policy="every",
            )  # fmt: skip
            connection.execute(
                "UPDATE jobs SET state = 'failed', reason = ? WHERE id = ?",
                (reason, job_id(label, request)),
            )

    def take(self, only: str | None = None) -> tuple[Job, Lock] | None:
        """The next job, marked as running, and the lock that says so; None where there is none now.

        A job that is marked as running but whose lock is free belonged to a process that died.

        Args:
            only: the id of the one job that is wanted.
        """
        ready = [job for job in self.waiting() if job.not_before <= time.time()]
        newest_first = any(job.policy == "latest" for job in ready)
        ready.sort(key=lambda job: job.number, reverse=newest_first)
        for job in ready:
            if only is not None and job.id != only:
                continue
            lock = Lock.take(self.folder / "locks" / f"{job.id}.lock")
            if lock is None:
                continue
            if self.begin(job.id):
                return self.jobs("id = ?", (job.id,))[0], lock
            lock.release()
        return None

    def begin(self, identifier: str) -> bool:
        """Mark a job as running, unless it is over or has killed too many processes."""
        with self.changing() as connection:
            row = connection.execute("SELECT * FROM jobs WHERE id = ?", (identifier,)).fetchone()
            job = job_of(row)
            if job.over:
                return False
            deaths = job.deaths + (job.state == "running")
            if deaths > MOST_DEATHS:
                state, reason = "failed", f"{deaths} processes died over it; see scorer.log"
            else:
                state, reason = "running", ""
            connection.execute(
                "UPDATE jobs SET state = ?, reason = ?, deaths = ?, owner = ?, updated = ?"
                " WHERE id = ?",
                (state, reason, deaths, me(), time.time(), identifier),
            )
            return state == "running"

    def finish(
        self,
        job: Job,
        state: State,
        *,
        reason: str = "",
        fingerprint: str = "",
        result: ScoreResult | None = None,
        retry_in: float = 0.0,
    ) -> bool:
        """Record how a job ended, or (`queued`) that it is tried again after some seconds.

        False where the checkpoint was written again meanwhile: the result is of older files.
        """
        with self.changing() as connection:
            changed = connection.execute(
                "UPDATE jobs SET state = ?, reason = ?, fingerprint = ?, result = ?,"
                " attempts = attempts + ?, not_before = ?, updated = ?"
                " WHERE id = ? AND signature = ? AND state = 'running'",
                (
                    *(state, reason, fingerprint, json.dumps(result)),
                    *(int(state in ("queued", "failed")), time.time() + retry_in, time.time()),
                    *(job.id, job.signature),
                ),
            )
            return changed.rowcount == 1

    def retry_failed(self) -> int:
        """Queue again the failed jobs whose files are still there; how many there are."""
        again = [job for job in self.jobs("state = 'failed'") if job.folder]
        again = [job for job in again if (self.folder / job.folder).is_dir()]
        with self.changing() as connection:
            for job in again:
                connection.execute(
                    "UPDATE jobs SET state = 'queued', attempts = 0, deaths = 0, not_before = 0,"
                    " reason = '' WHERE id = ? AND state = 'failed'",
                    (job.id,),
                )
        return len(again)


def job_id(label: str, request: EvalRequest) -> str:
    """The same checkpoint and request are the same job, however often they are put."""
    return content_hash([label, request.hash])[:12]


def job_of(row: sqlite3.Row) -> Job:
    """A row of the table, whose columns have kept their first names."""
    columns = dict(row)
    columns["request_hash"] = columns.pop("ask_hash")
    columns["request"] = EvalRequest.from_json(json.loads(columns.pop("ask")))
    columns["result"] = json.loads(columns["result"])
    return Job(**columns)


def me() -> str:
    """`pid@host`, for a reader."""
    return f"{os.getpid()}@{platform.node()}"
