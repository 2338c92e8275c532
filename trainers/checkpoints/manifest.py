"""What a scoring process must know of a training, besides its queue: `training.json`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

from olmes.errors import OlmesError
from olmes.tools.jsonl import dumps, write_atomically

Keep = Literal["best", "all", "none"]
KEEPS: tuple[Keep, ...] = ("best", "all", "none")
FILE = "training.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """A training whose checkpoints are scored."""

    name: str
    """Under which looks at held-out tasks are counted, and its records are named."""
    output_dir: str
    """Where the trainer writes, absolute."""
    cwd: str
    """Where it was started: a base model may be named relative to it."""
    retries: int = 2
    """How often a scoring that raised an error is tried again."""
    retry_delay: float = 10.0
    """Seconds before the first of them; twice as many before each further one."""
    keep: Keep = "best"
    """Which checkpoints keep their staged files once they are scored."""
    push: str = ""
    """Address of the results server that shows the scoring live and gets the records."""

    def write(self, folder: Path) -> None:
        """Write it into the training's folder."""
        write_atomically(folder / FILE, dumps({"schema": 1, **asdict(self)}) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Training:
        """What was written.

        Raises:
            OlmesError: nothing was, so the folder is not one of a training.
        """
        try:
            data = json.loads((folder / FILE).read_text("utf-8"))
            # Written before there was a server to push to, it has no `push`.
            return cls(**{key.name: data[key.name] for key in fields(cls) if key.name in data})
        except (OSError, ValueError, KeyError, TypeError):
            raise OlmesError(
                f"{folder} is not the folder of a training; give OUT/checkpoints/NAME, which a "
                "checkpoint hook or `olmes watch` writes."
            ) from None
