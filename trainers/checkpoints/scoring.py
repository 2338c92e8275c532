"""The scoring of one training's checkpoints: what the hook and the watcher have in common.

Files are staged, a job goes into the queue, another process scores it, and the result is reported.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from olmes.client.client import check_url
from olmes.errors import OlmesError
from olmes.trainers.checkpoints import staging
from olmes.trainers.checkpoints.device import free_memory
from olmes.trainers.checkpoints.folders import CheckpointFolder
from olmes.trainers.checkpoints.lineage import LineageValue, Steps, add_lineage
from olmes.trainers.checkpoints.manifest import FILE, KEEPS, Keep, Training
from olmes.trainers.checkpoints.process import ScoringProcess, submission
from olmes.trainers.checkpoints.queue import Queue
from olmes.trainers.checkpoints.reporting import ScoreReporter
from olmes.trainers.checkpoints.request import POLICIES, EvalRequest, Policy, training_folder
from olmes.trainers.checkpoints.sign_of_life import Sight

Where = Literal["process", "pause", "command"]
SPOKEN = 30.0
"""Seconds between two lines about what is waited for."""
STARTING = 300.0
"""Seconds that a scoring process may take until its first sign of life."""
WHERES: tuple[Where, ...] = ("process", "pause", "command")


@dataclass(frozen=True, kw_only=True)
class ScoringOptions:
    """How the checkpoints of a training are scored."""

    request: EvalRequest
    """What is run on every checkpoint, and where its records go."""
    policy: Policy = "every"
    """`every` checkpoint in turn; the `latest` first, the others later; or `one_behind`: one runs, the
    newest waits, those between are skipped."""
    tokenizer: Path | None = None
    """Folder of a tokenizer, for checkpoints that are saved without one."""
    retries: int = 2
    """How often a scoring that raised an error is tried again."""
    retry_delay: float = 10.0
    """Seconds before the first of them, doubled for each further one."""
    keep: Keep = "best"
    """Which checkpoints keep their staged files once they are scored: the `best`, `all` or `none`."""
    wait_minutes: float = 30.0
    """How long is waited for scores while the scoring process shows no sign of life."""
    push: str = ""
    """Address of a results server that shows the scoring live and gets the records; the token is
    $OLMES_TOKEN's."""

    def check(self) -> None:
        """Refuse at once what would be refused at every checkpoint.

        Raises:
            OlmesError: a value is unknown, `push` is not an address, or `EvalRequest.check` refuses.
        """
        one_of("policy", self.policy, POLICIES)
        one_of("keep", self.keep, KEEPS)
        if not self.wait_minutes > 0:
            raise OlmesError(f"wait_minutes={self.wait_minutes} must be above 0.")
        if self.push:
            check_url(self.push)
        self.request.check()


@dataclass(frozen=True, kw_only=True)
class HookOptions(ScoringOptions):
    """How the checkpoints are scored of a training that scores its own."""

    where: Where = "process"
    """In a `process` during the training; in a `pause` that the training makes for it; or through a
    `command` that hands each job to a scheduler."""
    command: str | None = None
    """What submits a job, with `{job}` for the command that scores it."""
    threads: int | None = None
    """Processor threads of the scoring process; by default 1 during a training on the CPU."""
    wait_at_end: bool = True
    """Whether the end of the training waits for the scores. With several training processes it does
    so under `olmes train` alone: elsewhere the others would run into their time limit."""
    about: Mapping[str, LineageValue] = field(default_factory=dict)
    """What the lineage says of this training: `{"method": "sft", "recipe": ...}`."""

    def check(self) -> None:
        """Refuse at once what would be refused at every checkpoint.

        Raises:
            OlmesError: as `ScoringOptions.check`, or `where` and `command` do not go together.
        """
        one_of("where", self.where, WHERES)
        if (self.where == "command") != (self.command is not None):
            raise OlmesError('where="command" and command="... {job} ..." go together; give both.')
        if self.command is not None:
            submission(self.command, Path(), "")
        super().check()


class CheckpointScoring:
    """Owns what the scoring of a training needs: queue, staged files, process and reports.

    Args:
        options: what is run on which checkpoints.
        output_dir: the folder the trainer writes its checkpoints into.
        say: gets a line for each result.
        threads: processor threads of the scoring process; None leaves it what this process has.
        detached: whether the scoring process outlives this one and its signals (Ctrl-C).
        paused: whether this process stands still while a checkpoint is scored, so that the scoring
            process ends with the queue and may have the GPU memory this one does not use.
    """

    def __init__(
        self,
        options: ScoringOptions,
        output_dir: Path,
        *,
        say: Callable[[str], None],
        threads: int | None = None,
        detached: bool = False,
        paused: bool = False,
    ) -> None:
        self.options = options
        self.output_dir = output_dir.resolve()
        self.training = self.output_dir.name
        """Its name, under which looks at held-out tasks are counted."""
        self.folder = training_folder(Path(options.request.out), output_dir)
        self.queue = Queue(self.folder)
        self.process = ScoringProcess(self.folder, threads=threads, detached=detached, drain=paused)
        self.paused = paused
        self.say = say
        self.reporter = ScoreReporter(self.queue, say)

    def write_training(self) -> None:
        """Write `training.json`, which the scoring process reads."""
        options = self.options
        Training(
            name=self.training,
            output_dir=str(self.output_dir),
            cwd=str(Path.cwd()),
            retries=options.retries,
            retry_delay=options.retry_delay,
            keep=options.keep,
            push=options.push,
        ).write(self.folder)

    def join_training(self) -> None:
        """As `write_training`, unless a hook wrote it before; then only where to push is added."""
        if not (self.folder / FILE).exists():
            self.write_training()
        elif self.options.push:
            replace(Training.read(self.folder), push=self.options.push).write(self.folder)

    def run_on(self, device: str) -> None:
        """Have the models of the checkpoints that are put from now on run on a device."""
        request = self.options.request.on_device(device)
        self.options = replace(self.options, request=request)

    def put(self, checkpoint: CheckpointFolder, lineage: Callable[[], Steps]) -> bool:
        """Stage a complete checkpoint and queue it; False where it was queued before.

        Args:
            checkpoint: a complete one.
            lineage: what it descends from, where its trainer wrote no `lineage.json`.

        Raises:
            OlmesError: its files cannot be staged.
            OSError: they cannot be read or written.
        """
        return staging.stage(
            self.queue,
            checkpoint,
            self.options.request,
            self.options.policy,
            training=self.training,
            tokenizer=self.options.tokenizer or checkpoint.tokenizer,
            add_files=lambda folder: add_lineage(folder, lineage()),
        )

    def refuse(self, checkpoint: CheckpointFolder, reason: str) -> None:
        """Keep why a checkpoint cannot be scored, so that it is reported; each reason once."""
        request = self.options.request
        known = self.queue.find(checkpoint.label, request)
        if known is None or known.reason != reason:
            self.queue.refuse(
                label=checkpoint.label, step=checkpoint.step, source=checkpoint.folder,
                request=request, reason=reason,
            )  # fmt: skip

    def serve(self) -> None:
        """See to it that a process scores what waits."""
        if self.queue.waiting():
            if self.paused:
                free_memory()
            self.process.keep_alive(self.queue.progress())

    def wait(self, tick: float) -> str:
        """Until nothing waits; says every so often for what.

        Args:
            tick: seconds between two looks at the queue.

        Returns:
            Why the wait was given up: the scoring process does not start, or has stopped; empty
            where nothing waits any more.
        """
        limit = self.options.wait_minutes * 60
        pause = min(SPOKEN, limit / 3)
        sight, line = Sight(self.folder), time.monotonic() + pause
        waiting = 1
        while True:
            try:
                waiting = len(self.queue.waiting())
                if not waiting:
                    return ""
                self.serve()
                self.reporter.report()
            except sqlite3.OperationalError as error:
                # A process that is stopped in a transaction keeps the queue locked.
                if "locked" not in str(error):
                    raise
            if self.process.hopeless:
                return f"the scoring process does not start; see {self.folder}/scorer.log"
            silent = sight.silent()
            number = self.process.number or sight.process
            # Until its first sign it imports, which is not to be taken for a stop.
            starting = sight.process != number or not number
            who = f"the scoring process {number}".rstrip()
            if silent > (max(limit, STARTING) if starting else limit):
                # It would hold the lock, and nobody could score after it.
                self.process.kill()
                return f"{who} has shown no sign of life for {silent:.0f} s"
            if time.monotonic() >= line:
                line = time.monotonic() + pause
                seen = "starting" if starting else f"last sign of life {silent:.0f} s ago"
                scores = "1 score" if waiting == 1 else f"{waiting} scores"
                self.say(f"waiting for {scores} ({who}, {seen})")
            time.sleep(tick)


def one_of(name: str, value: str, known: Sequence[str]) -> None:
    """Refuse an unknown word.

    Raises:
        OlmesError: it is none of those known.
    """
    if value not in known:
        raise OlmesError(f"{name}={value!r} is unknown; choose one of {', '.join(known)}.")
