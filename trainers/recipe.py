"""Recipes: one documented, typed dataclass a stage; a TOML file says what differs from it.

The defaults are Tülu 3's 8B settings (arXiv:2411.15124, Tables 11, 20 and 21). A recipe is frozen;
resolved, it is written into the folder of the checkpoints it led to, with its hash.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from olmes.errors import OlmesError
from olmes.tools import toml_tables as tables
from olmes.tools.hashing import content_hash
from olmes.trainers.ppo.table import PPOTable

Stage = Literal["sft", "dpo", "rlvr"]
STAGES: tuple[Stage, ...] = ("sft", "dpo", "rlvr")
START = "start"
"""As a gate's baseline: the model that a chain starts from."""
FILES = (".jsonl", ".jsonl.gz", ".jinja", ".py", ".toml")
"""Endings of what a recipe names from where it lies."""


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """How much of one data set goes into the mixture. Exactly one of the first three is given."""

    HINT: ClassVar[str] = "write { fraction = ... } for a share or { count = ... } for rows"

    fraction: float | None = None
    """Share of its rows: 1.0 is every row once, 2.5 every row twice and a drawn half once more."""
    count: int | None = None
    """Number of rows, drawn; more than there are repeats all of them first."""
    weight: float | None = None
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
        if given and given[0] <= 0:
            raise OlmesError(f"fraction, count and weight are above 0, not {given[0]:g}.")


@dataclass(frozen=True, kw_only=True)
class Optimization:
    """The updates of the weights (AdamW)."""

    learning_rate: float = 5e-6
    """The highest rate, after the warm-up."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """From there to the end."""
    warmup_ratio: float = 0.0
    """Share of the steps in which the rate rises."""
    epochs: float = 1.0
    """Passes over the mixture."""
    max_steps: int | None = None
    """Updates after which training ends, whatever `epochs` says."""
    batch_size: int = 128
    """Sequences an update, over all devices and accumulation steps: chats (SFT), pairs (DPO),
    completions (RLVR)."""
    micro_batch_size: int = 1
    """Sequences a device has in memory at once."""
    weight_decay: float = 0.0
    max_grad_norm: float | None = 1.0
    """Gradients are scaled down to this norm; "none" leaves them."""


@dataclass(frozen=True, kw_only=True)
class Lora:
    """Low-rank adapters instead of all weights; checkpoints hold the merged model as well."""

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.0
    targets: tuple[str, ...] = ("all-linear",)
    """Names of modules; "all-linear" is every linear layer but the output head."""


@dataclass(frozen=True, kw_only=True)
class Checkpoints:
    """Which states of the training stay on disk."""

    every: int = 500
    """Updates between two checkpoints; the last update always writes one."""
    keep: int | None = None
    """The newest so many stay; those that wait for a score stay until they have it."""


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """How checkpoints are scored; docs/checkpoints.md says what each of these means."""

    suite: str = ""
    """A suite's name or file; with neither suite nor tasks nothing is scored."""
    tasks: tuple[str, ...] = ()
    """Tasks' names or files, instead of a suite."""
    out: str = ""
    """The store of the records; empty is `scores` in the training's folder."""
    limit: int | None = None
    """Items a task."""
    data: str | None = None
    """Folder of benchmark files."""
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

    device: Literal["auto", "cpu"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """bfloat16 is mixed precision over float32 weights; auto takes it on a GPU that has it."""
    gradient_checkpointing: bool = False
    """Compute activations twice to store fewer."""
    attention: str = ""
    """Attention of transformers ("sdpa", "flash_attention_2"); empty leaves it the choice."""
    processes: int = 1
    """Over all machines; with more than one the training starts through `accelerate launch`."""
    machines: int = 1
    strategy: Literal["ddp", "fsdp", "zero2", "zero3"] = "ddp"
    """How several processes share the work: copies (ddp), or shards (FSDP, DeepSpeed ZeRO)."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What the three stages share."""

    stage: ClassVar[Stage]

    name: str = ""
    """Name of its folder; the file's own where none is given."""
    model: str = "smollm2"
    """Where training starts: a hub id, a local folder, or smollm2."""
    template: str = "model"
    """Chat template: "tulu", "smollm2", a Jinja file, or "model" for the model's own."""
    seed: int = 42
    data: Mapping[str, DataSource] = field(default_factory=dict)
    """The mixture: bundled names, .jsonl files or hub data sets, each with its size."""
    rows: int | None = None
    """Rows of the whole mixture, which `weight`s are shares of."""
    max_length: int = 4096
    """Tokens of a prompt and its answer; what is longer is cut at the end, and counted."""
    optimization: Optimization = Optimization()
    lora: Lora | None = None
    checkpoints: Checkpoints = Checkpoints()
    scoring: Scoring = Scoring()
    gate: Gate = Gate()
    hardware: Hardware = Hardware()
    log_every: int = 1
    """Updates between two rows of the log."""


@dataclass(frozen=True, kw_only=True)
class SFTRecipe(Recipe):
    """Supervised fine-tuning, on the assistant's tokens only."""

    stage = "sft"
    optimization: Optimization = Optimization(
        learning_rate=5e-6, warmup_ratio=0.03, epochs=2.0, max_grad_norm=None
    )
    loss_reduction: Literal["sum", "mean"] = "sum"
    """Over the trained tokens of an update: summed (Tülu 3), or their mean (TRL). Either weighs
    every token of an update alike; docs/training.md relates the two."""
    packing: bool = False
    """Fill sequences of `max_length` with several chats, which do not see each other."""


@dataclass(frozen=True, kw_only=True)
class DPORecipe(Recipe):
    """Direct preference optimization on length-normalized log-probabilities."""

    stage = "dpo"
    max_length: int = 2048
    optimization: Optimization = Optimization(learning_rate=5e-7, warmup_ratio=0.1)
    loss: Literal["sigmoid_norm", "sigmoid"] = "sigmoid_norm"
    """sigmoid_norm divides each log-ratio by its completion's tokens (Tülu 3, section 5)."""
    beta: float = 5.0
    """Strength of the tie to the reference; plain `sigmoid` wants about 0.1."""


@dataclass(frozen=True, kw_only=True)
class RLVRRecipe(Recipe):
    """Reinforcement learning on verifiable rewards."""

    stage = "rlvr"
    optimization: Optimization = Optimization(
        learning_rate=3e-7, batch_size=224, epochs=1.0, max_grad_norm=1.0
    )
    algorithm: Literal["grpo", "ppo"] = "grpo"
    """Tülu 3 used PPO with a value model; GRPO needs none."""
    beta: float = 0.05
    """Weight of the KL divergence from the starting policy."""
    generations: int = 16
    """GRPO: completions of one prompt, whose rewards are compared."""
    temperature: float = 1.0
    max_prompt_length: int = 2048
    """Tokens; prompts that are longer are left out, and counted."""
    max_completion_length: int = 2048
    """Tokens; a completion that reaches it has no end."""
    updates_per_batch: int = 1
    """Passes over the completions of one generation."""
    clip: float = 0.2
    """Bound of the probability ratio."""
    missing_end_reward: float | None = None
    """Replaces the reward of a completion without an end of sequence; Tülu 3's PPO: -10."""
    reward_scale: float = 10.0
    """What a right answer is worth (Tülu 3: 10)."""
    reward_metrics: Mapping[str, str] = field(default_factory=dict)
    """By task, which of its metrics rewards a response whose row names none; of a task that is left
    out the honest one, or the primary one where there is no honest one."""
    held_out_constraints: tuple[str, ...] = ()
    """Kinds of instructions (`punctuation:no_comma`) that no reward is given for: rows with one
    are left out, and the watch follows how often checkpoints meet them."""
    vllm: Literal["off", "colocate", "server"] = "off"
    """Generate with vLLM, on the training's GPUs or on a server's."""
    ppo: PPOTable = field(default_factory=PPOTable)
    """Settings of PPO and of asynchronous training; docs/ppo.md."""


KINDS: Mapping[Stage, type[Recipe]] = {"sft": SFTRecipe, "dpo": DPORecipe, "rlvr": RLVRRecipe}


def read_recipe(
    name: str | Path, stage: Stage, settings: Mapping[str, str] | None = None
) -> Recipe:
    """The recipe of a TOML file, or of a bundled one by its name.

    Args:
        name: path of a .toml file, or the name of one in trainers/recipes.
        stage: which stage it must be for.
        settings: `--set` pairs, by dotted key.

    Raises:
        OlmesError: the file is missing or not TOML; a key is unknown, a value of the wrong type, a
            size of the mixture a bare number; or the recipe is for another stage.
    """
    path = find_recipe(str(name))
    table = tables.override(tables.read_toml(path), settings or {})
    if any(part in table for part in STAGES):
        raise OlmesError(f"{path} describes a chain; run it with 'olmes train chain {name}'.")
    said = table.pop("stage", stage)
    if said != stage:
        raise OlmesError(f"{path} is a recipe for {said}; run it with 'olmes train {said} {name}'.")
    return make_recipe(stage, table, str(path))


def make_recipe(stage: Stage, table: Mapping[str, Any], where: str) -> Recipe:
    """A recipe out of the tables of a file; relative files are found from where it lies.

    Raises:
        OlmesError: as `read_recipe`.
    """
    recipe = tables.build(KINDS[stage](), table, where)
    recipe = check_recipe(recipe, where)
    folder = Path(where).parent
    named = {near(folder, name): source for name, source in recipe.data.items()}
    return dataclasses.replace(
        recipe,
        data=named,
        template=near(folder, recipe.template),
        scoring=dataclasses.replace(
            recipe.scoring,
            suite=near(folder, recipe.scoring.suite),
            tasks=tuple(near(folder, task) for task in recipe.scoring.tasks),
        ),
        gate=dataclasses.replace(recipe.gate, policy=near(folder, recipe.gate.policy)),
        name=recipe.name or Path(where).stem,
    )


def near(folder: Path, name: str) -> str:
    """A file's path from the folder of the recipe; other names stay as they are."""
    if not name.endswith(FILES) or Path(name).is_absolute():
        return name
    return str((folder / name).resolve())


def check_recipe(recipe: Recipe, where: str) -> Recipe:
    """The recipe, when its values go together.

    Raises:
        OlmesError: there is no data or a source has no size; or the numbers do not fit.
    """
    if not recipe.data:
        raise OlmesError(f"{where}: there is no data; add [data] with a name and its size.")
    for name, source in recipe.data.items():
        if source.fraction is None and source.count is None and source.weight is None:
            raise OlmesError(f"{where}: 'data.{name}' has no size; {DataSource.HINT}.")
        if source.weight is not None and recipe.rows is None:
            raise OlmesError(f"{where}: 'data.{name}' has a weight; say of how many `rows`.")
    optimization, hardware = recipe.optimization, recipe.hardware
    device_batch = optimization.micro_batch_size * hardware.processes
    if device_batch < 1 or optimization.batch_size % device_batch:
        raise OlmesError(
            f"{where}: optimization.batch_size ({optimization.batch_size}) must be a multiple of "
            f"micro_batch_size x processes ({device_batch})."
        )
    if isinstance(recipe, RLVRRecipe) and recipe.algorithm == "grpo":
        group = recipe.generations
        if group < 2 or optimization.batch_size % group:
            raise OlmesError(
                f"{where}: optimization.batch_size ({optimization.batch_size}) must be a multiple "
                f"of generations ({group}), which must be 2 or more."
            )
    return recipe


def find_recipe(name: str) -> Path:
    """The file of a recipe: the path itself, or a bundled one.

    Raises:
        OlmesError: there is neither.
    """
    if name.endswith(".toml") or Path(name).is_file():
        return Path(name)
    bundled = bundled_recipes()
    if name in bundled:
        return bundled[name]
    raise OlmesError(
        f"there is no recipe '{name}'; give a .toml file, or one of {', '.join(sorted(bundled))}."
    )


def bundled_recipes() -> dict[str, Path]:
    """The files of trainers/recipes by name."""
    return {path.stem: path for path in (Path(__file__).parent / "recipes").glob("*.toml")}


def to_json(recipe: Recipe) -> dict[str, Any]:
    """Every field, resolved, and the stage; of [ppo] what the recipe gives."""
    fields = {"stage": recipe.stage, **dataclasses.asdict(recipe)}
    if isinstance(recipe, RLVRRecipe):
        fields["ppo"] = recipe.ppo.to_json()
    return fields


def recipe_hash(recipe: Recipe) -> str:
    """16 hex digits over what the trained weights depend on.

    Left out are the name, the path of the model (its content is compared apart), how checkpoints
    are kept, scored and gated, and how often is logged.
    """
    kept = to_json(recipe)
    for name in ("name", "model", "checkpoints", "scoring", "gate", "log_every"):
        del kept[name]
    return content_hash(kept)[:16]
