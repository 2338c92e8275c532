"""Reads the record of a run. Pages are made from records alone: an old one stays readable when its
task is gone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olmes import jsonl
from olmes.errors import OlmesError

SCHEMA = 1

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run folder: `run.json` in memory, the samples read when they are asked for."""

    folder: Path
    run: Json

    @property
    def tasks(self) -> dict[str, Json]:
        """The tasks of the run by name, in the order they were run."""
        tasks: dict[str, Json] = self.run["tasks"]
        return tasks

    def samples(self, task: str) -> Iterator[Json]:
        """The rows of a task, one a response, in the order of the file.

        Raises:
            OlmesError: the file is missing, lies outside the run's folder or is not JSON lines.
        """
        name = self.tasks[task].get("samples") or f"samples/{task}.jsonl"
        path = (self.folder / name).resolve()
        if not path.is_relative_to(self.folder.resolve()):
            raise OlmesError(
                f"{self.folder / 'run.json'} names samples outside its folder ({name}); "
                "mend the path or run again."
            )
        return jsonl.read(path)


def read_run(folder: Path) -> RunRecord:
    """The record in `folder`.

    Raises:
        OlmesError: there is no record, it is not JSON, or a later version wrote it.
    """
    path = folder / "run.json"
    if not path.is_file():
        raise OlmesError(f"{folder} holds no run.json; give the folder of a run.")
    try:
        run = json.loads(jsonl.read_text(path))
    except ValueError as error:
        raise OlmesError(f"{path} is not JSON ({error}); run again to write it anew.") from None
    schema = run.get("schema") if isinstance(run, dict) else None
    if schema != SCHEMA:
        raise OlmesError(
            f"{path} has schema {schema!r}, and this olmes reads schema {SCHEMA}; "
            "use the olmes that wrote it."
        )
    return RunRecord(folder, run)
