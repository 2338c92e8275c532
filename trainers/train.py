"""One stage from a recipe to its last checkpoint."""

from __future__ import annotations

import contextlib
import importlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from olmes.errors import OlmesError
from olmes.trainers.recipe import Recipe
from olmes.trainers.stage import Say, finished, prepare, say_aloud


def train(recipe: Recipe, out: Path, *, say: Say = say_aloud) -> Path:
    """Train a stage; one that was stopped goes on, one that is done is not done again.

    Args:
        recipe: what is trained.
        out: the stage's folder.
        say: gets a line for everything a user should know.

    Returns:
        The folder of the last state, a plain checkpoint.

    Raises:
        OlmesError: TRL is missing, or the recipe, its model or its data have a fault.
    """
    done = finished(recipe, out)
    if done is not None:
        say(f"{out} is finished; nothing to do")
        return done
    check_installed()
    with quiet_libraries():
        prepared = prepare(recipe, out, say=say)
        last: Path = trainer_of(recipe)(prepared)
    say(f"{recipe.stage} done: {last}")
    return last


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep progress bars of data sets and advice about next major versions off the screen."""
    import datasets
    from transformers.utils import logging

    bars = datasets.are_progress_bars_disabled(), logging.is_progress_bar_enabled()
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    datasets.disable_progress_bars()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        logging.set_verbosity(verbosity)
        if not bars[0]:
            datasets.enable_progress_bars()
        if bars[1]:
            logging.enable_progress_bar()


def trainer_of(recipe: Any) -> Any:
    """The function that trains a recipe's stage, by name: each imports what the others need not."""
    if recipe.stage == "rlvr":
        module, name = recipe.algorithm, f"train_{recipe.algorithm}"
        if recipe.algorithm == "ppo":
            module, name = "ppo_stage", "train_ppo_stage"
    else:
        module, name = recipe.stage, f"train_{recipe.stage}"
    found: Any = getattr(importlib.import_module(f"olmes.trainers.{module}"), name)
    return found


def check_installed() -> None:
    """Refuse to begin without the extra.

    Raises:
        OlmesError: TRL or transformers' companions are missing.
    """
    from importlib.util import find_spec

    for package in ("trl", "peft", "accelerate"):
        if find_spec(package) is None:
            raise OlmesError(
                f"training needs {package}, which is not installed; run "
                "\"pip install 'olmes[train]'\"."
            )
