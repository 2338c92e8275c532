"""What TRL and peft are given: a recipe in their own words."""

from __future__ import annotations

import os
from typing import Any

from olmes.errors import OlmesError
from olmes.trainers.recipes.stages import Recipe
from olmes.trainers.stage import Prepared
from olmes.trainers.templates.endings import name_ends

Argument = bool | int | float | str | None


def trl() -> Any:
    """TRL, imported when it is needed, because that takes seconds."""
    import trl as found

    return found


def load_model(prepared: Prepared[Recipe]) -> Any:
    """The weights in float32, as mixed precision wants them, on the processor."""
    import torch
    from transformers import AutoModelForCausalLM

    from olmes.models.checkpoint.folder import loading

    attention = prepared.recipe.hardware.attention
    options = {"attn_implementation": attention} if attention else {}
    with loading("weights", prepared.recipe.model):
        model = AutoModelForCausalLM.from_pretrained(
            prepared.model,
            dtype=torch.float32,
            local_files_only=True,
            trust_remote_code=False,
            **options,
        )
    name_ends(model, prepared.ends)
    return model


def arguments(prepared: Prepared[Recipe]) -> dict[str, Argument]:
    """What TRL's configurations of all stages are given.

    Raises:
        OlmesError: the batch does not divide among the processes that run.
    """
    recipe, step = prepared.recipe, prepared.recipe.optimization
    cpu = on_processor(recipe)
    precision = recipe.hardware.precision
    bfloat16 = precision == "bfloat16" or (precision == "auto" and not cpu and has_bfloat16())
    schedule: str = step.schedule
    if schedule == "constant" and step.warmup_ratio:
        schedule = "constant_with_warmup"
    return {
        "output_dir": str(prepared.out),
        "learning_rate": step.learning_rate,
        "lr_scheduler_type": schedule,
        # A number below 1 is a share of all steps.
        "warmup_steps": step.warmup_ratio,
        "num_train_epochs": step.epochs,
        "max_steps": step.max_steps or -1,
        "per_device_train_batch_size": step.micro_batch_size,
        "gradient_accumulation_steps": accumulation(recipe),
        "weight_decay": step.weight_decay,
        "adam_epsilon": step.adam_epsilon,
        "max_grad_norm": step.max_grad_norm or 0.0,
        "seed": recipe.seed,
        "data_seed": recipe.seed,
        "logging_steps": recipe.log_every,
        "logging_first_step": True,
        "save_strategy": "steps",
        "save_steps": recipe.checkpoints.every,
        "save_total_limit": recipe.checkpoints.keep,
        "gradient_checkpointing": recipe.hardware.gradient_checkpointing,
        "bf16": bfloat16,
        "use_cpu": cpu,
        "dataloader_pin_memory": not cpu,
        "disable_tqdm": True,
        "report_to": "none",
        "push_to_hub": False,
    }


def on_processor(recipe: Recipe) -> bool:
    """Whether the training runs on a CPU."""
    if recipe.hardware.device != "auto":
        return recipe.hardware.device == "cpu"
    import torch

    return not (torch.cuda.is_available() or torch.backends.mps.is_available())


def has_bfloat16() -> bool:
    """Whether the GPU computes in bfloat16."""
    import torch

    return bool(torch.cuda.is_available() and torch.cuda.is_bf16_supported())


def accumulation(recipe: Recipe) -> int:
    """Micro-batches a device sees for one update.

    Raises:
        OlmesError: the batch does not divide among the processes that run.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    step = recipe.optimization
    count, rest = divmod(step.batch_size, step.micro_batch_size * world)
    if rest or not count:
        raise OlmesError(
            f"optimization.batch_size ({step.batch_size}) does not divide among {world} processes "
            f"with micro-batches of {step.micro_batch_size}; change one of them."
        )
    return count


def adapter(recipe: Recipe) -> Any:
    """Peft's configuration of the adapters; None when all weights are trained.

    Raises:
        OlmesError: peft is not installed.
    """
    if recipe.lora is None:
        return None
    try:
        from peft import LoraConfig
    except ImportError:
        raise OlmesError("adapters need peft; run 'pip install olmes[train]'.") from None
    targets = list(recipe.lora.targets)
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=recipe.lora.rank,
        lora_alpha=recipe.lora.alpha,
        lora_dropout=recipe.lora.dropout,
        target_modules="all-linear" if targets == ["all-linear"] else targets,
    )
