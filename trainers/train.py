"""One stage from a recipe to its last checkpoint."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from olmes.errors import OlmesError
from olmes.tools.places import OUT, writing
from olmes.trainers.recipes.stages import DPORecipe, Recipe, RewardRecipe, RLVRRecipe, SFTRecipe
from olmes.trainers.stage import Say, finished, prepare, say_aloud, store_of


def train(
    recipe: Recipe, out: Path, *, say: Say = say_aloud, callbacks: Sequence[Any] = ()
) -> Path:
    """Train a stage; a stopped one resumes, and a finished one is left as it is.

    Args:
        recipe: what is trained.
        out: the stage's folder.
        say: gets a line for everything a user should know.
        callbacks: of transformers (`TrainerCallback`), beside those that the recipe names.

    Returns:
        The folder of the last state, a plain checkpoint.

    Raises:
        OlmesError: TRL is missing, the recipe, its model or its data have a fault, or `out` cannot be
            written.
    """
    done = finished(recipe, out)
    if done is not None:
        say(f"{out} is finished; nothing to do")
        send_late_scores(recipe, out, say)
        return done
    check_installed()
    from olmes.trainers.own_callbacks import load_callbacks

    with writing(out, OUT), quiet_libraries(), refusals(recipe):
        check_settings(recipe, out)
        own = [*callbacks, *load_callbacks(recipe.callbacks)]
        last = train_stage(recipe, out, say=say, callbacks=own)
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


def train_stage(recipe: Recipe, out: Path, *, say: Say, callbacks: Sequence[Any] = ()) -> Path:
    """Train with the trainer of the recipe's stage; each is imported alone.

    Raises:
        OlmesError: as `train`.
    """
    match recipe:
        case SFTRecipe():
            from olmes.trainers.sft import train_sft

            return train_sft(prepare(recipe, out, say=say, callbacks=callbacks))
        case DPORecipe():
            from olmes.trainers.dpo import train_dpo

            return train_dpo(prepare(recipe, out, say=say, callbacks=callbacks))
        case RewardRecipe():
            from olmes.trainers.reward import train_reward

            return train_reward(prepare(recipe, out, say=say, callbacks=callbacks))
        case RLVRRecipe(algorithm="ppo"):
            from olmes.trainers.ppo.stage import train_ppo_stage

            return train_ppo_stage(prepare(recipe, out, say=say, callbacks=callbacks))
        case RLVRRecipe():
            from olmes.trainers.grpo import train_grpo

            return train_grpo(prepare(recipe, out, say=say, callbacks=callbacks))
    raise TypeError(f"no trainer takes a {type(recipe).__name__}")


def check_settings(recipe: Recipe, out: Path) -> None:
    """Refuse what would be refused later, before the data and the model are loaded.

    Raises:
        OlmesError: as `trl_config`, or vLLM or a tracker is not installed.
    """
    from importlib.util import find_spec

    from olmes.trainers.trackers.names import check_packages
    from olmes.trainers.trl_table import check_table, trl_config

    check_packages(recipe.report_to)
    if isinstance(recipe, RLVRRecipe):
        if recipe.vllm == "colocate" and find_spec("vllm") is None:
            raise OlmesError(
                'vllm = "colocate" needs vLLM, which is not installed; run "pip install '
                "'trl[vllm]'\", or remove it."
            )
        if recipe.algorithm == "ppo":
            check_table(recipe)
            return
    trl_config(recipe, out)


def send_late_scores(recipe: Recipe, out: Path, say: Say) -> None:
    """Send the trackers the scores that arrived when a stage had ended."""
    if recipe.report_to:
        from olmes.trainers.trackers.reporting import send_late

        with quiet_libraries():
            send_late(recipe, out, store_of(recipe, out), say)


def refusals(recipe: Recipe) -> contextlib.AbstractContextManager[None]:
    """What TRL refuses of settings that are its own, as one sentence."""
    from olmes.trainers.trl_table import told_by_trl

    own = recipe.trl or getattr(recipe, "vllm", "off") != "off"
    return told_by_trl() if own else contextlib.nullcontext()


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
