"""The score of a training of a mix: that of its last checkpoint, which every variant reaches alike.

Not its best one: choosing among checkpoints favours whoever has the noisier scores.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from olmes.errors import OlmesError
from olmes.records.record import Record
from olmes.tools.appended_rows import readable_rows
from olmes.trainers.checkpoints.folders import checkpoints_in
from olmes.trainers.checkpoints.process import environment, scoring_command
from olmes.trainers.checkpoints.request import training_folder
from olmes.trainers.recipes.stages import Recipe
from olmes.trainers.stage_folder import store_of
from olmes.trainers.train_log import scored_rows


def last_record(recipe: Recipe, folder: Path, say: Callable[[str], None]) -> Record:
    """The record of a training's last checkpoint; what was left unscored is scored now.

    Args:
        recipe: of the training, which is done.
        folder: of the training.
        say: gets a line where something is still to be scored.

    Raises:
        OlmesError: it could not be scored.
    """
    store = store_of(recipe, folder)
    found = scored_last(folder, store)
    if found is None:
        own = training_folder(store, folder)
        say(f"the last checkpoint of {folder} has no score yet; it is scored now")
        if own.is_dir():
            command = scoring_command(own, "--retry-failed")
            subprocess.run(command, env=environment(None), check=False)
        found = scored_last(folder, store)
        if found is None:
            raise OlmesError(
                f"the last checkpoint of {folder} could not be scored ({why_not(own)}); fix that, and "
                "the same command tries again."
            )
    return Record.load(found)


def scored_last(folder: Path, store: Path) -> Path | None:
    """The record of the last checkpoint; None while it has none."""
    rows = scored_rows(folder, store)
    steps = [one.step for one in checkpoints_in(folder) if one.step is not None]
    if not rows:
        return None
    step, place = max(rows, key=lambda row: row[0])
    return Path(place) if step >= max(steps, default=0) else None


def why_not(training: Path) -> str:
    """Why the last job of a training's queue failed, in its own words."""
    rows = readable_rows(training / "scores.jsonl")
    reasons = [str(row["reason"]) for row in rows if row.get("reason")]
    return reasons[-1].rstrip(".") if reasons else "nothing says why"
