"""The reference of DPO: what it makes of every pair, read once and remembered by content."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from olmes.tools import jsonl
from olmes.tools.cache_folder import cache_folder
from olmes.tools.hashing import content_hash
from olmes.trainers.recipes.stages import DPORecipe
from olmes.trainers.stage import Prepared
from olmes.trainers.starting_model import fingerprint
from olmes.trainers.together.processes import at_work_on, is_first, meet, told

LOGPS = ("ref_chosen_logps", "ref_rejected_logps")
Logps = dict[str, list[float]]
"""The reference's log-probabilities of all rows, by the names TRL gives them."""


def with_reference(
    trainer: Any, prepared: Prepared[DPORecipe], dataset: Any, batch_size: int
) -> Any:
    """The pairs with the reference's log-probabilities of either answer.

    Args:
        trainer: TRL's, in every process.
        prepared: the stage.
        dataset: the tokenized pairs.
        batch_size: pairs that the reference reads at once.
    """
    from datasets import Dataset, concatenate_datasets

    precision = "bfloat16" if trainer.args.bf16 else "float32"

    def remembered() -> tuple[Path, Logps | None]:
        length = prepared.recipe.max_length
        file = reference_file(fingerprint(prepared.model), dataset, length, precision)
        return file, read_logps(file)

    # Told, not looked up by each: what only some remember would part them for ever.
    file, found = told("what is remembered of the reference", remembered)
    if found is not None:
        prepared.say("the reference's log-probabilities are remembered")
    else:
        prepared.say(f"the reference reads {len(dataset)} pairs, once ...")
        found = reference_pass(trainer, dataset, batch_size)
        if is_first():
            rows = zip(*found.values(), strict=True)
            jsonl.write(file, [dict(zip(found, row, strict=True)) for row in rows])
        meet("the reference's log-probabilities are written")
    columns: Any = found
    return concatenate_datasets([dataset, Dataset.from_dict(columns)], axis=1)


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


def reference_pass(trainer: Any, dataset: Any, batch_size: int) -> Logps:
    """Log-probabilities of every row, in order, in every process; each reads a share."""
    from torch.utils.data import DataLoader

    loader = trainer.accelerator.prepare(
        DataLoader(
            dataset, batch_size=batch_size, collate_fn=trainer.data_collator,
            num_workers=trainer.args.dataloader_num_workers,
            pin_memory=trainer.args.dataloader_pin_memory,
        )
    )  # fmt: skip
    model = trainer.ref_model or trainer.model
    if trainer.ref_model is None and trainer.is_deepspeed_enabled:
        # The parameters lie cut or on the processor until an engine holds them.
        from trl.models.utils import prepare_deepspeed

        if trainer._precompute_engine is None:
            trainer._precompute_engine = prepare_deepspeed(trainer.model, trainer.accelerator)
        model = trainer._precompute_engine
    found: Logps = {name: [] for name in LOGPS}
    for number, batch in enumerate(loader):
        at_work_on(f"the reference, batch {number + 1} of {len(loader)}")
        both = trainer.accelerator.gather_for_metrics(trainer.compute_ref_log_probs(model, batch))
        for name, values in zip(LOGPS, both, strict=True):
            found[name] += values.float().tolist()
    return found
