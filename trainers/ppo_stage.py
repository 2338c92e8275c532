"""RLVR by PPO as a stage: a recipe's settings for `olmes.trainers.ppo`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from olmes.errors import OlmesError

from .grpo import fitting
from .last_state import finish
from .rewards import Row, VerifierRewards
from .stage import Prepared, callbacks


def train_ppo_stage(prepared: Prepared) -> Path:
    """Train and return the folder of the last state.

    Raises:
        OlmesError: a setting is unknown, adapters are asked for, or no prompt fits.
    """
    from .ppo import train_ppo

    recipe = prepared.recipe
    if recipe.lora is not None:
        raise OlmesError('PPO trains all weights; remove [lora], or use algorithm = "grpo".')
    rows = fitting(prepared)
    told = dict(recipe.ppo)
    asynchronous = bool(told.pop("asynchronous", False))
    config = ppo_config(recipe, told, len(rows))
    with VerifierRewards(rows, say=prepared.say) as rewards:

        def reward(asked: Sequence[Row], texts: Sequence[str]) -> list[float]:
            return rewards.score(asked, texts).rewards

        trained = train_ppo(
            config,
            policy=str(prepared.model),
            tokenizer=prepared.tokenizer,
            rows=list(rows),
            reward=reward,
            output_dir=prepared.out,
            callbacks=callbacks(prepared),
            asynchronous=asynchronous,
        )
    return finish(prepared, trained.checkpoint)


def ppo_config(recipe: Any, told: dict[str, Any], rows: int) -> Any:
    """PPO's configuration: what the recipe says, and what its [ppo] table adds or overrules.

    Raises:
        OlmesError: [ppo] has an unknown key.
    """
    from .ppo import PPOConfig

    known = {field.name for field in fields(PPOConfig)}
    if unknown := sorted(told.keys() - known):
        raise OlmesError(
            f"there is no setting 'ppo.{unknown[0]}'; known are asynchronous, "
            f"{', '.join(sorted(known))}."
        )
    step = recipe.optimization
    updates = step.max_steps or max(1, math.ceil(step.epochs * rows / step.batch_size))
    given = {
        "updates": updates,
        "batch_size": step.batch_size,
        "micro_batch_size": step.micro_batch_size,
        "learning_rate": step.learning_rate,
        "warmup_ratio": step.warmup_ratio,
        "weight_decay": step.weight_decay,
        "reward": recipe.reward_scale,
        "no_end_penalty": recipe.missing_end_reward,
        "beta": recipe.beta,
        "clip": recipe.clip,
        "epochs": recipe.updates_per_batch,
        "temperature": recipe.temperature,
        "response_length": recipe.max_completion_length,
        "max_prompt_length": recipe.max_prompt_length,
        "gradient_checkpointing": recipe.hardware.gradient_checkpointing,
        "seed": recipe.seed,
        "save_every": recipe.checkpoints.every,
        "save_total_limit": recipe.checkpoints.keep,
    }
    return PPOConfig(**{**given, **told})
