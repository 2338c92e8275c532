"""The `[ppo]` table of a recipe: what is PPO's own, and settings that it overrules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar, Literal

from olmes.trainers.on_trl.precision import Precision
from olmes.trainers.ppo.config import STORED_NAMES

Number = int | float
"""A number kept as it is written: a recipe's hash tells 1 from 1.0."""
Setting = bool | int | float | str


@dataclass(frozen=True, kw_only=True)
class PPOTable:
    """Settings of `PPOConfig`, which says what they mean; None leaves the recipe's, or the default.

    `value` and `asynchronous` are arguments of `train_ppo`.
    """

    ALIASES: ClassVar[Mapping[str, str]] = {old: new for new, old in STORED_NAMES.items()}
    """Older names of settings, which recipes may keep."""

    value: str | None = None
    """A reward model that the value model begins as; without one, the policy's own backbone."""
    asynchronous: bool | None = None
    """Whether other processes generate while this one learns."""

    updates: int | None = None
    batch_size: int | None = None
    generations: int | None = None
    reward_scale: Number | None = None
    missing_end_reward: Number | None = None
    beta: Number | None = None
    gamma: Number | None = None
    lam: Number | None = None
    whiten: bool | None = None
    clip: Number | None = None
    value_clip: Number | None = None
    value_coef: Number | None = None
    updates_per_batch: int | None = None
    minibatches: int | None = None
    micro_batch_size: int | None = None
    learning_rate: Number | None = None
    schedule: Literal["linear", "cosine", "constant"] | None = None
    schedule_steps: int | None = None
    warmup_ratio: Number | None = None
    weight_decay: Number | None = None
    adam_epsilon: Number | None = None
    max_grad_norm: Number | None = None
    device: Literal["auto", "cpu", "cuda"] | None = None
    mixed_precision: Literal["auto", "no", "bf16"] | None = None
    shard: bool | None = None
    gradient_checkpointing: bool | None = None
    engine: Literal["transformers", "vllm"] | None = None
    engine_memory: Number | None = None
    temperature: Number | None = None
    max_completion_length: int | None = None
    max_prompt_length: int | None = None
    generation_batch_size: int | None = None
    queue_size: int | None = None
    max_staleness: int | None = None
    importance_cap: Number | None = None
    generators: int | None = None
    generator_device: str | None = None
    carrier: Literal["processes", "ray"] | None = None
    restarts: int | None = None
    wait_minutes: float | None = None
    seed: int | None = None
    save_every: int | None = None
    save_total_limit: int | None = None
    checkpoint_precision: Precision | None = None

    def given(self) -> dict[str, Setting]:
        """What the table says, by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def overrides(self) -> dict[str, Setting]:
        """The settings of `PPOConfig` among them."""
        arguments = ("value", "asynchronous")
        return {name: value for name, value in self.given().items() if name not in arguments}

    def to_json(self) -> dict[str, Setting]:
        """What the table says, under the names that `recipe.json` has always had."""
        return {STORED_NAMES.get(name, name): value for name, value in self.given().items()}
