"""The trackers of a stage: opened before it trains, kept from ending it, and sent late scores."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from olmes.errors import OlmesError
from olmes.models.checkpoint.loading import first_line
from olmes.trainers.recipes.stages import Recipe
from olmes.trainers.together.processes import is_first, told
from olmes.trainers.trackers.callbacks import KINDS, Run, other
from olmes.trainers.trackers.memory import FILE, Memory
from olmes.trainers.trackers.scores import SendScores

Say = Callable[[str], None]
HINTS = {"wandb": "; log in (wandb login), or set WANDB_MODE=offline"}
EVENTS = tuple(name for name in dir(TrainerCallback) if name.startswith("on_"))


def tracking(recipe: Recipe, out: Path, store: Path, say: Say) -> list[Any]:
    """The callbacks that report a stage, in the order in which they are called.

    Args:
        recipe: its `report_to` names the trackers.
        out: the stage's folder.
        store: where the records of its checkpoints lie.
        say: gets a line about a tracker that fails.

    Raises:
        OlmesError: a tracker cannot be opened, in whichever process this is.
    """
    if not recipe.report_to:
        return []
    found: list[Any] = []
    # One process reports. The others end with it, should a tracker refuse.
    told("the trackers", lambda: found.extend(opened(recipe, out, store, say)))
    return found


def opened(recipe: Recipe, out: Path, store: Path, say: Say) -> list[Any]:
    """The trackers of a recipe, each with its run, and who sends them scores.

    Raises:
        OlmesError: one cannot be opened.
    """
    memory = Memory.read(out)
    trackers = []
    for name in recipe.report_to:
        try:
            kind: Any = KINDS.get(name)
            tracker = kind(run_of(recipe, out, memory)) if kind else other(name)
            tracker.open()
        except Exception as error:  # whatever a tracker's library raises
            text = first_line(error)
            raise OlmesError(f"{name} cannot report: {text}{HINTS.get(name, '')}.") from error
        trackers.append(guarded(tracker, name, say))
    return [SendScores(out, store, trackers, memory), *trackers]


def run_of(recipe: Recipe, out: Path, memory: Memory) -> Run:
    """What trackers call a stage: its recipe's name, or in a chain the chain's and its own."""
    chained = recipe.name == recipe.stage
    group = out.resolve().parent.name if chained else ""
    return Run(
        project=recipe.project,
        name=f"{group}-{recipe.name}" if chained else recipe.name,
        group=group,
        folder=out,
        memory=memory,
    )


def guarded(tracker: Any, name: str, say: Say) -> Any:
    """A tracker whose failures are said once and end nothing; after one it is left alone."""
    failed: list[str] = []

    def guard(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def called(*args: Any, **kwargs: Any) -> Any:
            if failed:
                return None
            try:
                return method(*args, **kwargs)
            except Exception as error:
                failed.append(name)
                say(f"{name} reports no more: {type(error).__name__}: {first_line(error)}; the "
                    "training continues")  # fmt: skip
                return None

        return called

    for event in (*EVENTS, "send", "close"):
        setattr(tracker, event, guard(getattr(tracker, event)))
    return tracker


def send_late(recipe: Recipe, out: Path, store: Path, say: Say) -> None:
    """Send what was scored after a stage had ended to the runs that have its log.

    Raises:
        OlmesError: a tracker cannot be opened.
    """
    if not recipe.report_to or not is_first() or not (out / FILE).is_file():
        return
    if not SendScores(out, store, [], Memory.read(out)).waiting():
        return
    sender, *trackers = opened(recipe, out, store, say)
    count = sender.send_new()
    for tracker in trackers:
        tracker.close()
    say(f"sent {count} scores to {', '.join(recipe.report_to)}")
