"""Supervised fine-tuning on TRL: loss on what the assistant says, summed over tokens."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from olmes.errors import OlmesError
from olmes.trainers.data.labelled_chats import labelled_chats
from olmes.trainers.data.mixture import Mixture, making_of
from olmes.trainers.last_state import run_trainer
from olmes.trainers.on_trl.arguments import adapter, load_model, trainer_base
from olmes.trainers.on_trl.precision import saving_in
from olmes.trainers.on_trl.table import trl_config
from olmes.trainers.on_trl.validation import measuring_tokens
from olmes.trainers.recipes.stages import SFTRecipe
from olmes.trainers.stage import Prepared, callbacks
from olmes.trainers.templates.labels import IGNORED
from olmes.trainers.templates.lesson import lesson
from olmes.trainers.templates.odd import odd_lines


def train_sft(prepared: Prepared[SFTRecipe]) -> Path:
    """Train and return the folder of the last state.

    Raises:
        OlmesError: as `labelled`.
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
    kind = trainer_class(recipe.loss_reduction, prepared.micro_batches)
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


def labelled(prepared: Prepared[SFTRecipe], mixture: Mixture | None = None) -> Any:
    """A mixture, the stage's own without another, as `input_ids` and `labels`, on disk.

    They are made here and not by TRL, so that a checkpoint keeps the plain template, so that what is
    trained on is told, and so that it is done once and not in every process.

    Raises:
        OlmesError: the marks of the training template are wrong, the template refuses too
            many chats or puts nothing behind an answer that could end it, or nothing fits `max_length`.
    """
    recipe, tokenizer, template = prepared.recipe, prepared.tokenizer, prepared.template
    if mixture is None:
        for line in lesson(tokenizer, template, recipe.template):
            prepared.say(line)
    chats = (mixture or prepared.mixture).rows
    found = labelled_chats(
        chats, tokenizer, template, recipe.max_length, recipe.packing,
        making_of(recipe, prepared.say),
    )  # fmt: skip
    for line in odd_lines(found.notes, len(chats), "chats"):
        prepared.say(line)
    counts = found.notes["chats"]
    if counts["cut"]:
        prepared.say(f"{counts['cut']} of {len(chats)} chats are cut at {recipe.max_length} tokens")
    if counts["empty"] == len(chats):
        raise OlmesError(
            f"no answer begins within max_length ({recipe.max_length} tokens); raise it."
        )
    if counts["empty"]:
        prepared.say(
            f"of {counts['empty']} of {len(chats)} chats nothing is learned: no answer is left"
        )
    return found.rows


def trainer_class(reduction: str, micro_batches: int) -> Any:
    """TRL's trainer, or its subclass that sums.

    TRL divides the loss of an update by the number N of its trained tokens, over all accumulation
    steps A and devices W. Tülu 3's code sums within a device's micro-batch; accumulation and devices
    are then averaged by accelerate, so that the gradient is the sum over all N tokens divided by
    A x W: N / (A W) times TRL's. Within an update every token weighs alike in both. Between updates
    they differ: an update with more trained tokens moves Adam's averages more when summed.

    Args:
        reduction: "sum" or "mean".
        micro_batches: A x W when the training began: a training that goes on in smaller micro-batches
            keeps the scale of its gradients, which Adam's averages have.
    """
    base = trainer_base("SFTTrainer")
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
                divisor = micro_batches * counted / devices
                num_items_in_batch = divisor
            result = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
            if divisor is not None:
                loss = result[0] if return_outputs else result
                tokens = (inputs["labels"][..., 1:] != IGNORED).sum().clamp(min=1)
                per_token = loss.detach() * divisor / counted / tokens
                self._metrics["train"]["loss_per_token"].append(per_token.item())
            return result

    return SummingTrainer
