"""One documented, typed dataclass a stage; a TOML file says what differs from it.

The defaults are Tülu 3's 8B settings (arXiv:2411.15124, Tables 11, 20 and 21). A recipe is frozen;
resolved, it is written into the folder of the checkpoints it led to, with its hash.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from olmes.tools.toml_tables import Bounds, NotNegative, Positive, PositiveInt
from olmes.trainers.ppo.table import PPOTable
from olmes.trainers.recipes.tables import (
    Checkpoints,
    DataSource,
    Decontamination,
    Gate,
    Hardware,
    Lora,
    Optimization,
    Scoring,
    Validation,
)
from olmes.trainers.rewards.settings import RewardFunction, RewardJudge

Stage = Literal["sft", "dpo", "reward", "rlvr"]
STAGES: tuple[Stage, ...] = ("sft", "dpo", "reward", "rlvr")
CHAINED: tuple[Stage, ...] = ("sft", "dpo", "reward", "rlvr")
"""Stages that a chain may hold, in its order."""


DPOLoss = Literal[
    "sigmoid_norm", "sigmoid", "hinge", "ipo", "exo_pair", "nca_pair", "robust", "bco_pair",
    "sppo_hard", "aot", "aot_unpaired", "apo_zero", "apo_down", "discopop", "sft",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What all stages share."""

    stage: ClassVar[Stage]

    name: str = ""
    """Name of its folder; the file's own where none is given."""
    model: str = "smollm2"
    """Where training starts: a hub id, a local folder, or smollm2."""
    template: str = "model"
    """Chat template: "tulu", "smollm2", a Jinja file, or "model" for the model's own."""
    seed: Annotated[int, Bounds(least=0, below=2**32)] = 42
    data: Mapping[str, DataSource] = field(default_factory=dict)
    """The mixture: bundled names, .jsonl, .jsonl.gz or .parquet files, or hub data sets, each with
    its size."""
    rows: PositiveInt | None = None
    """Rows of the whole mixture, which `weight`s are shares of."""
    max_length: PositiveInt = 4096
    """Tokens of a prompt and its answer; what is longer is cut at the end, and counted."""
    optimization: Optimization = Optimization()
    lora: Lora | None = None
    checkpoints: Checkpoints = Checkpoints()
    scoring: Scoring = Scoring()
    gate: Gate = Gate()
    hardware: Hardware = Hardware()
    validation: Validation = Validation()
    decontamination: Decontamination = Decontamination()
    report_to: tuple[str, ...] = ()
    """Trackers that get the log and the scores: "wandb", "tensorboard", "mlflow", "trackio"."""
    project: str = "olmes"
    """Under which trackers keep the run (MLflow's experiment)."""
    callbacks: tuple[str, ...] = ()
    """Callbacks of one's own: "FILE.py:NAME" or "MODULE:NAME", each a class or a function that
    gives one."""
    trl: Mapping[str, Any] = field(default_factory=dict)
    """Further settings of TRL's own configuration, by its names."""
    log_every: PositiveInt = 1
    """Updates between two rows of the log."""


@dataclass(frozen=True, kw_only=True)
class SFTRecipe(Recipe):
    """Supervised fine-tuning, on the assistant's tokens only."""

    stage = "sft"
    optimization: Optimization = Optimization(learning_rate=5e-6, warmup_ratio=0.03, epochs=2.0)
    loss_reduction: Literal["sum", "mean"] = "sum"
    """Over the trained tokens of an update: summed (Tülu 3), or their mean (TRL). Either weighs
    every token of an update alike; docs/training.md relates the two."""
    packing: bool = False
    """Fill sequences of `max_length` with several chats, which do not see each other."""


@dataclass(frozen=True, kw_only=True)
class DPORecipe(Recipe):
    """Direct preference optimization on length-normalized log-probabilities."""

    stage = "dpo"
    max_length: PositiveInt = 2048
    optimization: Optimization = Optimization(learning_rate=5e-7, warmup_ratio=0.1)
    loss: DPOLoss = "sigmoid_norm"
    """sigmoid_norm divides each log-ratio by its completion's tokens (Tülu 3, section 5); the others
    are TRL's."""
    beta: Positive = 5.0
    """Strength of the tie to the reference; plain `sigmoid` wants about 0.1."""


@dataclass(frozen=True, kw_only=True)
class RewardRecipe(Recipe):
    """A reward model: a number for an answer, higher for the preferred one of a pair.

    In a chain it begins from the last state of SFT, and PPO's value model begins as it.
    """

    stage = "reward"
    max_length: PositiveInt = 2048
    optimization: Optimization = Optimization(learning_rate=3e-6, batch_size=256)


@dataclass(frozen=True, kw_only=True)
class RLVRRecipe(Recipe):
    """Reinforcement learning on verifiable rewards."""

    stage = "rlvr"
    optimization: Optimization = Optimization(learning_rate=3e-7, batch_size=224, weight_decay=0.01)
    algorithm: Literal["grpo", "ppo"] = "grpo"
    """Tülu 3 used PPO with a value model; GRPO needs none."""
    beta: NotNegative = 0.05
    """Weight of the KL divergence from the starting policy."""
    generations: PositiveInt = 16
    """GRPO: completions of one prompt, whose rewards are compared."""
    temperature: Positive = 1.0
    """Of sampling."""
    max_prompt_length: PositiveInt = 2048
    """Tokens; prompts that are longer are left out, and counted."""
    max_completion_length: PositiveInt = 2048
    """Tokens; a completion that reaches it has no end."""
    updates_per_batch: PositiveInt = 1
    """Passes over the completions of one generation."""
    clip: Positive = 0.2
    """Bound of the probability ratio."""
    missing_end_reward: float | None = None
    """Replaces the reward of a completion without an end of sequence; Tülu 3's PPO: -10."""
    reward_scale: Positive = 10.0
    """What a right answer is worth (Tülu 3: 10)."""
    reward_metrics: Mapping[str, str] = field(default_factory=dict)
    """By task, which of its metrics rewards a response whose row names none; of a task that is left
    out the honest one, or the primary one where there is no honest one."""
    reward_functions: Mapping[str, RewardFunction] = field(default_factory=dict)
    """By "FILE.py:NAME", Python functions that reward responses, and their limits."""
    judge: RewardJudge = field(default_factory=RewardJudge)
    """The language model that rewards responses where rows, or its table, ask for it."""
    dynamic_sampling: bool = False
    """GRPO: whether groups whose rewards are all equal, of which nothing can be learned, are replaced
    by those of further prompts (DAPO)."""
    most_draws: PositiveInt = 10
    """With `dynamic_sampling`, further draws for one batch, at most; then it stays as it is."""
    held_out_constraints: tuple[str, ...] = ()
    """Kinds of instructions (`punctuation:no_comma`) that no reward is given for: rows with one
    are left out, and the watch follows how often checkpoints meet them."""
    vllm: Literal["off", "colocate", "server"] = "off"
    """Generate with vLLM, on the training's GPUs or on a server's."""
    ppo: PPOTable = field(default_factory=PPOTable)
    """Settings of PPO and of asynchronous training; docs/ppo.md."""


KINDS: Mapping[Stage, type[Recipe]] = {
    "sft": SFTRecipe,
    "dpo": DPORecipe,
    "reward": RewardRecipe,
    "rlvr": RLVRRecipe,
}
