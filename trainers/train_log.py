"""The log of a training as JSON lines, and the rows of its checkpoints' scores."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from olmes.tools import jsonl
from olmes.tools.appended_rows import append, readable_rows
from olmes.trainers.checkpoints.request import training_folder
from olmes.trainers.checkpoints.results import ScoreRow
from olmes.trainers.recipes.stages import Recipe

FILE = "train_log.jsonl"
LogValue = float | int | str | None
LogRow = Mapping[str, LogValue]
"""`step`, and the numbers of a trainer by its own names."""
SPEEDS = ("eval_runtime", "eval_samples_per_second", "eval_steps_per_second")
"""What transformers says of a validation's time, which is not kept."""
SHOWN = (
    "eval_loss", "eval_reward",
    "loss", "loss_per_token", "normalized_margin", "normalized_accuracy", "reward", "verified", "kl",
    "groups/zero_variance", "completions/mean_length", "response_tokens", "completions/distinct_3",
    "distinct_3grams", "grad_norm", "mean_token_accuracy", "accuracy", "margin", "eval_accuracy",
)  # fmt: skip
"""What a line on the screen holds of a row, where the row has it."""


class TrainLog(TrainerCallback):  # type: ignore[misc]
    """Appends a row a log to `train_log.jsonl`, and shows the main numbers.

    Rows of steps that a resumed training does again are taken out first, so that a step is there
    once.
    """

    def __init__(self, out: Path, recipe: Recipe, say: Callable[[str], None]) -> None:
        self.path = out / FILE
        self.recipe = recipe
        self.say = say

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Forget rows after the step that training resumes from."""
        if state.is_world_process_zero:
            kept = [row for row in read_log(self.path) if step_of(row) <= state.global_step]
            jsonl.write(self.path, kept)

    def on_log(
        self,
        args: Any,  # noqa: ARG002
        state: Any,
        control: Any,  # noqa: ARG002
        logs: LogRow | None = None,
        **_: Any,
    ) -> None:
        """Keep one row."""
        if not state.is_world_process_zero or not logs or "train_runtime" in logs:
            return
        kept = {name: finite(value) for name, value in logs.items() if name not in SPEEDS}
        row = {"step": state.global_step, **kept}
        append(self.path, row)
        shown = [
            f"{n.split('/')[-1]} {row[n]:.4g}" for n in SHOWN if isinstance(row.get(n), float | int)
        ]
        self.say(
            f"{self.recipe.stage} step {state.global_step}/{state.max_steps}: {', '.join(shown)}"
        )


def scored_rows(out: Path, store: Path) -> list[tuple[int, str]]:
    """Step and folder of the record of each scored checkpoint."""
    return [(row["step"] or 0, row["folder"]) for row in scored(out, store)]


def scored(out: Path, store: Path) -> list[ScoreRow]:
    """The rows of checkpoints that have a score.

    Of `scores.jsonl`, which the checkpoint hook writes (docs/checkpoints.md).
    """
    rows = readable_rows(training_folder(store, out) / "scores.jsonl")
    return [row for row in rows if row.get("state") == "done" and isinstance(row.get("step"), int)]


def finite(value: LogValue) -> LogValue:
    """The value, or None for what JSON has no number for."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_log(path: Path) -> list[LogRow]:
    """The rows of a trainer's log."""
    return readable_rows(path)


def step_of(row: LogRow) -> int:
    """The update that a row of a log is about; 0 where it does not say."""
    step = row.get("step")
    return step if isinstance(step, int) else 0
