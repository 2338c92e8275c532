"""The precision of the files that a training writes: its starting model's, while weights are float32.

A checkpoint's model is what is scored and used. What an exact resume needs beside it, the float32
weights, lies in a folder of the checkpoint, which neither scoring nor staging reads.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from olmes.tools.jsonl import write_atomically
from olmes.trainers.recipes.tables import Checkpoints

Precision = Literal["float32", "bfloat16", "float16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
WHOLE = "float32"
"""Folder of a checkpoint with its float32 weights, where its model's files are of another precision."""


def file_precision(checkpoints: Checkpoints, start: Path) -> Precision:
    """The precision that checkpoints are saved in.

    Args:
        checkpoints: of a recipe.
        start: folder of the model that training starts from; one that names no precision, or one
            that is not for training (8-bit floats), counts as float32.
    """
    if checkpoints.precision != "model":
        return checkpoints.precision
    values = json.loads((start / "config.json").read_text("utf-8"))
    inner = values.get("text_config")
    for table in (values, inner if isinstance(inner, Mapping) else {}):
        named = str(table.get("dtype") or table.get("torch_dtype") or "").removeprefix("torch.")
        for precision in PRECISIONS:
            if named == precision:
                return precision
    return "float32"


def save_model(
    model: Any, folder: Path, precision: Precision, state: Mapping[str, Any] | None = None
) -> None:
    """`save_pretrained` in a precision, which config.json then names.

    Args:
        model: of transformers, in float32.
        folder: where its files go.
        precision: of the tensors that are floats; those that the architecture keeps in float32 stay.
        state: its weights, where they are put together from shards.
    """
    if precision == "float32":
        model.save_pretrained(folder, state_dict=state)
        return
    weights = model.state_dict() if state is None else state
    model.save_pretrained(folder, state_dict=rounded(weights, precision, kept_whole(model)))
    name_precision(folder / "config.json", precision)


def kept_whole(model: Any) -> frozenset[str]:
    """The modules of a model whose tensors are float32 in whatever precision it is loaded."""
    return frozenset(getattr(model, "_keep_in_fp32_modules_strict", None) or ())


def rounded(
    weights: Mapping[str, Any], precision: Precision, kept: frozenset[str]
) -> dict[str, Any]:
    """Weights in a precision, on the processor; what shares memory (tied weights) still does.

    Args:
        weights: tensors by name.
        precision: of those that are floats.
        kept: modules whose tensors stay as they are.
    """
    import torch

    kind = getattr(torch, precision)
    made: dict[tuple[int, Any, Any], Any] = {}
    found = {}
    for name, tensor in weights.items():
        key = (tensor.data_ptr(), tensor.shape, tensor.stride())
        if key not in made or not tensor.numel():
            wanted = tensor.is_floating_point() and not kept & set(name.split("."))
            made[key] = tensor.detach().to("cpu", kind if wanted else tensor.dtype)
        found[name] = made[key]
    return found


def name_precision(config: Path, precision: Precision) -> None:
    """Have a config.json, and those of the model's parts within it, name a precision."""
    values = json.loads(config.read_text("utf-8"))
    for table in (values, *(part for part in values.values() if isinstance(part, dict))):
        for key in ("dtype", "torch_dtype"):
            if table.get(key) is not None:
                table[key] = precision
    write_atomically(config, json.dumps(values, indent=2, sort_keys=True) + "\n")


def saving_in(trainer: Any, precision: Precision) -> Any:
    """A trainer class whose checkpoints are of a precision, and which resumes from float32.

    Args:
        trainer: of transformers or TRL.
        precision: of the files of a model whose weights are all trained. Adapters stay float32: they
            are small, and merged into their base in the base's precision.
    """
    if precision == "float32":
        return trainer

    class SavingTrainer(trainer):  # type: ignore[misc]
        """The trainer, with `_save` and `_load_from_checkpoint` of transformers' in two precisions."""

        def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
            model = self.accelerator.unwrap_model(self.model)
            if not self.args.should_save or hasattr(model, "peft_config"):
                super()._save(output_dir, state_dict)
                return
            folder = Path(output_dir or self.args.output_dir)
            sharded = self.is_fsdp_enabled or self.is_deepspeed_enabled
            if sharded or not folder.name.startswith("checkpoint-"):
                # Shards have files of their own to resume from, in float32.
                weights = model.state_dict() if state_dict is None else state_dict
                super()._save(output_dir, rounded(weights, precision, kept_whole(model)))
                name_precision(folder / "config.json", precision)
                return
            super()._save(output_dir, state_dict)
            (folder / WHOLE).mkdir(exist_ok=True)
            for file in folder.glob("model*.safetensors*"):
                file.replace(folder / WHOLE / file.name)
            save_model(model, folder, precision, state_dict)

        def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
            whole = Path(resume_from_checkpoint) / WHOLE
            super()._load_from_checkpoint(
                str(whole if whole.is_dir() else resume_from_checkpoint), model
            )

    return SavingTrainer
