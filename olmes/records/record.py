"""The record of a run: a folder with `run.json` and one file of samples a task (docs/record.md)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from olmes.errors import OlmesError
from olmes.tools import jsonl

Row = dict[str, Any]
"""A row of a samples file (docs/record.md)."""

SCHEMA = 1
NEEDED = frozenset(("id", "created", "complete", "model", "tasks"))
"""Without these a file is no record."""
VERDICT = ("subtask", "doc_id", "doc_hash", "prompt_hash", "repeat", "cluster", "values")
"""What `Record.verdicts` keeps of a row."""
VOLATILE = ("created", "environment", "timing", "cost", "olmes", "held_out")
"""Parts of `run.json` that differ between two runs with the same outcome."""


def records_in(place: Path) -> list[Record]:
    """The record in a folder, or the records in the folders below it, by name.

    Raises:
        OlmesError: there is none.
    """
    if (place / "run.json").exists() or place.is_file():
        return [Record.load(place)]
    found = [Record.load(path.parent) for path in sorted(place.glob("*/run.json"))]
    if not found:
        raise OlmesError(f"{place} holds no record (run.json); check the path.")
    return found


class Record:
    """What a run left on disk. `data` is `run.json`; samples are read when asked for."""

    def __init__(self, folder: Path, data: dict[str, Any]) -> None:
        self.folder = folder
        self.data = data

    @classmethod
    def load(cls, folder: Path | str) -> Record:
        """The record in a folder.

        Raises:
            OlmesError: there is none, or it was written by a newer olmes.
        """
        folder = Path(folder)
        path = folder / "run.json" if folder.is_dir() else folder
        try:
            data = json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            raise OlmesError(f"{folder} holds no record (run.json); check the path.") from None
        except ValueError as error:
            raise OlmesError(f"{path} is not a record ({error}); run again to write it.") from None
        lacking = sorted(NEEDED - data.keys()) if isinstance(data, dict) else ["every field"]
        if lacking:
            raise OlmesError(
                f"{path} is not a record (it lacks {lacking[0]}); run again to write it."
            )
        if data.get("schema", 0) > SCHEMA:
            raise OlmesError(
                f"{path} has schema {data['schema']}, newer than this olmes reads ({SCHEMA}); "
                "update olmes."
            )
        return cls(path.parent, data)

    @property
    def id(self) -> str:
        """The run's name, which is its folder's."""
        return str(self.data["id"])

    @property
    def complete(self) -> bool:
        """Whether every request was answered and every response scored."""
        return bool(self.data["complete"])

    @property
    def tasks(self) -> dict[str, dict[str, Any]]:
        """Numbers and origins by task name."""
        tasks: dict[str, dict[str, Any]] = self.data["tasks"]
        return tasks

    def value(self, task: str, metric: str | None = None) -> float:
        """A task's metric, the primary one unless another is named."""
        numbers = self.tasks[task]
        return float(numbers["metrics"][metric or numbers["primary"]]["value"])

    def samples_path(self, task: str) -> Path:
        """Where a task's samples are, or would be once they are unsealed.

        Raises:
            OlmesError: the record names a place outside its own folder.
        """
        path = (self.folder / str(self.tasks[task]["samples"])).resolve()
        if not path.is_relative_to(self.folder.resolve()):
            raise OlmesError(
                f"{self.folder}/run.json names {path}, outside its folder; do not use it."
            )
        return path

    def sealed(self, task: str) -> bool:
        """Whether a task's samples are under seal."""
        held = self.data.get("held_out")
        return bool(held and task in held["sealed"]) and not self.samples_path(task).exists()

    def samples(self, task: str) -> Iterator[Row]:
        """The rows of a task's samples file, one a response.

        Raises:
            OlmesError: the samples are under seal, or the file is missing, or the record names one
                outside its own folder.
        """
        yield from jsonl.read(self.opened(task))

    def verdicts(self, task: str) -> Iterator[Row]:
        """The same rows reduced to what statistics need, without the texts.

        Raises:
            OlmesError: as `samples`.
        """
        for row in jsonl.scan(self.opened(task)):
            yield {name: row.get(name) for name in VERDICT}

    def opened(self, task: str) -> Path:
        """The samples file of a task that is not under seal.

        Raises:
            OlmesError: the samples are under seal.
        """
        if self.sealed(task):
            raise OlmesError(
                f"the samples of {task} in {self.folder} are under seal; to open them is a look: "
                f'`olmes unseal {self.folder} --reason "..."`.'
            )
        return self.samples_path(task)

    def without_volatile(self) -> dict[str, Any]:
        """`run.json` without what differs between two runs with the same outcome."""
        return {key: value for key, value in self.data.items() if key not in VOLATILE}
