"""Direct preference optimization on TRL, length-normalized as in Tülu 3 (section 5).

    loss = -log sigmoid(beta * (r(chosen) - r(rejected)))
    r(y) = (log pi(y|x) - log ref(y|x)) / |y|

with |y| the completion's tokens, its end of sequence included. TRL calls it `sigmoid_norm`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from olmes.errors import OlmesError
from olmes.trainers.data.mixture import making_of
from olmes.trainers.data.tokenized import tokenized_pairs
from olmes.trainers.last_state import run_trainer
from olmes.trainers.on_trl.arguments import adapter, load_model, trainer_base
from olmes.trainers.on_trl.precision import saving_in
from olmes.trainers.on_trl.reference import with_reference
from olmes.trainers.on_trl.table import trl_config
from olmes.trainers.recipes.stages import DPORecipe
from olmes.trainers.stage import Prepared, callbacks
from olmes.trainers.templates.odd import odd_lines


def train_dpo(prepared: Prepared[DPORecipe]) -> Path:
    """Train and return the folder of the last state.

    Raises:
        OlmesError: the template refuses too many pairs, or no prompt leaves room for an answer.
    """
    return run_trainer(build_dpo(prepared), prepared)


def build_dpo(prepared: Prepared[DPORecipe]) -> Any:
    """TRL's trainer for a recipe, with the reference's log-probabilities computed or remembered.

    Raises:
        OlmesError: the template refuses too many pairs, or no prompt leaves room for an answer.
    """
    recipe = prepared.recipe
    config = trl_config(recipe, prepared.out)
    return saving_in(trainer_class(prepared), prepared.precision)(
        model=load_model(prepared),
        args=config,
        train_dataset=prepared.mixture.rows,
        eval_dataset=prepared.validation.rows if prepared.validation else None,
        processing_class=prepared.tokenizer,
        peft_config=adapter(recipe),
        callbacks=callbacks(prepared),
    )


def trainer_class(prepared: Prepared[DPORecipe]) -> Any:
    """`DPOTrainer` that remembers reference log-probabilities and logs what its loss sees."""
    base = trainer_base("DPOTrainer")

    class RememberingTrainer(base):  # type: ignore[misc, valid-type]
        """`DPOTrainer` with a cache by content and length-normalized metrics."""

        def _prepare_dataset(
            self,
            dataset: Any,
            processing_class: Any,
            args: Any,
            dataset_name: str,  # noqa: ARG002
        ) -> Any:
            """The pairs as tokens: once in each cache, and not by every process in turn."""
            making = making_of(prepared.recipe, prepared.say)
            template = prepared.template
            pairs = tokenized_pairs(dataset, processing_class, template, args.max_length, making)
            for line in odd_lines(pairs.notes, len(dataset), "pairs"):
                prepared.say(line)
            if not len(pairs.rows):
                raise OlmesError(
                    f"the prompt of every pair fills max_length ({args.max_length} tokens); raise it."
                )
            if full := pairs.notes["pairs"]["full"]:
                prepared.say(f"{full} pairs left out: their prompt fills {args.max_length} tokens")
            return pairs.rows

        def _precompute_ref_logps(self, dataset: Any, name: str, batch_size: int) -> Any:  # noqa: ARG002
            return with_reference(self, prepared, dataset, batch_size)

        def _compute_loss(self, model: Any, inputs: Any, return_outputs: bool) -> Any:
            seen: list[Any] = []

            def watched(**given: Any) -> Any:
                outputs = model(**given)
                seen.append(outputs)
                return outputs

            result = super()._compute_loss(watched, inputs, return_outputs)
            margins = normalized_margins(seen[0].log_probs.detach(), inputs, self.beta)
            margins = self.accelerator.gather(margins)
            found = self._metrics["train" if self.model.training else "eval"]
            found["normalized_margin"].append(margins.mean().item())
            found["normalized_accuracy"].append((margins > 0).float().mean().item())
            return result

    return RememberingTrainer


def normalized_margins(log_probs: Any, inputs: Any, beta: float) -> Any:
    """What the length-normalized loss takes the sigmoid of.

    TRL's own `rewards/margins` are sums over tokens even when its loss divides by the length.

    Args:
        log_probs: (2B, T-1), of each token given those before it; 0 outside completions. Chosen
            ones first.
        inputs: `completion_mask` (2B, T), `ref_chosen_logps` (B), `ref_rejected_logps` (B).
        beta: strength of the tie to the reference.

    Returns:
        (B,) margins.
    """
    width = inputs["completion_mask"].size(1) - 1
    chosen, rejected = log_probs[:, -width:].sum(1).chunk(2)
    lengths = inputs["completion_mask"].sum(1).clamp(min=1).chunk(2)
    return beta * (
        (chosen - inputs["ref_chosen_logps"]) / lengths[0]
        - (rejected - inputs["ref_rejected_logps"]) / lengths[1]
    )
