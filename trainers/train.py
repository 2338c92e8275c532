"""One stage from a recipe to its last checkpoint."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path

from olmes.errors import OlmesError
from olmes.tools.places import OUT, writing
from olmes.trainers.recipes.stages import DPORecipe, Recipe, RLVRRecipe, SFTRecipe
from olmes.trainers.stage import Say, finished, prepare, say_aloud


def train(recipe: Recipe, out: Path, *, say: Say = say_aloud) -> Path:
    """Train a stage; a stopped one resumes, and a finished one is left as it is.

    Args:
        recipe: what is trained.
        out: the stage's folder.
        say: gets a line for everything a user should know.

    Returns:
        The folder of the last state, a plain checkpoint.

    Raises:
        OlmesError: TRL is missing, the recipe, its model or its data have a fault, or `out` cannot be
            written.
    """
    check_installed()
    from olmes.trainers.training_page import keep_page, page_line, write_stage_page

    done = finished(recipe, out)
    if done is not None:
        say(f"{out} is finished; nothing to do{page_line(lambda: write_stage_page(recipe, out))}")
        return done
    try:
        with writing(out, OUT), quiet_libraries():
            last = train_stage(recipe, out, say=say)
    except BaseException:
        keep_page(recipe, out)
        raise
    say(f"{recipe.stage} done: {last}{page_line(lambda: write_stage_page(recipe, out))}")
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


def train_stage(recipe: Recipe, out: Path, *, say: Say) -> Path:
    """Train with the trainer of the recipe's stage; each is imported alone.

    Raises:
        OlmesError: as `train`.
    """
    match recipe:
        case SFTRecipe():
            from olmes.trainers.sft import train_sft

            return train_sft(prepare(recipe, out, say=say))
        case DPORecipe():
            from olmes.trainers.dpo import train_dpo

            return train_dpo(prepare(recipe, out, say=say))
        case RLVRRecipe(algorithm="ppo"):
            from olmes.trainers.ppo.stage import train_ppo_stage

            return train_ppo_stage(prepare(recipe, out, say=say))
        case RLVRRecipe():
            from olmes.trainers.grpo import train_grpo

            return train_grpo(prepare(recipe, out, say=say))
    raise TypeError(f"no trainer takes a {type(recipe).__name__}")


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
