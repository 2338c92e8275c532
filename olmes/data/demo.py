"""The built-in sample: a few dozen items a task, written for this project in its schema."""

from __future__ import annotations

import sys
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from olmes.benchmark.task import Task
from olmes.data.files import rows
from olmes.types import Doc

BUNDLED = "olmes.tasks"


def find(task: Task) -> Traversable | None:
    """The sample's file: `samples/NAME.jsonl` of the bundled tasks or beside the task's module."""
    module = type(task).__module__
    folder: Traversable | None
    if module.startswith(f"{BUNDLED}."):
        folder = resources.files(BUNDLED)
    elif task.reference.endswith(".py"):
        folder = Path(task.reference).parent
    else:
        file = getattr(sys.modules.get(module), "__file__", None)
        folder = Path(file).parent if file else None
    if folder is None:
        return None
    sample = folder / "samples" / f"{task.sample or task.name}.jsonl"
    return sample if sample.is_file() else None


def load(sample: Traversable) -> list[Doc]:
    """The sample's rows, as they are written.

    Raises:
        OlmesError: the file does not parse.
    """
    with resources.as_file(sample) as path:
        return rows(path)
