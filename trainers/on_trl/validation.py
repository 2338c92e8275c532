"""Validation: rows that are never learned from, whose loss is measured during a training.

It is a curve of the training, not a score: a mixture's own loss, or for GRPO its reward at the
training's temperature. What a model is worth is measured by suites.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from transformers import TrainerCallback

from olmes.trainers.data.mixture import Mixture, Say, load_mixture
from olmes.trainers.recipes.stages import Recipe
from olmes.trainers.templates.labels import IGNORED


def load_validation(recipe: Recipe, *, say: Say) -> Mixture | None:
    """The rows of a recipe's [validation]; None where it has none.

    Raises:
        OlmesError: as `load_mixture`.
    """
    data = recipe.validation.data
    if not data:
        return None
    for name in sorted(data.keys() & recipe.data.keys()):
        say(f"validation: {name} is trained on too, so that its loss says little of new rows")
    return load_mixture(
        dataclasses.replace(recipe, data=data), say=lambda line: say(f"validation {line}")
    )


class MeasureAtEnd(TrainerCallback):  # type: ignore[misc]
    """Has the last update measured too, as it has a checkpoint too."""

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:  # noqa: ARG002
        """Ask for a measurement after the last update."""
        if state.global_step >= state.max_steps:
            control.should_evaluate = True
        return control


def measuring_tokens(trainer: Any) -> Any:
    """An `SFTTrainer` class whose validation loss is the mean over all trained tokens.

    That of transformers is the mean of the batches' means, in which a token of a short chat weighs
    more, and which depends on how rows fall into batches.
    """

    class MeasuringTrainer(trainer):  # type: ignore[misc]
        """The trainer, with sums of loss and tokens over a validation."""

        summed = 0.0
        tokens = 0.0

        def compute_loss(
            self,
            model: Any,
            inputs: Any,
            return_outputs: bool = False,
            num_items_in_batch: Any = None,
        ) -> Any:
            """The trainer's own; when evaluating, it is added up."""
            result = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
            if not self.model.training:
                loss = result[0] if return_outputs else result
                tokens = (inputs["labels"][..., 1:] != IGNORED).sum()
                self.summed = self.summed + loss.detach().double() * tokens
                self.tokens = self.tokens + tokens.double()
            return result

        def evaluation_loop(
            self, *args: Any, metric_key_prefix: str = "eval", **kwargs: Any
        ) -> Any:
            """The trainer's own, with the loss over tokens."""
            import torch

            self.summed = self.tokens = torch.zeros(
                (), device=self.args.device, dtype=torch.float64
            )
            found = super().evaluation_loop(*args, metric_key_prefix=metric_key_prefix, **kwargs)
            totals = self.accelerator.reduce(torch.stack([self.summed, self.tokens]), "sum")
            if totals[1]:
                found.metrics[f"{metric_key_prefix}_loss"] = (totals[0] / totals[1]).item()
            return found

    return MeasuringTrainer
