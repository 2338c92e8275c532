"""What TRL and peft are given: a recipe in their own words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from olmes.errors import OlmesError
from olmes.trainers.recipes.stages import Recipe, RLVRRecipe
from olmes.trainers.templates.endings import name_ends
from olmes.trainers.together.placement import on_processor as on_processor
from olmes.trainers.together.processes import world_size

if TYPE_CHECKING:
    from olmes.trainers.stage import Prepared

Argument = bool | int | float | str | dict[str, Any] | None
ENGINES = ("zero2", "zero3")
"""Strategies that are DeepSpeed's."""


def trl() -> Any:
    """TRL, imported when it is needed, because that takes seconds."""
    import trl as found

    return found


def trainer_base(name: str) -> Any:
    """A trainer of TRL, which also cuts weights among processes that compute on processors.

    Accelerate cuts them on devices only and falls back to copies without a word; torch's FSDP does
    not mind.
    """
    base = getattr(trl(), name)

    class Base(base):  # type: ignore[misc, valid-type]
        def create_accelerator_and_postprocess(self) -> None:
            """Have accelerate take processors for devices while it decides."""
            from accelerate import PartialState
            from accelerate.utils import DistributedType

            kind = PartialState().distributed_type
            shared = PartialState._shared_state
            if self.args.fsdp and kind == DistributedType.MULTI_CPU:
                shared["distributed_type"] = DistributedType.MULTI_XPU
            super().create_accelerator_and_postprocess()
            if shared["distributed_type"] == DistributedType.MULTI_XPU:
                raise RuntimeError("accelerate has not cut the weights")

    Base.__name__ = Base.__qualname__ = name
    return Base


def load_model(prepared: Prepared[Recipe]) -> Any:
    """The weights in float32, as mixed precision wants them, on the processor.

    Raises:
        OlmesError: they cannot be loaded, or are of no causal language model.
    """
    import torch
    from transformers import AutoModelForCausalLM

    from olmes.models.checkpoint.architecture import check_architecture
    from olmes.models.checkpoint.folder import loading

    check_architecture(prepared.recipe.model, prepared.model)
    with loading("weights", prepared.recipe.model):
        model = AutoModelForCausalLM.from_pretrained(
            prepared.model,
            dtype=torch.float32,
            local_files_only=True,
            trust_remote_code=False,
            **loading_options(prepared.recipe),
        )
    name_ends(model, prepared.ends)
    return model


def loading_options(recipe: Recipe) -> dict[str, str]:
    """What a recipe says of how a model computes, for `from_pretrained`."""
    attention = recipe.hardware.attention
    return {"attn_implementation": attention} if attention else {}


def arguments(recipe: Recipe, out: Path) -> dict[str, Argument]:
    """What TRL's configurations of all stages are given; `out` is the stage's folder.

    Raises:
        OlmesError: the batch does not divide among the processes that run.
    """
    step = recipe.optimization
    cpu = on_processor(recipe)
    schedule: str = step.schedule
    if schedule == "constant" and step.warmup_ratio:
        schedule = "constant_with_warmup"
    return {
        "output_dir": str(out),
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
        "bf16": computes_in(recipe) == "bfloat16",
        "use_cpu": cpu,
        "dataloader_pin_memory": not cpu,
        "disable_tqdm": True,
        "report_to": "none",
        "push_to_hub": False,
        # A limit of the collectives' own, above the one under which somebody who is missing is named.
        "ddp_timeout": round(max(1800.0, 120 * recipe.hardware.wait_minutes)),
        **sharding(recipe),
        **measuring(recipe),
    }


def measuring(recipe: Recipe) -> dict[str, Argument]:
    """When the validation rows are measured; nothing where there are none."""
    if not recipe.validation.data:
        return {}
    return {
        "eval_strategy": "steps",
        "eval_steps": recipe.validation.every or recipe.checkpoints.every,
        "per_device_eval_batch_size": recipe.optimization.micro_batch_size,
    }


def sharding(recipe: Recipe) -> dict[str, Argument]:
    """How several processes share the weights; checkpoints are written whole by all of them.

    Raises:
        OlmesError: DeepSpeed is asked for and not installed.
    """
    check_strategy(recipe)
    strategy = recipe.hardware.strategy
    if world_size() == 1:
        return {}
    if strategy == "fsdp":
        how = {
            "version": 2,
            "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
            "reshard_after_forward": True,
            "state_dict_type": "FULL_STATE_DICT",
        }
        return {"fsdp": True, "fsdp_config": how}
    if strategy in ENGINES:
        auto = ("train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps")
        return {
            "deepspeed": {
                **dict.fromkeys((*auto, "gradient_clipping"), "auto"),
                "bf16": {"enabled": "auto"},
                "zero_optimization": {
                    "stage": int(strategy[-1]),
                    "stage3_gather_16bit_weights_on_model_save": True,
                },
            }
        }
    return {}


def check_strategy(recipe: Recipe) -> None:
    """Refuse a strategy whose library is missing.

    Raises:
        OlmesError: it is DeepSpeed's, which is not installed.
    """
    from importlib.util import find_spec

    strategy = recipe.hardware.strategy
    if recipe.hardware.processes > 1 and strategy in ENGINES and find_spec("deepspeed") is None:
        raise OlmesError(
            f'hardware.strategy = "{strategy}" needs DeepSpeed; run "pip install '
            '\'olmes[deepspeed]\'", or take "fsdp", which needs nothing more.'
        )


def computes_in(recipe: Recipe) -> str:
    """The precision of the forward passes on this machine: "float32" or "bfloat16"."""
    precision: str = recipe.hardware.precision
    if isinstance(recipe, RLVRRecipe) and recipe.algorithm == "ppo" and recipe.ppo.mixed_precision:
        precision = {"no": "float32", "bf16": "bfloat16"}.get(recipe.ppo.mixed_precision, "auto")
    if precision == "auto":
        return "bfloat16" if not on_processor(recipe) and has_bfloat16() else "float32"
    return precision


def has_bfloat16() -> bool:
    """Whether the GPU computes in bfloat16."""
    import torch

    return bool(torch.cuda.is_available() and torch.cuda.is_bf16_supported())


def accumulation(recipe: Recipe) -> int:
    """Micro-batches a device sees for one update.

    Raises:
        OlmesError: the batch does not divide among the processes that run.
    """
    world = world_size()
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
        task_type="SEQ_CLS" if recipe.stage == "reward" else "CAUSAL_LM",
        r=recipe.lora.rank,
        lora_alpha=recipe.lora.alpha,
        lora_dropout=recipe.lora.dropout,
        target_modules="all-linear" if targets == ["all-linear"] else targets,
    )
