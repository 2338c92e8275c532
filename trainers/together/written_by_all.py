"""Checkpoints that several processes write into: known to be whole only when all have finished."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from olmes.tools.jsonl import dumps, write_atomically
from olmes.trainers.together.processes import at_work_on, is_first, meet, world_size

FILE = "processes.json"
"""In a checkpoint that all processes have finished: how many there were."""


class WrittenByAll(TrainerCallback):  # type: ignore[misc]
    """Has nobody go on before a checkpoint is whole, and says what this process is at.

    The trainer's own last file is the first process's, while others may still write the state of
    their random numbers: a checkpoint without it would be resumed from with other ones.
    """

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Have the others know which update this process is at."""
        at_work_on(f"update {state.global_step + 1} of {state.max_steps}")

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Meet, and note in the folder that all did."""
        if world_size() == 1:
            return
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        meet(f"{folder.name} is written")
        if is_first():
            write_atomically(folder / FILE, dumps({"processes": world_size()}) + "\n")
        meet(f"{folder.name} is whole")


def is_whole(folder: Path) -> bool:
    """Whether every process has finished a checkpoint."""
    states = len(list(folder.glob("rng_state_*.pth")))
    return not states or (folder / FILE).is_file() or states == world_size()
