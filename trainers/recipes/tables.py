"""The tables of a recipe that all stages share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from olmes.errors import OlmesError
from olmes.tools.toml_tables import NotNegative, Positive, PositiveInt, ShareBelowOne


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """How much of one data set goes into the mixture. Exactly one of the first three is given."""

    HINT: ClassVar[str] = "write { fraction = ... } for a share or { count = ... } for rows"

    fraction: Positive | None = None
    """Share of its rows: 1.0 is every row once, 2.5 every row twice and a drawn half once more."""
    count: PositiveInt | None = None
    """Number of rows, drawn; more than there are repeats all of them first."""
    weight: Positive | None = None
    """Share of the mixture's `rows`, in proportion to the other weights."""
    seed: int = 0
    """Which rows are drawn."""
    split: str = "train"
    """Of a hub data set."""
    config: str = ""
    """Of a hub data set."""
    revision: str = ""
    """Commit of a hub data set; without one, what is read may change under the recipe."""

    def __post_init__(self) -> None:
        sizes = (self.fraction, self.count, self.weight)
        given = [size for size in sizes if size is not None]
        # Every field has a default, so that a table can be built on it; `check_recipe` wants a size.
        if len(given) > 1:
            raise OlmesError("give one of fraction, count and weight, not several.")


@dataclass(frozen=True, kw_only=True)
class Optimization:
    """The updates of the weights (AdamW)."""

    learning_rate: Positive = 5e-6
    """The highest rate, after the warm-up."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """From there to the end."""
    schedule_steps: PositiveInt | None = None
    """Updates that the schedule is for, where the training ends before it; None is all there are."""
    warmup_ratio: ShareBelowOne = 0.0
    """Share of the schedule's updates in which the rate rises; never a number of them."""
    epochs: Positive = 1.0
    """Passes over the mixture."""
    max_steps: PositiveInt | None = None
    """Updates after which training ends, whatever `epochs` says."""
    batch_size: PositiveInt = 128
    """Sequences an update, over all devices and accumulation steps: chats (SFT), pairs (DPO),
    completions (RLVR)."""
    micro_batch_size: PositiveInt = 1
    """Sequences a device has in memory at once."""
    weight_decay: NotNegative = 0.0
    adam_epsilon: Positive = 1e-8
    """Added to the root of Adam's second average; it damps what has small gradients."""
    max_grad_norm: Positive | None = 1.0
    """Gradients are scaled down to this norm; "none" leaves them."""


@dataclass(frozen=True, kw_only=True)
class Lora:
    """Low-rank adapters instead of all weights; `final/` alone is merged into its base."""

    rank: PositiveInt = 16
    alpha: PositiveInt = 32
    dropout: ShareBelowOne = 0.0
    targets: tuple[str, ...] = ("all-linear",)
    """Names of modules; "all-linear" is every linear layer but the output head."""

    def __post_init__(self) -> None:
        if not self.targets:
            raise OlmesError('targets is empty; name modules, or "all-linear".')


@dataclass(frozen=True, kw_only=True)
class Checkpoints:
    """Which states of the training stay on disk."""

    every: PositiveInt = 500
    """Updates between two checkpoints; the last update always writes one."""
    keep: PositiveInt | None = None
    """The newest so many stay; those that wait for a score stay until they have it."""
    precision: Literal["model", "float32", "bfloat16"] = "model"
    """In which weights are saved; "model" is that of the model training starts from."""


@dataclass(frozen=True, kw_only=True)
class Validation:
    """Rows that are never learned from, whose loss is measured during the training."""

    data: Mapping[str, DataSource] = field(default_factory=dict)
    """The mixture, written like `[data]`; without one nothing is measured."""
    every: PositiveInt | None = None
    """Updates between two measurements; None measures with every checkpoint."""


@dataclass(frozen=True, kw_only=True)
class Decontamination:
    """What the data are held against before they are learned from; docs/training.md."""

    against: tuple[str, ...] = ()
    """Suites and tasks, by name or file; without any nothing is compared."""
    data: str | tuple[str, ...] | None = None
    """Folder of benchmark files, or several; None is that of `scoring`."""
    on_contaminated: Literal["say", "stop"] = "say"
    """Whether a data set that overlaps with more than 2 % of a task's items is named, or refused."""


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """How checkpoints are scored; docs/checkpoints.md says what each of these means."""

    suite: str = ""
    """A suite's name or file; with neither suite nor tasks nothing is scored."""
    tasks: tuple[str, ...] = ()
    """Tasks' names or files, instead of a suite."""
    out: str = ""
    """The store of the records; empty is `scores` in the training's folder."""
    limit: PositiveInt | None = None
    """Items a task."""
    data: str | tuple[str, ...] | None = None
    """Folder of benchmark files, or several."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Changes to formulations, such as "gsm8k.max_tokens" = 64."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What else `ScoreCheckpoints` takes: policy, where, device, command, wait_at_end, ..."""

    def __post_init__(self) -> None:
        if self.suite and self.tasks:
            raise OlmesError("give a suite or tasks, not both.")

    @property
    def target(self) -> str | tuple[str, ...]:
        """What checkpoints are scored on; empty for nothing."""
        return self.suite or self.tasks


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What the last checkpoint must pass (docs/gate.md); `olmes train` ends with its exit status."""

    baseline: str = ""
    """Folder of the run that it is held against, "start" for the model a chain starts from; without
    one there is no gate."""
    policy: str = ""
    """A TOML file; without one every task may be a point worse."""


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """What the training runs on."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto is a GPU where the machine that runs the command has one."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """bfloat16 is mixed precision over float32 weights; auto takes it on a GPU that has it."""
    gradient_checkpointing: bool = False
    """Compute activations twice to store fewer."""
    attention: str = ""
    """Attention of transformers ("sdpa", "flash_attention_2"); empty leaves it the choice."""
    processes: PositiveInt = 1
    """Over all machines; with more than one the training starts through `torchrun`."""
    machines: PositiveInt = 1
    strategy: Literal["ddp", "fsdp", "zero2", "zero3"] = "ddp"
    """How several processes share the work: copies (ddp), or shards (FSDP, DeepSpeed ZeRO)."""
    data_processes: PositiveInt | None = None
    """Processes that read and tokenize the data, on each machine; None is one a processor."""
    wait_minutes: Positive = 30.0
    """How long one process waits for another that shows no sign of life."""

    def __post_init__(self) -> None:
        for name in ("processes", "machines", "wait_minutes"):
            if getattr(self, name) <= 0:
                raise OlmesError(f"hardware.{name} is above 0, not {getattr(self, name)}.")
