"""Every setting of a PPO run; the defaults are those of Tülu 3 8B.

Of the paper (Table 21 and section 6), and where it is silent of the code and the command that the
model was made with (docs/ppo.md).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Literal

from olmes.errors import OlmesError
from olmes.trainers.on_trl.precision import Precision

REPLACEABLE = frozenset(
    {
        "save_every",
        "save_total_limit",
        "micro_batch_size",
        "gradient_checkpointing",
        "shard",
        "generation_batch_size",
        "engine",
        "engine_memory",
        "generators",
        "generator_device",
        "carrier",
        "device",
        "restarts",
        "wait_minutes",
        "checkpoint_precision",
    }
)
"""Settings a resumed run may change: they decide speed, memory and disk, not what is learned."""
LEARNED = frozenset(
    {
        "updates", "batch_size", "generations", "reward_scale", "missing_end_reward", "beta",
        "gamma", "lam", "whiten", "clip", "value_clip", "value_coef", "updates_per_batch",
        "minibatches", "learning_rate", "schedule", "schedule_steps", "warmup_ratio",
        "weight_decay", "adam_epsilon",
        "max_grad_norm", "mixed_precision", "temperature", "max_completion_length",
        "max_prompt_length", "queue_size", "max_staleness", "importance_cap", "seed",
    }
)  # fmt: skip
"""All others: with another value it is another experiment. A setting is in one of the two sets."""
STORED_NAMES = {
    "generations": "samples_per_prompt",
    "reward_scale": "reward",
    "missing_end_reward": "no_end_penalty",
    "updates_per_batch": "epochs",
    "max_completion_length": "response_length",
}
"""Settings that are stored under the name they first had, so that older runs resume."""
Stored = Mapping[str, bool | int | float | str | None]
"""A configuration as `ppo/run.json` holds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PPOConfig:
    """Settings of `train_ppo`.

    Raises:
        OlmesError: a value is out of its range, or two do not fit together.
    """

    updates: int
    """How many batches of rollouts are learned from; the policy's version counts them."""
    batch_size: int = 224
    """Rollouts an update (8B: 7 GPUs x 32)."""
    generations: int = 1
    """Rollouts a prompt within a batch."""

    reward_scale: float = 10.0
    """alpha: the score of a response whose verifier says 1; scores scale with the verifier."""
    missing_end_reward: float | None = -10.0
    """Replaces the score of a response that did not end by itself; None keeps the score."""
    beta: float = 0.05
    """Weight of the KL divergence from the reference within the reward."""
    gamma: float = 1.0
    """Discount of later rewards."""
    lam: float = 0.95
    """lambda of generalized advantage estimation."""
    whiten: bool = True
    """Whether advantages are scaled to mean 0 and variance 1 over a batch's tokens."""
    clip: float = 0.2
    """epsilon: how far the policy's ratio counts from 1."""
    value_clip: float = 0.2
    """How far a value counts from what it was before the update."""
    value_coef: float = 0.1
    """Weight of the value loss."""
    updates_per_batch: int = 4
    """K: passes over a batch."""
    minibatches: int = 1
    """Optimizer steps a pass."""
    micro_batch_size: int = 32
    """Sequences in memory at once; the gradient is the same for any."""

    learning_rate: float = 3e-7
    """AdamW's peak rate."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """How the rate falls from there: to 0 over the updates, or not at all."""
    schedule_steps: int | None = None
    """Updates that the schedule is for, where the run ends before it; None is all there are."""
    warmup_ratio: float = 0.0
    """Share of the updates over which the rate first rises (70B: 0.1)."""
    weight_decay: float = 0.01
    """Of all weights; torch's default, which the published code leaves."""
    adam_epsilon: float = 1e-8
    """Likewise: the published code has an `eps` of 1e-5 that it does not use."""
    max_grad_norm: float = 1.0
    """The norms of the policy's and of the value model's gradient are each cut to this."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto`: a GPU where there is one."""
    mixed_precision: Literal["auto", "no", "bf16"] = "auto"
    """`auto`: bf16 on a GPU that has it, else float32."""
    shard: bool = False
    """Whether several processes cut the weights among them (FSDP) instead of each having all."""
    gradient_checkpointing: bool = False
    """Recomputes activations in the backward pass: slower, far less memory."""

    engine: Literal["transformers", "vllm"] = "transformers"
    """What generates: transformers with the learner's own model, or vLLM in a process of its own, which
    is handed the weights."""
    engine_memory: float = 0.4
    """vLLM: share of its GPU's memory, beside a learner on the same GPU."""
    temperature: float = 1.0
    """Of sampling; the policy's log-probabilities are taken at the same temperature."""
    max_completion_length: int = 2048
    """The most tokens of a response (1,024 for GSM8K alone)."""
    max_prompt_length: int = 2048
    """Longer prompts are left out, and the run says how many."""
    generation_batch_size: int = 64
    """Rollouts generated together."""

    queue_size: int = 1
    """Asynchronous: batches that may be ordered ahead of the one being learned from."""
    max_staleness: int = 1
    """Asynchronous: updates a rollout's policy may lie behind; older rollouts are made again.

    A queue no longer than this never wastes one.
    """
    importance_cap: float = 2.0
    """Bound of the weight pi_old/mu that corrects for rollouts of an older policy mu."""
    generators: int = 1
    """Asynchronous: generator processes."""
    generator_device: str | None = None
    """Asynchronous: torch device of the generators; None is the last GPU of several, else the CPU."""
    carrier: Literal["processes", "ray"] = "processes"
    """Asynchronous: what carries the generators; `ray` on a cluster."""
    restarts: int = 3
    """Asynchronous: times in a row a generator may die before the run gives up."""
    wait_minutes: float = 30.0
    """Asynchronous: how long a generator may show no sign of life until it is replaced."""

    seed: int = 0
    """Fixes the order of prompts, sampling, minibatches and the value head."""
    save_every: int = 100
    """Updates between checkpoints (70B: 40); the last update is always saved."""
    save_total_limit: int | None = None
    """Checkpoints kept, newest last; None keeps all."""
    checkpoint_precision: Precision = "float32"
    """Of a checkpoint's model; what a run resumes from is float32 whatever it is."""

    def __post_init__(self) -> None:
        # Asked so that what is no number (NaN) is refused as well.
        for name in POSITIVE:
            if not getattr(self, name) > 0:
                raise OlmesError(f"{name} is {getattr(self, name)}; give a number above 0.")
        for name in NOT_NEGATIVE:
            if not getattr(self, name) >= 0:
                raise OlmesError(f"{name} is {getattr(self, name)}; give 0 or more.")
        for name in ("gamma", "lam"):
            if not 0 <= getattr(self, name) <= 1:
                raise OlmesError(f"{name} is {getattr(self, name)}; give a number from 0 to 1.")
        if not 0 <= self.warmup_ratio < 1:
            raise OlmesError(
                f"warmup_ratio is {self.warmup_ratio}; give a share of the updates, of at least 0 "
                "and below 1."
            )
        for name in ("save_total_limit", "schedule_steps"):
            if (given := getattr(self, name)) is not None and given < 1:
                raise OlmesError(f"{name} is {given}; give a number above 0, or None.")
        for part in ("generations", "minibatches"):
            if self.batch_size % getattr(self, part):
                raise OlmesError(
                    f"batch_size {self.batch_size} is not a multiple of {part} "
                    f"{getattr(self, part)}; change one of the two."
                )

    @property
    def prompts_per_update(self) -> int:
        """Prompts a batch."""
        return self.batch_size // self.generations

    def rate(self, update: int) -> float:
        """Learning rate of an update, counted from 0: linear warm-up, then the schedule.

        Paper, Table 21: linear schedule, warm-up ratio omega.
        """
        steps = self.schedule_steps or self.updates
        warm = round(self.warmup_ratio * steps)
        if update < warm:
            return self.learning_rate * (update + 1) / warm
        left = max(0, steps - update) / max(1, steps - warm)
        if self.schedule == "constant":
            left = 1.0
        elif self.schedule == "cosine":
            left = 0.5 * (1 - math.cos(math.pi * left))
        return self.learning_rate * left

    def to_json(self) -> Stored:
        """Every setting, under the names of `ppo/run.json`."""
        return {STORED_NAMES.get(name, name): value for name, value in asdict(self).items()}

    def differing(self, other: Stored) -> Stored:
        """The settings in which a stored configuration is another experiment, as stored."""
        mine = self.to_json()
        names = {STORED_NAMES.get(f.name, f.name): f.name for f in fields(self)}
        defaults = {
            f.name: f.default for f in fields(self)
        }  # of a run that is older than a setting
        return {
            name: other.get(stored)
            for stored, name in names.items()
            if name in LEARNED
            and mine[stored] != other.get(stored, defaults[name])
            # What "auto" came to is compared where it is known.
            and not (name == "mixed_precision" and "auto" in (mine[stored], other.get(stored)))
        }


POSITIVE = (
    "updates", "batch_size", "generations", "updates_per_batch", "minibatches", "micro_batch_size",
    "learning_rate", "adam_epsilon", "max_grad_norm", "temperature", "max_completion_length",
    "max_prompt_length", "generation_batch_size", "queue_size", "importance_cap", "generators",
    "save_every", "wait_minutes", "clip", "value_clip", "engine_memory",
)  # fmt: skip
NOT_NEGATIVE = ("beta", "value_coef", "weight_decay", "max_staleness", "restarts")
