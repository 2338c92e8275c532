"""The lineage of checkpoints that no hook scores: what their data have in common stands there too."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from olmes.models.checkpoint.lineage import LINEAGE_FILE
from olmes.trainers.together.processes import is_first


class TellLineage(TrainerCallback):  # type: ignore[misc]
    """Writes `lineage.json` into each checkpoint that has none.

    Args:
        write: writes it into a folder, of a checkpoint at a step.
    """

    def __init__(self, write: Callable[[Path, int], None]) -> None:
        self.write = write

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """After the hook, which writes it too."""
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        if is_first() and folder.is_dir() and not (folder / LINEAGE_FILE).exists():
            with contextlib.suppress(
                OSError
            ):  # what cannot be written to is trained on all the same
                self.write(folder, state.global_step)
