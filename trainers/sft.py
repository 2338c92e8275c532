"""Supervised fine-tuning on TRL: loss on what the assistant says, summed over tokens."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

from olmes.errors import OlmesError
from olmes.trainers.data.training_rows import SFTRow
from olmes.trainers.last_state import run_trainer
from olmes.trainers.precision import saving_in
from olmes.trainers.recipes.stages import SFTRecipe
from olmes.trainers.stage import Prepared, callbacks
from olmes.trainers.templates.pairs import IGNORED, check_labels, encode
from olmes.trainers.trl_arguments import adapter, load_model, trl
from olmes.trainers.trl_table import trl_config
from olmes.trainers.validation import measuring_tokens

CHECKED = 32
"""Chats whose labels are decoded and compared with what the assistant says, before any training."""


class LabelledRow(TypedDict):
    """A chat as tokens, and which of them are learned."""

    input_ids: list[int]
    labels: list[int]
    length: int


def train_sft(prepared: Prepared[SFTRecipe]) -> Path:
    """Train and return the folder of the last state.

    Raises:
        OlmesError: there is no training template, or its marks are wrong.
    """
    return run_trainer(build_sft(prepared), prepared)


def build_sft(prepared: Prepared[SFTRecipe]) -> Any:
    """TRL's trainer for a recipe, ready to train.

    Raises:
        OlmesError: as `train_sft`.
    """
    recipe = prepared.recipe
    rows = labelled(prepared)
    validation = prepared.for_validation
    config = trl_config(recipe, prepared.out)
    kind = trainer_class(recipe.loss_reduction)
    kind = measuring_tokens(kind) if validation else kind
    return saving_in(kind, prepared.precision)(
        model=load_model(prepared),
        args=config,
        train_dataset=rows,
        eval_dataset=labelled(validation) if validation else None,
        processing_class=prepared.tokenizer,
        peft_config=adapter(recipe),
        callbacks=callbacks(prepared),
    )


def labelled(prepared: Prepared[SFTRecipe]) -> Any:
    """The mixture as `input_ids` and `labels`.

    They are made here and not by TRL, so that a checkpoint keeps the plain template, and so that
    what is trained on is decoded and checked first.

    Raises:
        OlmesError: there is no training template, its marks are wrong, or nothing fits `max_length`.
    """
    recipe, tokenizer = prepared.recipe, prepared.tokenizer
    template = prepared.template.training
    if not template:
        raise OlmesError(
            f"the template '{recipe.template}' does not mark what the assistant says; choose "
            "'tulu', or put NAME.training.jinja with {% generation %} marks into its folder."
        )

    def encoded(row: SFTRow) -> LabelledRow:
        ids, labels = encode(tokenizer, row["messages"], template)
        return {"input_ids": ids, "labels": labels, "length": len(ids)}

    chats = prepared.mixture.rows
    rows = chats.map(encoded, remove_columns=chats.column_names)
    for index in range(min(CHECKED, len(rows))):
        check_labels(tokenizer, chats[index]["messages"], rows[index]["labels"])
    cut = sum(length > recipe.max_length for length in rows["length"])
    if cut:
        prepared.say(f"{cut} of {len(rows)} chats are cut at {recipe.max_length} tokens")
    if not any(label != IGNORED for row in rows for label in row["labels"][: recipe.max_length]):
        raise OlmesError(
            f"no answer begins within max_length ({recipe.max_length} tokens); raise it."
        )
    return rows.remove_columns("length")


def trainer_class(reduction: str) -> Any:
    """TRL's trainer, or its subclass that sums.

    TRL divides the loss of an update by the number N of its trained tokens, over all accumulation
    steps A and devices W. Tülu 3's code sums within a device's micro-batch; accumulation and devices
    are then averaged by accelerate, so that the gradient is the sum over all N tokens divided by
    A x W: N / (A W) times TRL's. Within an update every token weighs alike in both. Between updates
    they differ: an update with more trained tokens moves Adam's averages more when summed.
    """
    base = trl().SFTTrainer
    if reduction == "mean":
        return base

    class SummingTrainer(base):  # type: ignore[misc, valid-type]
        """`SFTTrainer` whose loss is summed over tokens."""

        def compute_loss(
            self,
            model: Any,
            inputs: Mapping[str, Any],
            return_outputs: bool = False,
            num_items_in_batch: Any = None,
        ) -> Any:
            """The sum over trained tokens, over A x W; the mean when evaluating."""
            divisor = None
            if num_items_in_batch is not None and self.model.training:
                # TRL multiplies by W when tokens are counted over devices, and DDP divides by it.
                devices = self.accelerator.num_processes
                counted = devices if self.args.average_tokens_across_devices else 1
                divisor = self.args.gradient_accumulation_steps * counted
                num_items_in_batch = divisor
            result = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
            if divisor is not None:
                loss = result[0] if return_outputs else result
                tokens = (inputs["labels"][..., 1:] != IGNORED).sum().clamp(min=1)
                per_token = loss.detach() * divisor / counted / tokens
                self._metrics["train"]["loss_per_token"].append(per_token.item())
            return result

    return SummingTrainer
