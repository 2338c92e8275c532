"""The `[trl]` table of a recipe: further settings of TRL's own configuration, checked by its types.

What a recipe has a key for is set there alone, so that one thing is written in one place.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Any

from olmes.errors import OlmesError
from olmes.models.checkpoint.loading import first_line
from olmes.tools.near_names import nearest
from olmes.trainers.on_trl.arguments import arguments, trl
from olmes.trainers.recipes.stages import DPORecipe, Recipe, RewardRecipe, RLVRRecipe, SFTRecipe

RECIPE_KEYS: Mapping[str, str] = {
    "output_dir": "--out",
    "learning_rate": "optimization.learning_rate",
    "lr_scheduler_type": "optimization.schedule",
    "warmup_steps": "optimization.warmup_ratio",
    "warmup_ratio": "optimization.warmup_ratio",
    "num_train_epochs": "optimization.epochs",
    "max_steps": "optimization.max_steps",
    "per_device_train_batch_size": "optimization.micro_batch_size",
    "per_device_eval_batch_size": "optimization.micro_batch_size",
    "gradient_accumulation_steps": "optimization.batch_size",
    "weight_decay": "optimization.weight_decay",
    "adam_epsilon": "optimization.adam_epsilon",
    "max_grad_norm": "optimization.max_grad_norm",
    "seed": "seed",
    "data_seed": "seed",
    "logging_steps": "log_every",
    "logging_strategy": "log_every",
    "save_strategy": "checkpoints.every",
    "save_steps": "checkpoints.every",
    "save_total_limit": "checkpoints.keep",
    "gradient_checkpointing": "hardware.gradient_checkpointing",
    "activation_checkpointing": "hardware.gradient_checkpointing",
    "bf16": "hardware.precision",
    "fp16": "hardware.precision",
    "use_cpu": "hardware.device",
    "ddp_timeout": "hardware.wait_minutes",
    "deepspeed": "hardware.strategy",
    "fsdp": "hardware.strategy",
    "fsdp_config": "hardware.strategy",
    "dataset_num_proc": "hardware.data_processes",
    "report_to": "report_to",
    "run_name": "name",
    "do_eval": "validation.data",
    "eval_strategy": "validation.every",
    "eval_steps": "validation.every",
    "max_length": "max_length",
    "packing": "packing",
    "chat_template_path": "template",
    "eos_token": "template",
    "pad_token": "template",
    "beta": "beta",
    "num_generations": "generations",
    "max_completion_length": "max_completion_length",
    "temperature": "temperature",
    "num_iterations": "updates_per_batch",
    "epsilon": "clip",
    "use_vllm": "vllm",
    "vllm_mode": "vllm",
}
"""Settings of TRL that a recipe has a key for, and the key."""
DPO_KEYS: Mapping[str, str] = {"loss_type": "loss"}
"""As `RECIPE_KEYS`, of DPO alone."""
FIXED: Mapping[str, str] = {
    "assistant_only_loss": "the loss is on what the assistant says, by the template's marks",
    "completion_only_loss": "the loss is on what the assistant says, by the template's marks",
    "auto_find_batch_size": "the batch is the recipe's; make optimization.micro_batch_size smaller",
    "dataset_kwargs": "rows are read and tokenized by olmes",
    "dataset_text_field": "rows are read and tokenized by olmes",
    "remove_unused_columns": "rows are read and tokenized by olmes",
    "model_init_kwargs": "the model is loaded by olmes; hardware.attention names its attention",
    "trust_remote_code": "no code of a checkpoint is run",
    "load_best_model_at_end": "scores come after the fact; best.json names the best checkpoint",
    "precompute_ref_log_probs": "the reference's log-probabilities are kept in the cache",
    "push_to_hub": "nothing is uploaded",
    "resume_from_checkpoint": "the same command resumes",
    "save_only_model": "a checkpoint holds what is needed to resume",
    "disable_tqdm": "the log is shown instead",
}
"""Settings that a training cannot have otherwise, and why."""
WORDS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "rlvr": {
        "loss_type": (
            "grpo", "dr_grpo", "dapo", "bnpo", "cispo", "sapo", "luspo", "vespo",
        ),
        "importance_sampling_level": ("token", "sequence"),
        "scale_rewards": ("group", "batch", "none"),
        "multi_objective_aggregation": ("sum_then_normalize", "normalize_then_sum"),
    },
    "sft": {"loss_type": ("nll", "dft")},
    "dpo": {
        "f_divergence_type": ("reverse_kl", "forward_kl", "js_divergence", "alpha_divergence"),
    },
}  # fmt: skip
"""Of settings that TRL types as any text, those it knows; it would say so only in the first update."""


def trl_config(recipe: Recipe, out: Path) -> Any:
    """TRL's configuration of a stage: what the recipe says, and its [trl] table.

    Args:
        recipe: of a stage that TRL trains.
        out: the stage's folder.

    Raises:
        OlmesError: as `check_table`, or TRL refuses the settings.
    """
    check_table(recipe)
    given = {name: converted(recipe, name) for name in recipe.trl}
    with told_by_trl():
        return config_class(recipe)(**{**arguments(recipe, out), **settings(recipe), **given})


def check_table(recipe: Recipe) -> None:
    """Refuse a [trl] table by its names and types, before anything is loaded.

    Raises:
        OlmesError: a setting is unknown, of another type, or the recipe's own; or PPO trains, which
            is not TRL's.
    """
    if not recipe.trl:
        return
    if isinstance(recipe, RLVRRecipe) and recipe.algorithm == "ppo":
        raise OlmesError(
            "PPO is not TRL's, so [trl] says nothing to it; its settings are in [ppo]."
        )
    known = {field.name for field in dataclasses.fields(config_class(recipe)) if field.init}
    for name in recipe.trl:
        if key := recipe_key(recipe, name):
            raise OlmesError(f"'trl.{name}' has a key of its own in a recipe: {key}; set it there.")
        if name in FIXED:
            raise OlmesError(f"'trl.{name}' cannot be set: {FIXED[name]}; remove it.")
        if name not in known:
            close = nearest(name, known)
            hint = f"did you mean {close}?" if close else "see TRL's documentation."
            raise OlmesError(f"TRL's {config_class(recipe).__name__} has no '{name}'; {hint}")
        converted(recipe, name)


def recipe_key(recipe: Recipe, name: str) -> str:
    """The recipe's key for a setting of TRL; '' where it has none."""
    if isinstance(recipe, DPORecipe) and name in DPO_KEYS:
        return DPO_KEYS[name]
    key = RECIPE_KEYS.get(name, "")
    top = key.split(".")[0]
    return key if key.startswith("--") or hasattr(recipe, top) else ""


def converted(recipe: Recipe, name: str) -> Any:
    """A value of the table as TRL's own field wants it.

    Raises:
        OlmesError: it is of another type, or a word that TRL does not know.
    """
    import msgspec

    value = recipe.trl[name]
    kind = typing.get_type_hints(config_class(recipe))[name]
    if value == "none" and type(None) in typing.get_args(kind) and str not in typing.get_args(kind):
        return None  # TOML has no null
    words = WORDS.get(recipe.stage, {}).get(name)
    if words and value not in words:
        raise OlmesError(f"'trl.{name}' must be one of {', '.join(words)}, not {value!r}.")
    try:
        return msgspec.convert(value, type=plain(kind))
    except msgspec.ValidationError as error:
        shown = kind.__name__ if isinstance(kind, type) else str(kind)
        raise OlmesError(
            f"'trl.{name}' is {value!r}, and TRL wants {shown} ({first_line(error)}); change it."
        ) from None


def plain(kind: Any) -> Any:
    """A type without the enumerations that stand beside `str` for the words it may be."""
    if typing.get_origin(kind) not in (typing.Union, types.UnionType):
        return kind
    kept = [
        one
        for one in typing.get_args(kind)
        if not (isinstance(one, type) and issubclass(one, Enum))
    ]
    return typing.Union[tuple(kept)]  # noqa: UP007 (of types that are known at run time)


def config_class(recipe: Recipe) -> Any:
    """TRL's configuration of a stage.

    Raises:
        TypeError: TRL does not train it.
    """
    match recipe:
        case SFTRecipe():
            return trl().SFTConfig
        case DPORecipe():
            return trl().DPOConfig
        case RewardRecipe():
            return trl().RewardConfig
        case RLVRRecipe():
            return trl().GRPOConfig
    raise TypeError(f"TRL has no configuration of a {type(recipe).__name__}")


def settings(recipe: Recipe) -> dict[str, Any]:
    """What a stage's configuration has beside that of all stages, as the recipe says it."""
    match recipe:
        case SFTRecipe():
            return {
                "max_length": recipe.max_length,
                "packing": recipe.packing,
                "packing_strategy": "bfd",
                # They are cut and packed, once and not by each process.
                "dataset_kwargs": {"skip_prepare_dataset": True},
            }
        case DPORecipe():
            return {
                "loss_type": [recipe.loss],
                "beta": recipe.beta,
                "max_length": recipe.max_length,
                "precompute_ref_log_probs": True,
            }
        case RewardRecipe():
            return {"max_length": recipe.max_length}
        case RLVRRecipe():
            return {
                "beta": recipe.beta,
                "num_generations": recipe.generations,
                "max_completion_length": recipe.max_completion_length,
                "temperature": recipe.temperature,
                "num_iterations": recipe.updates_per_batch,
                "epsilon": recipe.clip,
                "use_vllm": recipe.vllm != "off",
                "vllm_mode": recipe.vllm if recipe.vllm != "off" else "colocate",
                "num_generations_eval": 1,
            }
    raise TypeError(f"TRL has no configuration of a {type(recipe).__name__}")


@contextmanager
def told_by_trl() -> Iterator[None]:
    """Settings that TRL or transformers refuse become one sentence, theirs.

    Raises:
        OlmesError: they refuse them.
    """
    try:
        yield
    except (ValueError, NotImplementedError, ImportError) as error:
        if not from_trl(error):
            raise
        text = " ".join(str(error).split()).rstrip(".")
        raise OlmesError(f"TRL refuses the settings: {text}.") from error


def from_trl(error: BaseException) -> bool:
    """Whether an error was raised in the libraries that train, on what they were given."""
    import inspect

    frames = inspect.getinnerframes(error.__traceback__) if error.__traceback__ else []
    raised = Path(frames[-1].filename).parts if frames else ()
    return any(name in raised for name in ("trl", "transformers", "peft", "accelerate"))
