"""What lies where in a stage's folder."""

from __future__ import annotations

from pathlib import Path

from olmes.trainers.recipes.stages import Recipe

DONE = "done.json"
"""Written last: the stage is over."""


def store_of(recipe: Recipe, out: Path) -> Path:
    """Where the records of a training's checkpoints lie; `out` is its folder."""
    return Path(recipe.scoring.out) if recipe.scoring.out else out / "scores"
