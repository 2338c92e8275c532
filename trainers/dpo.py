"""Direct preference optimization on TRL, length-normalized as in Tülu 3 (section 5).

    loss = -log sigmoid(beta * (r(chosen) - r(rejected)))
    r(y) = (log pi(y|x) - log ref(y|x)) / |y|

with |y| the completion's tokens, its end of sequence included. TRL calls it `sigmoid_norm`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from olmes.errors import OlmesError
from olmes.tools import jsonl
from olmes.tools.cache_folder import cache_folder
from olmes.tools.hashing import content_hash
from olmes.trainers.data.mixture import making_of
from olmes.trainers.data.tokenized import tokenized_pairs
from olmes.trainers.last_state import run_trainer
from olmes.trainers.processes import at_work_on, is_first, meet, told
from olmes.trainers.recipes.stages import DPORecipe
from olmes.trainers.stage import Prepared, callbacks
from olmes.trainers.starting_model import fingerprint
from olmes.trainers.trl_arguments import adapter, arguments, load_model, trainer_base, trl

LOGPS = ("ref_chosen_logps", "ref_rejected_logps")
Logps = dict[str, list[float]]
"""The reference's log-probabilities of all rows, by the names TRL gives them."""


def train_dpo(prepared: Prepared[DPORecipe]) -> Path:
    """Train and return the folder of the last state."""
    return run_trainer(build_dpo(prepared), prepared)


def build_dpo(prepared: Prepared[DPORecipe]) -> Any:
    """TRL's trainer for a recipe, with the reference's log-probabilities computed or remembered."""
    recipe = prepared.recipe
    config = trl().DPOConfig(
        **arguments(prepared),
        loss_type=[recipe.loss],
        beta=recipe.beta,
        max_length=recipe.max_length,
        precompute_ref_log_probs=True,
    )
    return trainer_class(prepared)(
        model=load_model(prepared),
        args=config,
        train_dataset=prepared.mixture.rows,
        processing_class=prepared.tokenizer,
        peft_config=adapter(recipe),
        callbacks=callbacks(prepared),
    )


def reference_file(model: str, rows: Any, max_length: int, precision: str) -> Path:
    """Where the reference's log-probabilities of these rows are remembered.

    Args:
        model: fingerprint of the reference: its content, not its path.
        rows: the tokenized pairs, in order: what template, tokenizer and data came to.
        max_length: tokens after which a pair was cut.
        precision: in which the reference computed.
    """
    tokens = ("prompt_ids", "chosen_ids", "rejected_ids")
    hashes = [content_hash([row[name] for name in tokens]) for row in rows.select_columns(tokens)]
    key = content_hash([model, hashes, max_length, precision])
    return cache_folder("reference-logps") / f"{key}.jsonl"


def read_logps(file: Path) -> Logps | None:
    """What was remembered; None for nothing."""
    if not file.is_file():
        return None
    rows = list(jsonl.read(file))
    return {name: [row[name] for row in rows] for name in LOGPS}


def trainer_class(prepared: Prepared[DPORecipe]) -> Any:
    """`DPOTrainer` that remembers reference log-probabilities and logs what its loss sees."""
    from datasets import Dataset, concatenate_datasets

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
            pairs = tokenized_pairs(dataset, processing_class, args.max_length, making)
            if not len(pairs.rows):
                raise OlmesError(
                    f"the prompt of every pair fills max_length ({args.max_length} tokens); raise it."
                )
            if full := pairs.notes["pairs"]["full"]:
                prepared.say(f"{full} pairs left out: their prompt fills {args.max_length} tokens")
            return pairs.rows

        def _precompute_ref_logps(self, dataset: Any, name: str, batch_size: int) -> Any:  # noqa: ARG002
            precision = "bfloat16" if self.args.bf16 else "float32"
            length = prepared.recipe.max_length

            def remembered() -> tuple[Path, Logps | None]:
                file = reference_file(fingerprint(prepared.model), dataset, length, precision)
                return file, read_logps(file)

            # Told, not looked up by each: what only some remember would part them for ever.
            file, found = told("what is remembered of the reference", remembered)
            if found is not None:
                prepared.say("the reference's log-probabilities are remembered")
            else:
                prepared.say(f"the reference reads {len(dataset)} pairs, once ...")
                found = self.reference_pass(dataset, batch_size)
                if is_first():
                    rows = zip(*found.values(), strict=True)
                    jsonl.write(file, [dict(zip(found, row, strict=True)) for row in rows])
                meet("the reference's log-probabilities are written")
            columns: Any = found
            return concatenate_datasets([dataset, Dataset.from_dict(columns)], axis=1)

        def reference_pass(self, dataset: Any, batch_size: int) -> Logps:
            """Log-probabilities of every row, in order, in every process; each reads a share."""
            from torch.utils.data import DataLoader

            loader = self.accelerator.prepare(
                DataLoader(
                    dataset, batch_size=batch_size, collate_fn=self.data_collator,
                    num_workers=self.args.dataloader_num_workers,
                    pin_memory=self.args.dataloader_pin_memory,
                )
            )  # fmt: skip
            model = self.ref_model or self.model
            if self.ref_model is None and self.is_deepspeed_enabled:
                # The parameters lie cut or on the processor until an engine holds them.
                from trl.models.utils import prepare_deepspeed

                held: Any = self
                if held._precompute_engine is None:
                    held._precompute_engine = prepare_deepspeed(self.model, self.accelerator)
                model = held._precompute_engine
            found: Logps = {name: [] for name in LOGPS}
            for number, batch in enumerate(loader):
                at_work_on(f"the reference, batch {number + 1} of {len(loader)}")
                both = self.accelerator.gather_for_metrics(self.compute_ref_log_probs(model, batch))
                for name, values in zip(LOGPS, both, strict=True):
                    found[name] += values.float().tolist()
            return found

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
