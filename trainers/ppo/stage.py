"""RLVR by PPO as a stage: a recipe's settings for `olmes.trainers.ppo`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from olmes.errors import OlmesError
from olmes.trainers.grpo import fitting
from olmes.trainers.last_state import finish
from olmes.trainers.ppo.config import PPOConfig
from olmes.trainers.recipes.stages import RLVRRecipe
from olmes.trainers.rewards.completions import reader_of
from olmes.trainers.rewards.verifiers import Row, VerifierRewards, distinct_ngrams
from olmes.trainers.stage import Prepared, callbacks
from olmes.trainers.starting_model import model_folder
from olmes.trainers.trl_arguments import load_model

Precision = Literal["auto", "no", "bf16"]
PRECISIONS: Mapping[str, Precision] = {"auto": "auto", "float32": "no", "bfloat16": "bf16"}
"""A recipe's word for a precision, and accelerate's."""


def train_ppo_stage(prepared: Prepared[RLVRRecipe]) -> Path:
    """Train and return the folder of the last state.

    Raises:
        OlmesError: the recipe asks for what PPO does not do, or no prompt fits.
    """
    from olmes.trainers.ppo import train_ppo

    recipe = prepared.recipe
    check_stage(recipe)
    rows = fitting(prepared)
    config = ppo_config(recipe, len(rows))
    value = recipe.ppo.value
    reader = reader_of(prepared.tokenizer)
    with VerifierRewards(
        rows, metrics=recipe.reward_metrics, reader=reader, say=prepared.say
    ) as rewards:
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

    def __call__(self, rows: Sequence[Row], texts: Sequence[str]) -> list[float]:
        """The reward of each response, before `reward_scale`."""
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


def check_stage(recipe: RLVRRecipe) -> None:
    """Refuse what PPO does not do.

    Raises:
        OlmesError: the recipe asks for it.
    """
    if recipe.lora is not None:
        raise OlmesError('PPO trains all weights; remove [lora], or use algorithm = "grpo".')
    if recipe.vllm != "off":
        raise OlmesError('PPO generates with transformers; remove vllm, or use algorithm = "grpo".')
    if recipe.hardware.processes > 1 and recipe.hardware.strategy in ("zero2", "zero3"):
        raise OlmesError('PPO shards by FSDP; set hardware.strategy = "fsdp".')


def ppo_config(recipe: RLVRRecipe, rows: int) -> PPOConfig:
    """PPO's configuration: what the recipe says, and what its [ppo] table adds or overrules."""
    step, hardware = recipe.optimization, recipe.hardware
    config = PPOConfig(
        updates=step.max_steps or max(1, math.ceil(step.epochs * rows / step.batch_size)),
        batch_size=step.batch_size,
        micro_batch_size=step.micro_batch_size,
        learning_rate=step.learning_rate,
        schedule=step.schedule,
        warmup_ratio=step.warmup_ratio,
        weight_decay=step.weight_decay,
        max_grad_norm=math.inf if step.max_grad_norm is None else step.max_grad_norm,
        reward_scale=recipe.reward_scale,
        missing_end_reward=recipe.missing_end_reward,
        beta=recipe.beta,
        clip=recipe.clip,
        updates_per_batch=recipe.updates_per_batch,
        temperature=recipe.temperature,
        max_completion_length=recipe.max_completion_length,
        max_prompt_length=recipe.max_prompt_length,
        device=hardware.device,
        mixed_precision=PRECISIONS[hardware.precision],
        shard=hardware.strategy == "fsdp",
        gradient_checkpointing=hardware.gradient_checkpointing,
        seed=recipe.seed,
        save_every=recipe.checkpoints.every,
        save_total_limit=recipe.checkpoints.keep,
    )
    overrides: Any = recipe.ppo.overrides()
    return replace(config, **overrides)
