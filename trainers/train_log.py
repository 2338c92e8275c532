"""The log of a training as JSON lines, and the watch for a policy that games its reward."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from olmes import jsonl

from .recipe import Recipe

FILE = "train_log.jsonl"
SHOWN = (
    "loss", "loss_per_token", "normalized_margin", "normalized_accuracy", "reward", "kl",
    "completions/mean_length", "completions/distinct_3", "grad_norm", "mean_token_accuracy",
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
        """Forget rows after the step that training goes on from."""
        if state.is_world_process_zero:
            kept = [row for row in read_log(self.path) if row["step"] <= state.global_step]
            jsonl.write(self.path, kept)

    def on_log(
        self,
        args: Any,  # noqa: ARG002
        state: Any,
        control: Any,  # noqa: ARG002
        logs: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Keep one row."""
        if not state.is_world_process_zero or not logs or "train_runtime" in logs:
            return
        row = {"step": state.global_step, **{k: finite(v) for k, v in logs.items()}}
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(jsonl.dumps(row) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        shown = [
            f"{n.split('/')[-1]} {row[n]:.4g}" for n in SHOWN if isinstance(row.get(n), float | int)
        ]
        self.say(
            f"{self.recipe.stage} step {state.global_step}/{state.max_steps}: {', '.join(shown)}"
        )


class RewardWatch(TrainerCallback):  # type: ignore[misc]
    """Raises the alarm when the reward rises while the score of the checkpoints falls."""

    def __init__(self, out: Path, store: Path, say: Callable[[str], None]) -> None:
        self.out = out
        self.store = store
        self.say = say
        self.raised = -1

    def look(self, state: Any) -> None:
        """Hold log against scores; each fall is said once."""
        if not state.is_world_process_zero:
            return
        found = watch_reward(read_log(self.out / FILE), scores_of(self.out, self.store))
        if found is not None and found.since != self.raised:
            self.raised = found.since
            self.say(f"ALARM: {found}")

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Look at the scores that have come in."""
        self.look(state)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Look at all of them."""
        self.look(state)


def scores_of(out: Path, store: Path) -> list[tuple[int, float, float]]:
    """Step, score and standard error of a training's scored checkpoints.

    Of `scores.jsonl`, which the checkpoint hook writes (docs/checkpoints.md).
    """
    return [
        (row["step"], row["value"], row.get("stderr") or 0.0)
        for row in scored(out, store)
        if row.get("value") is not None
    ]


def scored_rows(out: Path, store: Path) -> list[tuple[int, str]]:
    """Step and folder of the record of each scored checkpoint."""
    return [(row["step"], row["folder"]) for row in scored(out, store)]


def scored(out: Path, store: Path) -> list[dict[str, Any]]:
    """The rows of `scores.jsonl` of checkpoints that have a score."""
    from .ask import training_folder

    rows = read_log(training_folder(store, out) / "scores.jsonl")
    return [row for row in rows if row.get("state") == "done" and row.get("step") is not None]


def finite(value: Any) -> Any:
    """The value, or None for what JSON has no number for."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_log(path: Path) -> list[dict[str, Any]]:
    """The rows of a log; a last line that a killed training left half written is passed over."""
    if not path.is_file():
        return []
    rows = []
    for line in path.read_text("utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


@dataclass(frozen=True, kw_only=True)
class Hacking:
    """Why a training looks as if it gamed its reward."""

    since: int
    """Step of the checkpoint from which on the scores fell."""
    reward_from: float
    reward_to: float
    score_from: float
    score_to: float
    length_from: float | None
    length_to: float | None

    def __str__(self) -> str:
        longer = ""
        if self.length_from is not None and self.length_to is not None:
            longer = f", length {self.length_from:.0f} -> {self.length_to:.0f} tokens"
        return (
            f"since step {self.since} the reward rises ({self.reward_from:.3g} -> "
            f"{self.reward_to:.3g}) while the score falls ({self.score_from:.3g} -> "
            f"{self.score_to:.3g}){longer}: read some responses before training goes on"
        )


def watch_reward(
    log: Sequence[Mapping[str, Any]], scores: Iterable[tuple[int, float, float]], *, z: float = 1.96
) -> Hacking | None:
    """Whether the reward rises while what it stands for falls (Tülu 3, appendix B.4).

    The alarm is raised when the last score lies below the best earlier one by more than `z` standard
    errors of their difference, and the mean reward since then is above the mean before.

    Args:
        log: rows of `train_log.jsonl`, with `step` and `reward`.
        scores: (step, score, standard error) of the scored checkpoints, on data that is not trained
            on.
        z: how sure the fall must be.
    """
    known = sorted(scores)
    if len(known) < 2:
        return None
    step, last, last_error = known[-1]
    best_step, best, best_error = max(known[:-1], key=lambda one: one[1])
    if best - last <= z * math.hypot(best_error, last_error):
        return None
    before = between(log, "reward", 0, best_step)
    after = between(log, "reward", best_step, step)
    if before is None or after is None or after <= before:
        return None
    length = "completions/mean_length"
    return Hacking(
        since=best_step, reward_from=before, reward_to=after, score_from=best, score_to=last,
        length_from=between(log, length, 0, best_step), length_to=between(log, length, best_step, step),
    )  # fmt: skip


def between(log: Sequence[Mapping[str, Any]], name: str, after: int, until: int) -> float | None:
    """The mean of a number over the steps in (after, until]."""
    found = [row[name] for row in log if row.get(name) is not None and after < row["step"] <= until]
    return sum(found) / len(found) if found else None
