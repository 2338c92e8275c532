"""Demo data: a few dozen items a task, written for this project in the benchmark's schema."""

from __future__ import annotations

import sys
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from olmes.benchmark.task import Task
from olmes.data.files import rows
from olmes.data.places import task_folder
from olmes.types import Doc

BUNDLED = "olmes.tasks"


def find(task: Task, kind: str = "") -> Traversable | None:
    """The task's demo data: `demo/NAME.jsonl` of the bundled tasks or beside the task's module.

    `kind` is what stands behind the name: `-exemplars` for those of the exemplars.
    """
    module = type(task).__module__
    folder: Traversable | None
    if module.startswith(f"{BUNDLED}."):
        folder = resources.files(BUNDLED)
    elif (folder := task_folder(task)) is None:
        source = getattr(sys.modules.get(module), "__file__", None)
        folder = Path(source).parent if source else None
    if folder is None:
        return None
    # Tasks of other packages may have them where they were first looked for.
    name = f"{task.demo_data or getattr(task, 'sample', '') or type(task).name}{kind}.jsonl"
    files = (folder / place / name for place in ("demo", "samples"))
    return next((file for file in files if file.is_file()), None)


def load(file: Traversable) -> list[Doc]:
    """The rows of demo data, as they are written.

    Raises:
        OlmesError: the file does not parse.
    """
    with resources.as_file(file) as path:
        return rows(path)
