"""Supervised fine-tuning on TRL: loss on what the assistant says, summed over tokens."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from olmes.errors import OlmesError
from olmes.trainers.data.chats import row_tools, whole_chat
from olmes.trainers.last_state import run_trainer
from olmes.trainers.recipes.stages import SFTRecipe
from olmes.trainers.stage import Prepared, callbacks
from olmes.trainers.templates.encoding import label_chats, odd_chats
from olmes.trainers.templates.labels import IGNORED
from olmes.trainers.templates.lesson import lesson
from olmes.trainers.trl_arguments import adapter, arguments, load_model, trl


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
    config = trl().SFTConfig(
        **arguments(prepared),
        max_length=recipe.max_length,
        packing=recipe.packing,
        packing_strategy="bfd",
    )
    return trainer_class(recipe.loss_reduction)(
        model=load_model(prepared),
        args=config,
        train_dataset=rows,
        processing_class=prepared.tokenizer,
        peft_config=adapter(recipe),
        callbacks=callbacks(prepared),
    )


def labelled(prepared: Prepared[SFTRecipe]) -> Any:
    """The mixture as `input_ids` and `labels`.

    They are made here and not by TRL, so that a checkpoint keeps the plain template, and so that
    what is trained on is told.

    Raises:
        OlmesError: the marks of the training template are wrong, the template takes none of the
            chats or puts nothing behind an answer that could end it, or nothing fits `max_length`.
    """
    recipe, tokenizer, template = prepared.recipe, prepared.tokenizer, prepared.template
    for line in lesson(tokenizer, template, recipe.template):
        prepared.say(line)

    def encoded(rows: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        each = [
            {"messages": turns, "more": more}
            for turns, more in zip(rows["messages"], rows["more"], strict=True)
        ]
        chats = [whole_chat(row, "messages") for row in each]
        found = label_chats(tokenizer, chats, template, [row_tools(row) for row in each])
        return {
            "input_ids": [one.ids for one in found],
            "labels": [one.labels for one in found],
            "note": [one.note for one in found],
        }

    chats = prepared.mixture.rows
    rows = chats.map(encoded, batched=True, remove_columns=chats.column_names)
    for line in odd_chats(rows["note"]):
        prepared.say(line)
    rows = rows.filter(len, input_columns="input_ids")
    if not len(rows):
        raise OlmesError(
            f"the template '{recipe.template}' takes none of the chats; choose another ('tulu')."
        )
    cut = sum(len(ids) > recipe.max_length for ids in rows["input_ids"])
    if cut:
        prepared.say(f"{cut} of {len(rows)} chats are cut at {recipe.max_length} tokens")
    if not any(label != IGNORED for row in rows for label in row["labels"][: recipe.max_length]):
        raise OlmesError(
            f"no answer begins within max_length ({recipe.max_length} tokens); raise it."
        )
    return rows.remove_columns("note")


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
