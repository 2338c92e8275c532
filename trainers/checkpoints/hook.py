"""The checkpoint hook: every checkpoint a Hugging Face trainer writes is scored by itself.

```python
trainer = Trainer(..., callbacks=[ScoreCheckpoints(suite="dev", limit=200)])
```

The trainer hard-links the model's files aside, puts a line into a queue and goes on; another process
scores. docs/checkpoints.md says where everything lies.
"""

from __future__ import annotations

import contextlib
import functools
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from transformers import TrainerCallback

from olmes.client.client import check_url
from olmes.errors import OlmesError
from olmes.models.checkpoint.completeness import trouble_of
from olmes.tools.locks import Presence
from olmes.trainers.checkpoints import staging as aside
from olmes.trainers.checkpoints.device import free_device, free_memory
from olmes.trainers.checkpoints.folders import CheckpointFolder, checkpoint_at, checkpoints_in
from olmes.trainers.checkpoints.lineage import Steps, add_lineage, base_of, steps_of
from olmes.trainers.checkpoints.manifest import KEEPS, Keep, Training
from olmes.trainers.checkpoints.process import ScoringProcess, environment, submission
from olmes.trainers.checkpoints.queue import Job, Queue
from olmes.trainers.checkpoints.reporting import Teller
from olmes.trainers.checkpoints.request import (
    POLICIES,
    EvalRequest,
    Policy,
    absolute,
    training_folder,
)

Where = Literal["process", "pause", "command"]
WHERES: tuple[Where, ...] = ("process", "pause", "command")
POLL_SECONDS = 0.5
Method = TypeVar("Method", bound=Callable[..., None])


def never_raises(method: Method) -> Method:
    """Say what went wrong and let the training go on; count the time it cost."""

    @functools.wraps(method)
    def guarded(self: ScoreCheckpoints, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        began = time.perf_counter()
        try:
            if state.is_world_process_zero:
                method(self, args, state, control, **kwargs)
        except Exception as error:
            say(f"{method.__name__}: {type(error).__name__}: {error}; the training goes on")
        finally:
            self.seconds += time.perf_counter() - began

    result: Any = guarded
    typed: Method = result
    return typed


class ScoreCheckpoints(TrainerCallback):  # type: ignore[misc]
    """Scores every checkpoint, in another process; never raises into the training.

    Args:
        suite: a suite, a task or several tasks, by name or file.
        out: the store of the records; what belongs to the training lies in `OUT/checkpoints/`.
        limit: items a task, as in `olmes run`.
        data: folder of benchmark files.
        settings: changes to formulations, `{"gsm8k.shots": 4}`.
        judge: who answers for tasks that need a judge.
        policy: `every` checkpoint in turn; the `latest` first, the others later; or `one_behind`:
            one runs, the newest waits, those between are skipped.
        where: in a `process` beside the training; in the `pause` that the training makes for it; or
            through a `command` that hands each job to a scheduler.
        device: where the process runs the model (`cuda:1`, `cpu`). Without one it takes a GPU that no
            trainer uses; where there is none, scoring waits for the end of the training.
        command: what submits a job, with `{job}` for the command that scores it.
        dtype: precision, as in `olmes run`.
        batch_size: responses generated together.
        max_length: window in tokens.
        tokenizer: folder of a tokenizer for checkpoints that are saved without one.
        reason: why a held-out suite is asked for.
        final: say that the last checkpoint is the end of the work: a held-out suite is then put to
            it alone, when the training ends.
        retries: how often a scoring that raised an error is tried again.
        retry_delay: seconds before the first of them, doubled for each further one.
        keep: which checkpoints stay set aside once scored: the `best`, `all` or `none`.
        threads: processor threads of the scoring process; by default 1 beside a training on the CPU.
        wait_at_end: whether the end of the training waits for the scores. With several training
            processes it never does: the others would run into their time limit.
        about: what the lineage says of this training (`{"method": "sft", "recipe": ...}`).
        push: address of a results server that shows the scoring live and gets the records; the token
            is $OLMES_TOKEN's.

    Raises:
        OlmesError: an argument does not fit, a name is unknown, or a held-out suite is asked for
            without `final` and `reason`.
    """

    def __init__(
        self,
        suite: str | Sequence[str] = "dev",
        *,
        out: str | Path = "runs",
        limit: int | None = None,
        data: str | Path | None = None,
        settings: Mapping[str, Any] | None = None,
        judge: str | None = None,
        policy: Policy = "every",
        where: Where = "process",
        device: str | None = None,
        command: str | None = None,
        dtype: str | None = None,
        batch_size: int | None = None,
        max_length: int | None = None,
        tokenizer: str | Path | None = None,
        reason: str = "",
        final: bool = False,
        retries: int = 2,
        retry_delay: float = 10.0,
        keep: Keep = "best",
        threads: int | None = None,
        wait_at_end: bool = True,
        about: Mapping[str, Any] | None = None,
        push: str = "",
    ) -> None:
        one_of("policy", policy, POLICIES)
        one_of("where", where, WHERES)
        one_of("keep", keep, KEEPS)
        if (where == "command") != (command is not None):
            raise OlmesError('where="command" and command="... {job} ..." go together; give both.')
        if command is not None:
            submission(command, Path(), "")
        if push:
            check_url(push)
        self.ask = EvalRequest(
            target=absolute(suite) if isinstance(suite, str) else tuple(map(absolute, suite)),
            out=str(Path(out).resolve()),
            limit=limit,
            data=None if data is None else str(Path(data).resolve()),
            settings=dict(settings or {}),
            judge=judge,
            dtype=dtype,
            device=device,
            batch_size=batch_size,
            max_length=max_length,
            reason=reason,
            final=final,
        )
        self.ask.check()
        self.policy, self.where, self.command = policy, where, command
        self.tokenizer = None if tokenizer is None else Path(tokenizer)
        self.retries, self.retry_delay, self.keep = retries, retry_delay, keep
        self.threads, self.wait_at_end, self.about = threads, wait_at_end, dict(about or {})
        self.push = push
        self.seconds = 0.0
        """What this callback has cost the training so far, without what it waited for scores."""
        self.base = ""
        self.deferred = False
        self.queue: Queue | None = None
        self.presence: Presence | None = None
        self.scorer: ScoringProcess | None = None
        self.submitted: dict[str, subprocess.Popen[bytes]] = {}
        self.teller = Teller(say)

    @never_raises
    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Open the queue, and queue what an earlier process saved and did not come to queue."""
        queue = self.open(args, kwargs.get("model"))
        self.choose_place(args)
        self.presence = Presence(queue.folder / "present")
        self.teller.pass_over(queue)
        written = checkpoints_in(Path(args.output_dir))
        for one in written:
            # What lies ahead is about to be written again, into the very files that are linked.
            if (one.step or 0) > state.global_step:
                aside.own_copies(queue, one.label)
        queue.retry_failed()
        if str(getattr(args.save_strategy, "value", args.save_strategy)) == "no":
            say('save_strategy is "no": no checkpoint will be written, so none will be scored')
        if not self.ask.held_out:
            behind = [
                one
                for one in written
                if one.folder.parent == Path(args.output_dir).resolve()
                and one.step is not None
                and 0 < one.step <= state.global_step
                and trouble_of(one.folder, tokenizer=self.tokenizer is None, in_order=True) is None
            ]
            for one in behind[-1:] if self.policy == "one_behind" else behind:
                self.put(queue, one)
        self.serve(queue)

    @never_raises
    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Set the checkpoint aside and queue it."""
        queue = self.queue or self.open(args, kwargs.get("model"))
        if self.ask.held_out:
            return
        saved = checkpoint_at(Path(args.output_dir) / f"checkpoint-{state.global_step}")
        with contextlib.suppress(OSError):  # a checkpoint that cannot be written to is scored too
            # Here alone: a later change would make the folder the newest one to a trainer.
            add_lineage(saved.folder, self.lineage(saved))
        self.put(queue, saved)
        self.serve(queue)
        if self.where == "pause" and not self.deferred:
            self.wait(queue)
        self.teller.tell(queue)

    @never_raises
    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Queue the last checkpoint for a held-out suite; wait for the scores, or leave them."""
        queue = self.queue or self.open(args, kwargs.get("model"))
        try:
            if self.ask.held_out:
                self.put_last(queue, args)
            self.deferred = False
            self.serve(queue)
            if self.wait_at_end and self.where != "command" and args.world_size == 1:
                self.wait(queue)
        finally:
            if self.presence is not None:
                self.presence.leave()
                self.presence = None
        self.teller.tell(queue)
        if waiting := queue.waiting():
            say(f"still to be scored: {len(waiting)}; results come to {queue.folder}")
        else:
            self.teller.tell_best(queue)

    def open(self, args: Any, model: Any) -> Queue:
        """The training's queue."""
        folder = training_folder(Path(self.ask.out), Path(args.output_dir))
        self.queue = Queue(folder)
        self.base = base_of(model)
        self.training = Training(
            name=Path(args.output_dir).resolve().name,
            output_dir=str(Path(args.output_dir).resolve()),
            cwd=str(Path.cwd()),
            retries=self.retries,
            retry_delay=self.retry_delay,
            keep=self.keep,
            push=self.push,
        )
        self.training.write(folder)
        return self.queue

    def choose_place(self, args: Any) -> None:
        """Where the model runs, so that it never takes memory that the trainer counts on."""
        kind = getattr(args.device, "type", "cpu")
        threads = self.threads
        if threads is None and kind == "cpu" and self.where == "process":
            threads = 1
        folder = training_folder(Path(self.ask.out), Path(args.output_dir))
        pause = self.where == "pause"
        alone = args.world_size == 1
        self.scorer = ScoringProcess(
            folder, threads=threads, detached=not (pause and alone), drain=pause
        )
        if self.where == "process" and self.ask.device is None:
            device = free_device(kind, getattr(args, "local_process_index", 0))
            if device is None:
                self.deferred = True
                say(
                    "there is no other device, so checkpoints are scored when the training ends; "
                    'where="pause" scores them at once, device="cpu" beside the training'
                )
            else:
                self.ask = self.ask.on_device(device)
        elif pause and not alone:
            self.deferred = True  # the other processes would run into their time limit
            say('where="pause" is for one training process; checkpoints are scored at the end')
        elif pause and self.ask.device is None:
            self.ask = self.ask.on_device(str(args.device))

    def put(self, queue: Queue, checkpoint: CheckpointFolder) -> None:
        """Set a checkpoint aside and queue it, or write down why it cannot be scored."""
        trouble = trouble_of(checkpoint.folder, tokenizer=self.tokenizer is None)
        reason = trouble.reason if trouble else ""
        if trouble is None:
            try:
                aside.put(
                    queue, checkpoint, self.ask, self.policy, training=self.training.name,
                    tokenizer=self.tokenizer,
                    write_beside=lambda folder: add_lineage(folder, self.lineage(checkpoint)),
                )  # fmt: skip
            except (OlmesError, OSError) as error:  # no room, or the folder is gone already
                reason = f"it could not be set aside: {error}"
        if reason:
            known = queue.find(checkpoint.label, self.ask)
            if known is None or known.reason != reason:
                queue.refuse(
                    label=checkpoint.label, step=checkpoint.step, source=checkpoint.folder,
                    ask=self.ask, reason=reason,
                )  # fmt: skip

    def lineage(self, checkpoint: CheckpointFolder) -> Steps:
        """What a checkpoint of this training descends from."""
        return steps_of(self.base, self.training.name, checkpoint.step, self.about)

    def put_last(self, queue: Queue, args: Any) -> None:
        """Queue the last whole checkpoint: what a held-out suite is put to."""
        whole = [
            one
            for one in checkpoints_in(Path(args.output_dir))
            if one.step is not None and trouble_of(one.folder, tokenizer=False) is None
        ]
        if whole:
            self.put(queue, whole[-1])
        else:
            say("there is no whole checkpoint that the held-out suite could be put to")

    def serve(self, queue: Queue) -> None:
        """See to it that somebody scores what waits."""
        waiting = queue.waiting()
        if self.where == "command":
            self.submit(queue, waiting)
        elif waiting and not self.deferred and self.scorer is not None:
            if self.where == "pause":
                free_memory()
            self.scorer.keep_alive(queue.progress())

    def submit(self, queue: Queue, waiting: list[Job]) -> None:
        """Hand the jobs that nobody has been given to the scheduler; not waited for."""
        for job in waiting:
            before = self.submitted.get(f"{job.id}/{job.signature}")
            if before is not None and before.poll() in (None, 0):
                continue
            if before is not None:
                say(f"the command for {job.label} failed; it is given again (see submit.log)")
            with (queue.folder / "submit.log").open("ab") as log:
                self.submitted[f"{job.id}/{job.signature}"] = subprocess.Popen(
                    submission(str(self.command), queue.folder, job.id),
                    stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                    env=environment(None), start_new_session=True,
                )  # fmt: skip

    def wait(self, queue: Queue) -> None:
        """Wait for the scores, which is not counted as a cost: it was asked for."""
        began = time.perf_counter()
        try:
            self.wait_until_scored(queue)
        finally:
            self.seconds -= time.perf_counter() - began

    def wait_until_scored(self, queue: Queue) -> None:
        """Until nothing waits, starting the scoring process again should it die."""
        while waiting := queue.waiting():
            self.serve(queue)
            self.teller.tell(queue)
            if self.scorer is None or self.scorer.hopeless:
                say(
                    f"the scoring process does not come up, so {len(waiting)} checkpoints are not "
                    f"scored; see {queue.folder}/scorer.log"
                )
                return
            time.sleep(POLL_SECONDS)


def one_of(name: str, value: str, known: Sequence[str]) -> None:
    """Refuse an unknown word.

    Raises:
        OlmesError: it is none of those known.
    """
    if value not in known:
        raise OlmesError(f"{name}={value!r} is unknown; choose one of {', '.join(known)}.")


def say(line: str) -> None:
    """One line on standard error."""
    print(f"olmes: {line}", file=sys.stderr, flush=True)
