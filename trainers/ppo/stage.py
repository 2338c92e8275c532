"""RLVR by PPO as a stage: a recipe's settings for `olmes.trainers.ppo`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from olmes.trainers.last_state import finish
from olmes.trainers.on_trl.arguments import load_model
from olmes.trainers.on_trl.grpo import fitting, rewards_of
from olmes.trainers.ppo import checkpoint
from olmes.trainers.ppo.settings import ppo_config
from olmes.trainers.recipes.stages import RLVRRecipe
from olmes.trainers.rewards.trial import tried
from olmes.trainers.rewards.verifiers import Row, VerifierRewards, distinct_ngrams
from olmes.trainers.stage import Prepared, callbacks
from olmes.trainers.starting_model import model_folder


def train_ppo_stage(prepared: Prepared[RLVRRecipe]) -> Path:
    """Train and return the folder of the last state.

    Raises:
        OlmesError: the recipe asks for what PPO does not do, or no prompt fits.
    """
    from olmes.trainers.ppo import train_ppo

    recipe = prepared.recipe
    rows = fitting(prepared)
    if done := checkpoint.checkpoints(prepared.out):
        prepared.say(f"resumes from {done[-1].name}")
    config = ppo_config(recipe, len(rows))
    if recipe.ppo.checkpoint_precision is None:
        config = replace(config, checkpoint_precision=prepared.precision)
    value = recipe.ppo.value
    with rewards_of(prepared, rows) as rewards:
        rows = tried(rows, rewards, where=rewards.where, say=prepared.say)
        trained = train_ppo(
            config,
            policy=load_model(prepared),
            tokenizer=prepared.tokenizer,
            rows=rows,
            reward=StageReward(rewards),
            output_dir=prepared.out,
            callbacks=callbacks(prepared),
            value=model_folder(value) if value else None,
            asynchronous=bool(recipe.ppo.asynchronous),
        )
    return finish(prepared, trained.checkpoint)


class StageReward:
    """The verifiers of the rows, and what else they report of a batch."""

    def __init__(self, rewards: VerifierRewards) -> None:
        self.rewards = rewards
        self.numbers: dict[str, float] = {}

    def __call__(self, rows: Sequence[Row], texts: Sequence[str]) -> list[float | None]:
        """The reward of each response, before `reward_scale`; None where it could not be scored."""
        found = self.rewards.score(rows, texts, [row["ended"] for row in rows])
        self.numbers = {
            **{f"verifier/{task}": value for task, value in found.by_task.items()},
            "verifier/timeouts": float(found.timeouts),
            "verifier/crashes": float(found.crashes),
            "completions/distinct_3": distinct_ngrams(texts),
        }
        if self.rewards.reader.known:
            self.numbers["completions/unfinished_thinking"] = found.unfinished / len(texts)
        return found.rewards
