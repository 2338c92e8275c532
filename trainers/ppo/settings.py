"""A recipe's settings as PPO's configuration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from olmes.trainers.ppo.config import PPOConfig

if TYPE_CHECKING:
    from olmes.trainers.recipes.stages import RLVRRecipe

Precision = Literal["auto", "no", "bf16"]
PRECISIONS: Mapping[str, Precision] = {"auto": "auto", "float32": "no", "bfloat16": "bf16"}
"""A recipe's word for a precision, and accelerate's."""


def ppo_config(recipe: RLVRRecipe, rows: int) -> PPOConfig:
    """PPO's configuration: what the recipe says, and what its [ppo] table adds or overrules.

    Args:
        recipe: of a stage by PPO.
        rows: prompts there are, which decide the updates where the recipe names epochs.

    Raises:
        OlmesError: a value is out of its range, or two do not fit together.
    """
    step, hardware = recipe.optimization, recipe.hardware
    config = PPOConfig(
        updates=step.max_steps or max(1, math.ceil(step.epochs * rows / step.batch_size)),
        batch_size=step.batch_size,
        micro_batch_size=step.micro_batch_size,
        learning_rate=step.learning_rate,
        schedule=step.schedule,
        schedule_steps=step.schedule_steps,
        warmup_ratio=step.warmup_ratio,
        weight_decay=step.weight_decay,
        adam_epsilon=step.adam_epsilon,
        max_grad_norm=math.inf if step.max_grad_norm is None else step.max_grad_norm,
        reward_scale=recipe.reward_scale,
        missing_end_reward=recipe.missing_end_reward,
        beta=recipe.beta,
        clip=recipe.clip,
        updates_per_batch=recipe.updates_per_batch,
        temperature=recipe.temperature,
        max_completion_length=recipe.max_completion_length,
        max_prompt_length=recipe.max_prompt_length,
        engine="transformers" if recipe.vllm == "off" else "vllm",
        device=hardware.device,
        mixed_precision=PRECISIONS[hardware.precision],
        shard=hardware.strategy == "fsdp",
        gradient_checkpointing=hardware.gradient_checkpointing,
        seed=recipe.seed,
        wait_minutes=hardware.wait_minutes,
        save_every=recipe.checkpoints.every,
        save_total_limit=recipe.checkpoints.keep,
    )
    overrides: Any = recipe.ppo.overrides()
    return replace(config, **overrides)
