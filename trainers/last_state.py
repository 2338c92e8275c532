"""Training to the end: from the last complete checkpoint, to `final/` and `done.json`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from olmes.tools.jsonl import dumps, write_atomically
from olmes.trainers.checkpoints.folders import FINAL
from olmes.trainers.on_trl.arguments import load_model, sharding
from olmes.trainers.on_trl.precision import save_model
from olmes.trainers.recipes.stages import Recipe
from olmes.trainers.stage import Prepared, write_origin
from olmes.trainers.stage_folder import DONE
from olmes.trainers.together.processes import is_first, meet, told


def run_trainer(
    trainer: Any, prepared: Prepared[Recipe], load: Callable[[Any], Any] = load_model
) -> Path:
    """Train, from the last complete checkpoint if there is one, and write `final/`.

    Args:
        trainer: TRL's.
        prepared: the stage.
        load: gives the model that training began from, for adapters to be merged into.

    Returns:
        The folder of the last state, a plain checkpoint.
    """
    from transformers import PrinterCallback

    start = told("which checkpoint is resumed from", lambda: resumed_from(prepared.out))
    if start is not None:
        start = prepared.out / start.name
        prepared.say(f"resumes from {start.name}")
    # It prints every row of the log as it is; TrainLog shows the numbers that matter.
    trainer.remove_callback(PrinterCallback)
    # The trackers are among our own callbacks; TRL reads here where it may send texts.
    trainer.args.report_to = list(prepared.recipe.report_to)
    if steps := prepared.recipe.optimization.schedule_steps:
        schedule_over(trainer, steps)
    trainer.train(resume_from_checkpoint=str(start) if start else None)
    return write_final(trainer, prepared, load)


def resumed_from(out: Path) -> Path | None:
    """The newest checkpoint that every process has finished; None to begin."""
    from olmes.trainers.checkpoints.folders import last_complete
    from olmes.trainers.together.written_by_all import is_whole

    return last_complete(out, is_whole)


def schedule_over(trainer: Any, steps: int) -> None:
    """Have a trainer's learning rate follow the schedule of a training of so many updates."""
    create = trainer.create_scheduler

    def over_all(num_training_steps: int, optimizer: Any = None) -> Any:  # noqa: ARG001
        return create(steps, optimizer)

    trainer.create_scheduler = over_all


def write_final(trainer: Any, prepared: Prepared[Recipe], load: Callable[[Any], Any]) -> Path:
    """The trained model as a plain checkpoint; adapters are merged into their base."""
    partial = prepared.out / f".{FINAL}"
    if is_first():
        shutil.rmtree(partial, ignore_errors=True)
    meet("what an earlier end left is removed")
    if prepared.recipe.lora is None:
        trainer.save_model(str(partial))  # every process takes part where weights are sharded
    elif sharding(prepared.recipe):
        # What is cut cannot be merged by one process: the adapters are put together on the disk.
        adapters = prepared.out / f".{FINAL}-adapters"
        trainer.save_model(str(adapters))
        if is_first():
            merge_from(adapters, prepared, partial, load)
            shutil.rmtree(adapters)
    elif is_first():
        merged = trainer.accelerator.unwrap_model(trainer.model).merge_and_unload()
        save_model(merged, partial, prepared.precision)
        prepared.tokenizer.save_pretrained(partial)
    meet("the last weights are written")
    if is_first():
        settle(prepared, partial, trainer.state.global_step)
    meet(f"{FINAL} is written")
    return prepared.out / FINAL


def merge_from(
    adapters: Path, prepared: Prepared[Recipe], into: Path, load: Callable[[Any], Any]
) -> None:
    """Merge saved adapters into the model that training began from."""
    from peft import PeftModel

    merged = PeftModel.from_pretrained(load(prepared), str(adapters)).merge_and_unload()
    save_model(merged, into, prepared.precision)
    prepared.tokenizer.save_pretrained(into)


def finish(prepared: Prepared[Recipe], checkpoint: Path) -> Path:
    """The last checkpoint of a trainer that writes plain ones, as `final/`: linked, not copied."""
    told(f"{FINAL} is written", lambda: link_final(prepared, checkpoint))
    return prepared.out / FINAL


def link_final(prepared: Prepared[Recipe], checkpoint: Path) -> None:
    """What `finish` does, in the first process."""
    from olmes.trainers.checkpoints.folders import checkpoint_at, model_files

    partial = prepared.out / f".{FINAL}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    for file in model_files(checkpoint):
        os.link(file, partial / file.name)
    settle(prepared, partial, checkpoint_at(checkpoint).step or 0)


def settle(prepared: Prepared[Recipe], partial: Path, step: int) -> None:
    """Give the last state its lineage and its name, and say that the stage is done."""
    for name in ("training_args.bin", "trainer_state.json"):
        (partial / name).unlink(missing_ok=True)
    write_origin(partial, prepared, step)
    final = prepared.out / FINAL
    shutil.rmtree(final, ignore_errors=True)
    partial.rename(final)
    write_atomically(prepared.out / DONE, dumps({"hash": prepared.hash, "step": step}) + "\n")
