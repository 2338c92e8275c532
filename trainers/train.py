"""One stage from a recipe to its last checkpoint."""

from __future__ import annotations

import contextlib
import socket
import time
import uuid
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from olmes.errors import OlmesError
from olmes.tools.places import OUT, writing
from olmes.trainers.recipes.stages import DPORecipe, Recipe, RewardRecipe, RLVRRecipe, SFTRecipe
from olmes.trainers.stage import Say, finished, prepare, say_aloud
from olmes.trainers.stage_folder import store_of
from olmes.trainers.together.processes import gathered, is_first, meet, together, told, world_size

SEEN_WITHIN = 10.0
"""Seconds in which a file that one machine has made is seen on the others."""


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
    check_installed()
    from olmes.trainers.own_callbacks import load_callbacks
    from olmes.trainers.training_page import keep_page, page_line, write_stage_page

    def page() -> str:
        return page_line(lambda: write_stage_page(recipe, out))

    with together(recipe.hardware.wait_minutes):
        done = told("whether the training is finished", lambda: finished(recipe, out))
        if done is not None:
            say(f"{out} is finished; nothing to do{page()}")
            send_late_scores(recipe, out, say)
            return done
        try:
            with writing(out, OUT), quiet_libraries(), refusals(recipe):
                check_settings(recipe, out)
                check_shared(out)
                own = [*callbacks, *load_callbacks(recipe.callbacks)]
                last = train_stage(recipe, out, say=say, callbacks=own)
        except BaseException:
            keep_page(recipe, out)
            raise
    say(f"{recipe.stage} done: {last}{page()}")
    return last


def check_shared(out: Path) -> None:
    """Refuse a folder that some of the processes do not see: they would resume apart.

    Raises:
        OlmesError: it is another folder on another machine.
    """
    if world_size() == 1:
        return
    mark = out / told("a name", lambda: f".seen-{uuid.uuid4().hex}")
    if is_first():
        out.mkdir(parents=True, exist_ok=True)
        mark.touch()
    meet(f"{out} is made")
    places = gathered("whether all see the folder", (is_seen(mark), socket.gethostname()))
    if is_first():
        mark.unlink()
    for number, (seen, host) in enumerate(places):
        if not seen:
            raise OlmesError(
                f"rank {number} (host {host}) does not see {out.absolute()} of the first process "
                f"(host {places[0][1]}); put --out on a file system that all machines share."
            )


def is_seen(path: Path) -> bool:
    """Whether a file that another machine has made is here; network folders take their time."""
    end = time.monotonic() + SEEN_WITHIN
    while not (seen := path.exists()) and time.monotonic() < end:
        with contextlib.suppress(OSError):
            list(path.parent.iterdir())  # which has some network file systems look again
        time.sleep(0.1)
    return seen


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
            from olmes.trainers.on_trl.sft import train_sft

            return train_sft(prepare(recipe, out, say=say, callbacks=callbacks))
        case DPORecipe():
            from olmes.trainers.on_trl.dpo import train_dpo

            return train_dpo(prepare(recipe, out, say=say, callbacks=callbacks))
        case RewardRecipe():
            from olmes.trainers.on_trl.reward import train_reward

            return train_reward(prepare(recipe, out, say=say, callbacks=callbacks))
        case RLVRRecipe(algorithm="ppo"):
            from olmes.trainers.ppo.stage import train_ppo_stage

            return train_ppo_stage(prepare(recipe, out, say=say, callbacks=callbacks))
        case RLVRRecipe():
            from olmes.trainers.on_trl.grpo import train_grpo

            return train_grpo(prepare(recipe, out, say=say, callbacks=callbacks))
    raise TypeError(f"no trainer takes a {type(recipe).__name__}")


def check_settings(recipe: Recipe, out: Path) -> None:
    """Refuse what would be refused later, before the data and the model are loaded.

    Raises:
        OlmesError: as `trl_config`, or vLLM or a tracker is not installed.
    """
    from olmes.models.vllm_start import check_installed as check_vllm
    from olmes.trainers.on_trl.table import check_table, trl_config
    from olmes.trainers.trackers.names import check_packages

    check_packages(recipe.report_to)
    if isinstance(recipe, RLVRRecipe):
        if recipe.vllm != "off":
            check_vllm('generate with transformers (vllm = "off")')
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
    from olmes.trainers.on_trl.table import told_by_trl

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
