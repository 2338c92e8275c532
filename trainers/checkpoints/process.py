"""Starting the process that scores, or submitting its jobs, without disturbing the training."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from olmes.errors import OlmesError
from olmes.tools.locks import held
from olmes.trainers.checkpoints.queue import Queue

DISTRIBUTED = re.compile(
    r"(RANK|WORLD_SIZE|LOCAL_RANK|LOCAL_WORLD_SIZE|GROUP_RANK|ROLE_RANK|NODE_RANK|MASTER_ADDR"
    r"|MASTER_PORT|TORCHELASTIC_.*|ACCELERATE_.*|FSDP_.*|DEEPSPEED_.*|OMPI_COMM_.*|PMI_.*)$"
)
"""Variables by which a process recognizes itself as one of several that train."""
MODULE = "olmes.trainers.checkpoints.worker"
FASTEST_RESTART = 2.0
SLOWEST_RESTART = 60.0
BARREN_STARTS = 5
"""Processes in a row that may end without having moved anything before no more are started."""


def scoring_command(training: Path, *options: str) -> list[str]:
    """The command that scores a training's checkpoints."""
    # -P: a trainer's folder may hold a queue.py of its own.
    return [sys.executable, "-P", "-m", MODULE, str(training), *options]


def environment(threads: int | None) -> dict[str, str]:
    """The trainer's environment without what makes a process part of its training."""
    kept = {key: value for key, value in os.environ.items() if not DISTRIBUTED.match(key)}
    if threads is not None:
        kept["OMP_NUM_THREADS"] = str(threads)
    # Idle threads that spin take the trainer's processor.
    return {"OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false", **kept}


class ScoringProcess:
    """At most one process that scores a training, started again when it dies.

    Args:
        training: its folder.
        threads: processor threads it may use; None leaves it what the trainer has.
        detached: whether it outlives this process and its signals (Ctrl-C).
        drain: whether it ends as soon as nothing waits.
    """

    def __init__(
        self, training: Path, *, threads: int | None, detached: bool, drain: bool = False
    ) -> None:
        self.training = training
        self.threads = threads
        self.detached = detached
        self.drain = drain
        self.process: subprocess.Popen[bytes] | None = None
        self.barren = 0
        self.not_before = 0.0
        self.seen: object = None

    @property
    def running(self) -> bool:
        """Whether ours runs, or another program's."""
        ours = self.process is not None and self.process.poll() is None
        return ours or held(self.training / "scorer.lock")

    @property
    def hopeless(self) -> bool:
        """Whether it ended so often without moving anything that it is not started any more."""
        return self.barren >= BARREN_STARTS

    def keep_alive(self, progress: object) -> None:
        """Start it unless it runs; after a death later and later.

        Args:
            progress: changes whenever the queue has moved.
        """
        if self.running or self.hopeless or time.monotonic() < self.not_before:
            return
        if self.process is not None:
            self.barren = self.barren + 1 if progress == self.seen else 0
        self.seen = progress
        self.not_before = time.monotonic() + min(
            SLOWEST_RESTART, FASTEST_RESTART * 2**self.barren
        )  # fmt: skip
        self.start()

    def start(self) -> None:
        """Start it; what it prints goes to `scorer.log`."""
        options = ["--drain"] if self.drain else []
        with (self.training / "scorer.log").open("ab") as log:
            self.process = subprocess.Popen(
                scoring_command(self.training, *options),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment(self.threads),
                start_new_session=self.detached,
            )

    @property
    def number(self) -> str:
        """Of the process that was started last; empty for none."""
        return "" if self.process is None else str(self.process.pid)

    def kill(self) -> None:
        """End ours, which may be stopped and deaf to everything else."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        """End ours; the next one resumes what it was working on."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait()


class JobSubmission:
    """Hands jobs to a scheduler by a command; nothing waits for the command.

    Args:
        command: a template, as of `submission`.
        queue: of the training.
        say: gets a line where a command failed.
    """

    def __init__(self, command: str, queue: Queue, say: Callable[[str], None]) -> None:
        self.command = command
        self.queue = queue
        self.say = say
        self.submitted: dict[str, subprocess.Popen[bytes]] = {}

    def submit(self) -> None:
        """Run the command for each waiting job that it was not run for, or where it failed."""
        for job in self.queue.waiting():
            before = self.submitted.get(f"{job.id}/{job.signature}")
            if before is not None and before.poll() in (None, 0):
                continue
            if before is not None:
                self.say(f"the command for {job.label} failed; it is run again (see submit.log)")
            with (self.queue.folder / "submit.log").open("ab") as log:
                self.submitted[f"{job.id}/{job.signature}"] = subprocess.Popen(
                    submission(self.command, self.queue.folder, job.id),
                    stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                    env=environment(None), start_new_session=True,
                )  # fmt: skip


def submission(template: str, training: Path, job: str) -> list[str]:
    """A command line that hands a job to a scheduler; no shell reads it.

    `{job}` is the command that scores the checkpoint, as one word.

    Raises:
        OlmesError: the template has no `{job}`, or its quotes do not close.
    """
    try:
        words = shlex.split(template)
    except ValueError as error:
        raise OlmesError(
            f"command={template!r} cannot be read ({error}); close the quotes."
        ) from None
    if not any("{job}" in word for word in words):
        raise OlmesError(
            f'command={template!r} lacks {{job}}; write, say, "sbatch --gpus 1 --wrap {{job}}".'
        )
    command = shlex.join(scoring_command(training, "--job", job))
    return [word.replace("{job}", command) for word in words]
