"""transformers' own callbacks of trackers, each in a run that is a stage's own.

What is added to them: the run is opened before the training and closed after the last score, a
training that resumes goes on in it, and a checkpoint's scores are sent at the checkpoint's step.
"""

from __future__ import annotations

import copy
import os
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from transformers.integrations import (
    MLflowCallback,
    TensorBoardCallback,
    TrackioCallback,
    WandbCallback,
    get_reporting_integration_callbacks,
)

from olmes.trainers.trackers.memory import Memory

STEP = "train/global_step"
"""The axis that transformers' callbacks draw a run over, where a tracker counts rows by itself."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A stage's run, as trackers show it."""

    project: str
    name: str
    group: str
    """The chain that the stage is of; '' alone."""
    folder: Path
    memory: Memory


class Tracker(Protocol):
    """A callback of transformers that reports, and what is asked of it beside."""

    def open(self) -> None:
        """Open the run, a new one or the one that the stage has; raises what the tracker raises."""
        ...

    def send(self, step: int, numbers: Mapping[str, float]) -> None:
        """Send numbers about a step, which may lie behind what was sent before."""
        ...

    def close(self) -> None:
        """Close a run that `open` opened."""
        ...


class Wandb(WandbCallback):  # type: ignore[misc]
    """Weights & Biases. A run that the caller has opened (`wandb.init`) is used and left open."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.about = run
        self.opened = False

    def open(self) -> None:
        """Open the run; offline, its rows lie in a folder of their own for each start."""
        if self._wandb.run is not None:
            return
        wanted = os.environ.get("WANDB_RUN_ID") or uuid.uuid4().hex[:8]
        self._wandb.init(
            project=os.environ.get("WANDB_PROJECT", self.about.project),
            name=os.environ.get("WANDB_NAME", self.about.name),
            group=os.environ.get("WANDB_RUN_GROUP", self.about.group) or None,
            id=self.about.memory.keep_run("wandb", wanted),
            resume="allow",
        )
        self.opened = True
        # As WandbCallback.setup does, for scores that arrive when no training runs.
        self._wandb.define_metric(STEP)
        self._wandb.define_metric("*", step_metric=STEP, step_sync=True)

    def send(self, step: int, numbers: Mapping[str, float]) -> None:
        """One row, drawn at its own step."""
        self._wandb.log({**numbers, STEP: step})

    def on_train_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Close the run, so that the next stage has one of its own."""
        super().on_train_end(args, state, control, **more)
        self.close()

    def close(self) -> None:
        """Close the run."""
        if self.opened:
            self._wandb.finish()
            self.opened = False


class TensorBoard(TensorBoardCallback):  # type: ignore[misc]
    """TensorBoard. Steps that a resumed training does again are marked as such in its files."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        shared = os.environ.get("TENSORBOARD_LOGGING_DIR")
        # Stages of a chain share what the environment names.
        own = Path(shared).expanduser() / run.name if shared else run.folder / "tensorboard"
        self.logging_dir = str(own)

    def open(self) -> None:
        """Nothing: files need no opening."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Open a file beside the earlier ones, whose later steps no longer count."""
        self.tb_writer = self._SummaryWriter(
            log_dir=self.logging_dir, purge_step=state.global_step + 1
        )
        super().on_train_begin(args, state, control, **more)

    def send(self, step: int, numbers: Mapping[str, float]) -> None:
        """A point of each number."""
        if self.tb_writer is None:
            self.tb_writer = self._SummaryWriter(log_dir=self.logging_dir)
        for name, value in numbers.items():
            self.tb_writer.add_scalar(name, value, step)
        self.tb_writer.flush()

    def close(self) -> None:
        """Close the file."""
        if self.tb_writer is not None:
            self.tb_writer.close()
            self.tb_writer = None


class MLflow(MLflowCallback):  # type: ignore[misc]
    """MLflow. A run that is active already is used and left open."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.about = run
        self.opened = False

    def open(self) -> None:
        """Start the run, or that of the stage again."""
        if self._ml_flow.active_run() is not None:
            return
        known = self.about.memory.runs.get("mlflow")
        tags = {"group": self.about.group} if self.about.group else None
        name = None if known else self.about.name
        run = self._ml_flow.start_run(
            run_id=known, run_name=name, tags=tags, experiment_id=self.experiment()
        )
        self.about.memory.keep_run("mlflow", run.info.run_id)
        self.opened = True

    def experiment(self) -> str | None:
        """The experiment of the recipe's project; None where the environment names one."""
        if {"MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"} & os.environ.keys():
            return None
        found = self._ml_flow.get_experiment_by_name(self.about.project)
        made: str = (
            found.experiment_id if found else self._ml_flow.create_experiment(self.about.project)
        )
        return made

    def setup(self, args: Any, state: Any, model: Any) -> None:
        """Transformers' own; parameters of a run cannot be changed when a training resumes."""
        try:
            super().setup(args, state, model)
            self._ml_flow.flush_async_logging()
        except self._ml_flow.exceptions.MlflowException:
            if not self.about.memory.runs.get("mlflow"):
                raise
            self._initialized = True

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **more: Any) -> None:
        """Transformers' own; PPO's `score` makes room, since in files it is a folder's name."""
        renamed = {"train/score" if k == "score" else k: v for k, v in (logs or {}).items()}
        super().on_log(args, state, control, logs=renamed, **more)

    def send(self, step: int, numbers: Mapping[str, float]) -> None:
        """A point of each number."""
        self._ml_flow.log_metrics(dict(numbers), step=step)

    def on_train_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Close the run."""
        super().on_train_end(args, state, control, **more)
        self.close()

    def close(self) -> None:
        """Close the run, when all is written."""
        self._ml_flow.flush_async_logging()
        if self.opened:
            self._ml_flow.end_run()
            self.opened = False


class Trackio(TrackioCallback):  # type: ignore[misc]
    """Trackio, which finds a run by its name; so the name gets some digits of its own."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.about = run
        self.late = False

    @property
    def name(self) -> str:
        """The run's."""
        fresh = f"{self.about.name}-{uuid.uuid4().hex[:4]}"
        return self.about.memory.keep_run("trackio", fresh)

    def open(self) -> None:
        """Nothing: `setup` opens it when the training begins."""

    def setup(self, args: Any, state: Any, model: Any, **more: Any) -> None:
        """Transformers' own, for the stage's run."""
        own = copy.copy(args)
        own.run_name, own.project = self.name, self.about.project
        super().setup(own, state, model, **more)

    def send(self, step: int, numbers: Mapping[str, float]) -> None:
        """One row, drawn at its own step."""
        if not self._initialized and not self.late:
            self._trackio.init(project=self.about.project, name=self.name, resume="allow")
            self.late = True
        self._trackio.log({**numbers, STEP: step})

    def close(self) -> None:
        """Close a run that a late score opened."""
        if self.late:
            self._trackio.finish()
            self.late = False


def other(name: str) -> Any:
    """A tracker that transformers has a callback for, and nothing is added to but scores.

    Raises:
        RuntimeError: its package is not installed; the message names it.
    """
    (kind,) = get_reporting_integration_callbacks([name])

    class Other(kind):  # type: ignore[misc, valid-type]
        """The callback, which is sent scores as rows of the log at their own step."""

        begun: tuple[Any, ...] | None = None

        def open(self) -> None:
            """Nothing: the callback opens its run itself."""

        def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> Any:
            """Transformers' own."""
            self.begun = (args, control, more)
            return super().on_train_begin(args, state, control, **more)

        def send(self, step: int, numbers: Mapping[str, float]) -> None:
            """A row of the log."""
            if self.begun is None:
                return
            from transformers import TrainerState

            args, control, more = self.begun
            then = TrainerState(global_step=step, is_world_process_zero=True)
            self.on_log(args, then, control, logs=dict(numbers), model=more.get("model"))

        def close(self) -> None:
            """Nothing."""

    return Other()


KINDS: Mapping[str, Callable[[Run], Any]] = {
    "wandb": Wandb,
    "tensorboard": TensorBoard,
    "mlflow": MLflow,
    "trackio": Trackio,
}
