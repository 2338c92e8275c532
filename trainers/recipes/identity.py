"""What of a recipe decides what is learned, as JSON and as a hash.

Every key is one of three: what is learned depends on it (`LEARNED`), or on what lies behind it
(`BY_CONTENT`: data, model and template, wherever they lie), or it does not (`FREE`, each with the
reason). A stopped training resumes when the first two are as they were;
`trainers/resuming.py` compares.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from olmes.models.chat.templates import FOLDER as TEMPLATES
from olmes.models.checkpoint.fingerprint import cached_sha256
from olmes.tools.hashing import content_hash
from olmes.trainers.ppo.config import LEARNED as LEARNED_BY_PPO
from olmes.trainers.ppo.settings import ppo_config
from olmes.trainers.recipes.stages import Recipe, RLVRRecipe
from olmes.trainers.recipes.tables import DataSource
from olmes.trainers.templates.pairs import TRAINING

LEARNED = frozenset(
    {
        "seed", "max_length", "lora", "trl", "packing", "loss_reduction", "loss", "beta", "algorithm",
        "generations", "temperature", "max_prompt_length", "max_completion_length",
        "updates_per_batch", "clip", "missing_end_reward", "reward_scale", "reward_metrics",
        "held_out_constraints", "vllm", "ppo", "reward_functions", "judge", "dynamic_sampling",
        "most_draws",
        "optimization.learning_rate", "optimization.schedule", "optimization.schedule_steps",
        "optimization.warmup_ratio",
        "optimization.epochs", "optimization.max_steps", "optimization.batch_size",
        "optimization.weight_decay", "optimization.adam_epsilon", "optimization.max_grad_norm",
    }
)  # fmt: skip
"""Keys of recipes, a table standing for all of its keys. Of [ppo] `PPOConfig` says the same."""
BY_CONTENT: Mapping[str, str] = {
    "model": "its files' content",
    "template": "its text",
    "data": "the rows that come of it",
    "rows": "the rows that come of it",
    "hardware.precision": "what `auto` comes to on the machine",
}
"""Keys that stand for something else, and what of that counts."""
FREE: Mapping[str, str] = {
    "name": "names a folder",
    "checkpoints": "what is kept on disk",
    "scoring": "looks on",
    "gate": "comes after the training",
    "validation": "looks on",
    "decontamination": "looks on; what it refuses is never learned from",
    "report_to": "looks on",
    "project": "names what trackers show it under",
    "callbacks": "are the user's own; one that changes the training is the user's to keep",
    "log_every": "looks on",
    "optimization.micro_batch_size": "memory; the update is that of the whole batch",
    "hardware.device": "rounding",
    "hardware.gradient_checkpointing": "memory; the same numbers are computed twice",
    "hardware.attention": "speed and memory; the same sums in another order",
    "hardware.processes": "speed; the batch is that of all of them",
    "hardware.machines": "speed",
    "hardware.strategy": "memory",
    "hardware.data_processes": "speed",
    "hardware.wait_minutes": "patience",
}
"""Keys that a stopped training may change, and what they are about."""
FREE_OF_TRL = (
    "dataloader_", "dataset_num_proc", "vllm_gpu_memory_utilization", "vllm_tensor_parallel_size",
    "vllm_server_", "vllm_group_port", "vllm_enable_sleep_mode", "vllm_max_model_length",
    "log_", "logging_", "torch_compile", "torch_empty_cache_steps", "use_liger_kernel",
    "gradient_checkpointing_kwargs", "activation_offloading", "ddp_", "fsdp", "deepspeed", "run_name",
    "eval_", "per_device_eval_batch_size", "trackio_", "num_completions_to_print",
)  # fmt: skip
"""Beginnings of those names in [trl] that are about speed, memory or looking on."""
Settings: TypeAlias = dict[str, Any]
"""By dotted key, what of a recipe is learned from."""


def to_json(recipe: Recipe) -> dict[str, Any]:
    """Every field, resolved, and the stage; of [ppo] what the recipe gives."""
    fields = {"stage": recipe.stage, **dataclasses.asdict(recipe)}
    if isinstance(recipe, RLVRRecipe):
        fields["ppo"] = recipe.ppo.to_json()
    return fields


def recipe_hash(recipe: Recipe) -> str:
    """16 hex digits over what the trained weights depend on, as far as a recipe alone shows it.

    Files are in it by their content, not their path. The model is not: it is compared apart, and a
    chain fills it in. Nor are the rows of a hub data set, which only reading it shows.
    """
    return content_hash([settings(recipe), sources(recipe), template_files(recipe)])[:16]


def role_of(key: str) -> str:
    """The set a dotted key is in: "learned", "by content" or "free".

    Raises:
        KeyError: it is in none.
    """
    whole = key.split(".", maxsplit=1)[0]
    for name in (key, whole):
        for role, keys in (("learned", LEARNED), ("by content", BY_CONTENT), ("free", FREE)):
            if name in keys:
                return role
    raise KeyError(f"trainers/recipes/identity.py does not say whether '{key}' is learned from")


def keys_of(recipe: Recipe) -> dict[str, Any]:
    """Every key of a recipe and its value; of `optimization` and `hardware` each by itself."""
    found: dict[str, Any] = {}
    for field in dataclasses.fields(recipe):
        value = getattr(recipe, field.name)
        if field.name in ("optimization", "hardware"):
            found |= {f"{field.name}.{name}": inner for name, inner in vars(value).items()}
        else:
            found[field.name] = value
    return found


def settings(recipe: Recipe) -> Settings:
    """The keys that are learned from, and their values.

    A key that this training does not look at is left out, and what [ppo] overrules has the value that
    it comes to.
    """
    found = {key: value for key, value in keys_of(recipe).items() if role_of(key) == "learned"}
    found["stage"] = recipe.stage
    if recipe.optimization.max_steps is not None:
        del found["optimization.epochs"]
    found["lora"] = None if recipe.lora is None else dataclasses.asdict(recipe.lora)
    found["trl"] = {
        name: value for name, value in recipe.trl.items() if not name.startswith(FREE_OF_TRL)
    }
    if isinstance(recipe, RLVRRecipe):
        found["vllm"] = recipe.vllm != "off"  # where it runs is speed
        found["reward_metrics"] = dict(recipe.reward_metrics)
        if functions := found.get("reward_functions"):
            # Wherever their files lie, whose content is compared apart.
            found["reward_functions"] = {Path(name).name: how for name, how in functions.items()}
        found["held_out_constraints"] = sorted(recipe.held_out_constraints)
        del found["ppo"]
        if recipe.algorithm == "ppo":
            by_ppo = ppo_settings(recipe)
            for name in by_ppo:  # which [optimization] says as well
                found.pop(f"optimization.{name}", None)
            found |= by_ppo
    return {key: plain(value) for key, value in sorted(found.items())}


def ppo_settings(recipe: RLVRRecipe) -> Settings:
    """What PPO learns from of a recipe: `PPOConfig` by its own names, whichever table said it."""
    config = dataclasses.asdict(ppo_config(recipe, rows=1))
    # What "auto" comes to is compared apart; updates that follow from the rows, with the rows.
    found = {name: config[name] for name in LEARNED_BY_PPO - {"mixed_precision", "updates"}}
    return found | {
        "ppo.updates": recipe.ppo.updates,
        "asynchronous": bool(recipe.ppo.asynchronous),
    }


def plain(value: Any) -> Any:
    """A setting as JSON has it, one number written one way."""
    if isinstance(value, Mapping):
        return {str(name): plain(inner) for name, inner in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain(dataclasses.asdict(value))
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def sources(recipe: Recipe) -> list[dict[str, Any]]:
    """Each source of the mixture in order: its file's content or its name, and how much is drawn."""
    return [source_of(name, source) for name, source in recipe.data.items()] + (
        [{"rows": recipe.rows}] if recipe.rows is not None else []
    )


def source_of(name: str, source: DataSource) -> dict[str, Any]:
    """One source of a mixture, as `recipe.json` keeps it to find a changed one."""
    drawn = {
        field.name: plain(value)
        for field in dataclasses.fields(source)
        if (value := getattr(source, field.name)) != field.default
    }
    file = data_file(name)
    return {"named": name, **drawn} if file is None else {"content": cached_sha256(file), **drawn}


def data_file(name: str) -> Path | None:
    """The file that a source of data is, if it is one that lies here."""
    path = Path(name).expanduser()
    if path.is_file():
        return path
    bundled = Path(__file__).parents[1] / "data" / f"{name}.jsonl"
    return bundled if "/" not in name and bundled.is_file() else None


def template_files(recipe: Recipe) -> list[str]:
    """The content of the template's files; of the model's own nothing, which is the model's."""
    name = recipe.template
    file = Path(name) if name.endswith(".jinja") else TEMPLATES / f"{name}.jinja"
    twin = f"{file.name.removesuffix('.jinja')}.training.jinja"
    # Of the templates that olmes brings, the training templates lie with the trainers.
    training = (TRAINING if file.parent == TEMPLATES else file.parent) / twin
    return [cached_sha256(one) for one in (file, training) if one.is_file()]
