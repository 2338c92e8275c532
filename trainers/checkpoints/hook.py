"""The checkpoint hook: every checkpoint a Hugging Face trainer writes is scored automatically.

```python
trainer = Trainer(..., callbacks=[ScoreCheckpoints(suite="dev", limit=200)])
```

The trainer hard-links the model's files into a staging folder, adds a job to a queue and continues;
another process scores. docs/checkpoints.md says where everything lies.
"""

from __future__ import annotations

import contextlib
import functools
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from transformers import TrainerCallback

from olmes.data.places import DataFolders, resolved_folders
from olmes.errors import OlmesError
from olmes.judging.judges import Written
from olmes.models.checkpoint.completeness import trouble_of
from olmes.models.options import ASKED, Asking
from olmes.tools.locks import Presence
from olmes.trainers.checkpoints import staging
from olmes.trainers.checkpoints.device import free_device
from olmes.trainers.checkpoints.folders import CheckpointFolder, checkpoint_at, checkpoints_in
from olmes.trainers.checkpoints.lineage import LineageValue, Steps, add_lineage, base_of, steps_of
from olmes.trainers.checkpoints.manifest import Keep
from olmes.trainers.checkpoints.process import JobSubmission, scoring_command
from olmes.trainers.checkpoints.request import EvalRequest, Policy, absolute
from olmes.trainers.checkpoints.scoring import CheckpointScoring, HookOptions, Where

POLL_SECONDS = 0.5
Method = TypeVar("Method", bound=Callable[..., None])


def never_raises(method: Method) -> Method:
    """Say what went wrong and let the training continue; count the time it cost."""

    @functools.wraps(method)
    def guarded(self: ScoreCheckpoints, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        began = time.perf_counter()
        try:
            if state.is_world_process_zero:
                method(self, args, state, control, **kwargs)
        except Exception as error:
            say(f"{method.__name__}: {type(error).__name__}: {error}; the training continues")
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
        judge: who answers for tasks that need a judge, or by task's name.
        device: where the scoring process runs the model (`cuda:1`, `cpu`). Without one it takes a GPU
            that no trainer uses; where there is none, scoring waits for the end of the training.
        dtype: precision, as in `olmes run`.
        batch_size: responses generated together.
        max_length: window in tokens.
        asking: how the model is asked: `olmes.models.options.Asking`, or its fields
            (`{"thinking": "off"}`).
        reason: why a held-out suite is asked for.
        final: say that the last checkpoint is the end of the work: a held-out suite is then put to
            it alone, when the training ends.
        policy: of `ScoringOptions`, which says what each of these means, as do the next ones.
        tokenizer: of `ScoringOptions`.
        retries: of `ScoringOptions`.
        retry_delay: of `ScoringOptions`.
        keep: of `ScoringOptions`.
        push: of `ScoringOptions`.
        wait_minutes: of `ScoringOptions`.
        where: of `HookOptions`, as are the next ones.
        command: of `HookOptions`.
        threads: of `HookOptions`.
        wait_at_end: of `HookOptions`.
        about: of `HookOptions`.

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
        data: DataFolders = None,
        settings: Mapping[str, Any] | None = None,
        judge: Written = None,
        policy: Policy = "every",
        where: Where = "process",
        device: str | None = None,
        command: str | None = None,
        dtype: str | None = None,
        batch_size: int | None = None,
        max_length: int | None = None,
        asking: Asking | Mapping[str, Any] = ASKED,
        tokenizer: str | Path | None = None,
        reason: str = "",
        final: bool = False,
        retries: int = 2,
        retry_delay: float = 10.0,
        keep: Keep = "best",
        threads: int | None = None,
        wait_at_end: bool = True,
        about: Mapping[str, LineageValue] | None = None,
        push: str = "",
        wait_minutes: float = 30.0,
    ) -> None:
        request = EvalRequest(
            target=absolute(suite) if isinstance(suite, str) else tuple(map(absolute, suite)),
            out=str(Path(out).resolve()),
            limit=limit,
            data=resolved_folders(data),
            settings=dict(settings or {}),
            judge=judge,
            dtype=dtype,
            device=device,
            batch_size=batch_size,
            max_length=max_length,
            asking=Asking.of(asking),
            reason=reason,
            final=final,
        )
        self.options = HookOptions(
            request=request,
            policy=policy,
            tokenizer=None if tokenizer is None else Path(tokenizer),
            retries=retries,
            retry_delay=retry_delay,
            keep=keep,
            push=push,
            wait_minutes=wait_minutes,
            where=where,
            command=command,
            threads=threads,
            wait_at_end=wait_at_end,
            about=dict(about or {}),
        )
        self.options.check()
        self.seconds = 0.0
        """What this callback has cost the training so far, without what it waited for scores."""
        self.base = ""
        """The model that the training began from."""
        self.deferred = False
        """Whether scoring waits for the end of the training."""
        self.others_wait = False
        """Whether other training processes wait at the end without a time limit of their own."""
        self.scoring: CheckpointScoring | None = None
        self.submission: JobSubmission | None = None
        self.presence: Presence | None = None

    @never_raises
    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Open the queue, and queue what an earlier process saved and did not come to queue."""
        scoring = self.open(args, kwargs.get("model"))
        self.presence = Presence(scoring.folder / "present")
        scoring.reporter.skip_what_ended()
        written = checkpoints_in(Path(args.output_dir))
        for one in written:
            # What lies ahead is about to be written again, into the very files that are linked.
            if (one.step or 0) > state.global_step:
                staging.own_copies(scoring.queue, one.label)
        scoring.queue.retry_failed()
        if str(getattr(args.save_strategy, "value", args.save_strategy)) == "no":
            say('save_strategy is "no": no checkpoint will be written, so none will be scored')
        if not self.options.request.held_out:
            behind = [
                one
                for one in written
                if one.folder.parent == Path(args.output_dir).resolve()
                and one.step is not None
                and 0 < one.step <= state.global_step
                and trouble_of(one.folder, tokenizer=self.wants_tokenizer, in_order=True) is None
            ]
            for one in behind[-1:] if self.options.policy == "one_behind" else behind:
                self.put(scoring, one)
        self.serve(scoring)

    @never_raises
    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Stage the checkpoint and queue it."""
        scoring = self.scoring or self.open(args, kwargs.get("model"))
        if self.options.request.held_out:
            return
        saved = checkpoint_at(Path(args.output_dir) / f"checkpoint-{state.global_step}")
        with contextlib.suppress(OSError):  # a checkpoint that cannot be written to is scored too
            # Here alone: a later change would make the folder the newest one to a trainer.
            add_lineage(saved.folder, self.lineage(scoring, saved))
        self.put(scoring, saved)
        self.serve(scoring)
        if self.options.where == "pause" and not self.deferred:
            self.wait(scoring)
        scoring.reporter.report()

    @never_raises
    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Queue the last checkpoint for a held-out suite; wait for the scores, or leave them."""
        scoring = self.scoring or self.open(args, kwargs.get("model"))
        try:
            if self.options.request.held_out:
                self.put_last(scoring)
            self.deferred = False
            self.serve(scoring)
            waits = self.options.wait_at_end and self.options.where != "command"
            if waits and (args.world_size == 1 or self.others_wait):
                self.wait(scoring)
        finally:
            if self.presence is not None:
                self.presence.leave()
                self.presence = None
        scoring.reporter.report()
        if waiting := scoring.queue.waiting():
            say(f"still to be scored: {len(waiting)}; results come to {scoring.folder}")
        else:
            scoring.reporter.report_best()

    def open(self, args: Any, model: Any) -> CheckpointScoring:
        """The scoring of this training; the model runs where it takes no memory the trainer needs."""
        options = self.options
        kind = getattr(args.device, "type", "cpu")
        threads = options.threads
        if threads is None and kind == "cpu" and options.where == "process":
            threads = 1
        paused = options.where == "pause"
        alone = args.world_size == 1
        self.base = base_of(model)
        scoring = CheckpointScoring(
            options, Path(args.output_dir), say=say, threads=threads,
            detached=not (paused and alone), paused=paused,
        )  # fmt: skip
        scoring.write_training()
        if options.command is not None:
            before = self.submission
            self.submission = JobSubmission(options.command, scoring.queue, say)
            if before is not None:  # the same callback in a second training of the script
                self.submission.submitted = before.submitted
        if options.where == "process" and options.request.device is None:
            device = free_device(kind, getattr(args, "local_process_index", 0))
            if device is None:
                self.deferred = True
                say(
                    "there is no other device, so checkpoints are scored when the training ends; "
                    'where="pause" scores them at once, device="cpu" during the training'
                )
            else:
                scoring.run_on(device)
        elif paused and not alone:
            self.deferred = True  # the other processes would run into their time limit
            say('where="pause" is for one training process; checkpoints are scored at the end')
        elif paused and options.request.device is None:
            scoring.run_on(str(args.device))
        self.scoring = scoring
        return scoring

    @property
    def wants_tokenizer(self) -> bool:
        """Whether a checkpoint must have a tokenizer of its own."""
        return self.options.tokenizer is None

    def put(self, scoring: CheckpointScoring, checkpoint: CheckpointFolder) -> None:
        """Stage a checkpoint and queue it, or keep why it cannot be scored."""
        trouble = trouble_of(checkpoint.folder, tokenizer=self.wants_tokenizer)
        reason = trouble.reason if trouble else ""
        if trouble is None:
            try:
                scoring.put(checkpoint, lambda: self.lineage(scoring, checkpoint))
            except (OlmesError, OSError) as error:  # no room, or the folder is gone already
                reason = f"its files could not be staged: {error}"
        if reason:
            scoring.refuse(checkpoint, reason)

    def lineage(self, scoring: CheckpointScoring, checkpoint: CheckpointFolder) -> Steps:
        """What a checkpoint of this training descends from."""
        return steps_of(self.base, scoring.training, checkpoint.step, self.options.about)

    def put_last(self, scoring: CheckpointScoring) -> None:
        """Queue the last complete checkpoint: what a held-out suite is put to."""
        complete = [
            one
            for one in checkpoints_in(scoring.output_dir)
            if one.step is not None and trouble_of(one.folder, tokenizer=False) is None
        ]
        if complete:
            self.put(scoring, complete[-1])
        else:
            say("there is no complete checkpoint that the held-out suite could be put to")

    def serve(self, scoring: CheckpointScoring) -> None:
        """See to it that somebody scores what waits."""
        if self.submission is not None:
            self.submission.submit()
        elif not self.deferred:
            scoring.serve()

    def wait(self, scoring: CheckpointScoring) -> None:
        """Wait for the scores, which is not counted as a cost: it was asked for."""
        began = time.perf_counter()
        try:
            if why := scoring.wait(POLL_SECONDS):
                say(
                    f"{why}; the training continues without {len(scoring.queue.waiting())} scores. "
                    f"Score them by: {shlex.join(scoring_command(scoring.folder, '--drain'))}"
                )
        finally:
            self.seconds -= time.perf_counter() - began


def say(line: str) -> None:
    """One line on standard error."""
    print(f"olmes: {line}", file=sys.stderr, flush=True)
