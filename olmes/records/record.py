"""A record on disk: a folder with `run.json` and one file of samples a task (docs/record.md)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import msgspec

from olmes.errors import OlmesError
from olmes.records.check import FieldError, NewerSchemaError, run_record
from olmes.records.ledger_results import recorded_hash
from olmes.records.schema import ResponseRow, RunRecord, TaskResult
from olmes.tools import json_text, jsonl
from olmes.tools.hashing import file_sha256
from olmes.types import JsonObject

RUN_FILE = "run.json"
VERDICT = ("subtask", "doc_id", "doc_hash", "prompt_hash", "repeat", "cluster", "values")
"""What `Record.verdicts` keeps of a row."""


def record_folders(place: Path) -> list[Path]:
    """The folders of the records in a store, by name; a record's own folder is one itself."""
    if (place / RUN_FILE).exists():
        return [place]
    return [path.parent for path in sorted(place.glob(f"*/{RUN_FILE}"))]


def records_in(place: Path) -> list[Record]:
    """The record in a folder, or the records in the folders below it, by name.

    Raises:
        OlmesError: there is none, or one cannot be read.
    """
    if place.is_file():
        return [Record.load(place)]
    found = [Record.load(folder) for folder in record_folders(place)]
    if not found:
        raise OlmesError(f"{place} holds no record ({RUN_FILE}); check the path.")
    return found


def readable_records(store: Path) -> tuple[list[Record], dict[Path, OlmesError]]:
    """The records of a store, and by its folder why one cannot be read."""
    found: list[Record] = []
    unreadable: dict[Path, OlmesError] = {}
    for folder in record_folders(store):
        try:
            found.append(Record.load(folder))
        except OlmesError as error:
            unreadable[folder] = error
    return found, unreadable


def says_held_out(folder: Path) -> bool:
    """Whether a `run.json` that is not a record any more still says that it was a look."""
    try:
        data = json.loads((folder / RUN_FILE).read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(data, dict) and data.get("held_out") is not None


class Record:
    """What a run left on disk: `run` is `run.json`; samples are read when asked for."""

    def __init__(self, folder: Path, run: RunRecord) -> None:
        self.folder = folder
        self.run = run
        self._whole: dict[str, bool] = {}
        """Whether a sealed file has the hash in the record, once it was asked."""

    @classmethod
    def load(cls, folder: Path | str) -> Record:
        """The record in a folder.

        Raises:
            OlmesError: there is none, or it was written by a newer olmes.
        """
        folder = Path(folder)
        path = folder / RUN_FILE if folder.is_dir() else folder
        try:
            data = json_text.parse(path.read_text("utf-8"), any_number=True)
            return cls(path.parent, run_record(data))
        except FileNotFoundError:
            raise OlmesError(f"{folder} holds no record ({RUN_FILE}); check the path.") from None
        except OSError as error:
            raise OlmesError(f"{path} cannot be read ({error}).") from None
        except NewerSchemaError as error:
            raise OlmesError(f"{path}: {error}; update olmes.") from None
        except FieldError as error:
            raise OlmesError(f"{path} is not a record ({error}); run again to write it.") from None
        except ValueError as error:
            raise OlmesError(f"{path} is not a record ({error}); run again to write it.") from None

    @property
    def id(self) -> str:
        """The run's name, which is its folder's."""
        return self.run.id

    @property
    def store(self) -> Path:
        """The folder with the ledger of the runs beside it."""
        return self.folder.resolve().parent

    @property
    def complete(self) -> bool:
        """Whether every request was answered and every response scored."""
        return self.run.complete

    @property
    def tasks(self) -> dict[str, TaskResult]:
        """Numbers and origins by task name."""
        return self.run.tasks

    @property
    def altered(self) -> str:
        """That `run.json` is not what the ledger beside it was told, in a sentence; '' where it is.

        For runs of held-out tasks alone; others are in no ledger.
        """
        folder = self.folder.resolve()
        told = recorded_hash(folder.parent, self.run.id, folder.name)
        path = folder / RUN_FILE
        if not told or not path.is_file() or file_sha256(path) == told:
            return ""
        return f"{self.id} was changed after it was written; see `olmes ledger`"

    def to_json(self) -> JsonObject:
        """`run.json` as a JSON object of today's schema."""
        return dict(msgspec.to_builtins(self.run))

    def value(self, task: str, metric: str | None = None) -> float:
        """A task's metric, the primary one unless another is named.

        Raises:
            OlmesError: the run has no such task or metric, or the metric has no value.
        """
        result = self.tasks.get(task)
        score = result.metrics.get(metric or result.primary) if result else None
        if score is None or score.value is None:
            raise OlmesError(
                f"{self.id} has no number for {task} {metric or ''}".rstrip()
                + f"; it has {', '.join(self.tasks)}."
            )
        return score.value

    def samples_path(self, task: str) -> Path:
        """Where a task's samples are, or would be once they are unsealed.

        Raises:
            OlmesError: the record names a place outside its own folder.
        """
        return self._inside(self.tasks[task].samples)

    def _inside(self, place: str) -> Path:
        """A file of the record's own folder.

        Raises:
            OlmesError: the record names a place outside its own folder.
        """
        path = (self.folder / place).resolve()
        if not path.is_relative_to(self.folder.resolve()):
            raise OlmesError(
                f"{self.folder}/{RUN_FILE} names {path}, outside its folder; do not use it."
            )
        return path

    def sealed(self, task: str) -> bool:
        """Whether a task's samples are under seal; gated ones are never opened."""
        if task in self.run.gated:
            return True
        return task in self.run.sealed and not self.samples_path(task).is_file()

    def has_samples(self, task: str) -> bool:
        """Whether a task's samples are there to be read."""
        return not self.sealed(task) and self.samples_path(task).is_file()

    def can_be_paired(self, task: str) -> bool:
        """Whether a task's items can be held against another run's: its samples are there.

        Under seal they serve a difference all the same, which is a score (`verdicts_to_compare`), as
        long as they are those the record speaks of.
        """
        if not self.sealed(task):
            return self.samples_path(task).is_file()
        if task not in self._whole:
            sealed = self.run.sealed[task]
            place = self._inside(sealed.file)
            self._whole[task] = place.is_file() and file_sha256(place) == sealed.sha256
        return self._whole[task]

    def samples(self, task: str) -> Iterator[ResponseRow]:
        """The rows of a task's samples file, one a response.

        Raises:
            OlmesError: the samples are under seal, or the file is missing, or the record names one
                outside its own folder.
        """
        yield from jsonl.read(self.opened(task))

    def verdicts(self, task: str) -> Iterator[ResponseRow]:
        """The same rows reduced to what statistics need, without the texts.

        Raises:
            OlmesError: as `samples`.
        """
        yield from reduced(self.opened(task))

    def verdicts_to_compare(self, task: str) -> Iterator[ResponseRow]:
        """The same, of a task under seal too: for the difference of two runs and nothing else.

        A difference is a score, and scores are shown; a row of these is a sample, and is not.

        Raises:
            OlmesError: the file is missing or cannot be read.
        """
        sealed = self.run.sealed[task].file if self.sealed(task) else None
        yield from reduced(self._inside(sealed) if sealed else self.samples_path(task))

    def opened(self, task: str) -> Path:
        """The samples file of a task that is not under seal.

        Raises:
            OlmesError: the samples are under seal.
        """
        if task in self.run.gated:
            raise OlmesError(
                f"the samples of {task} in {self.folder} are of gated items and stay packed; "
                f"`gunzip -c {self._inside(self.run.gated[task].file)}` reads them on this machine."
            )
        if self.sealed(task):
            raise OlmesError(
                f"the samples of {task} in {self.folder} are under seal; to open them is a look: "
                f'`olmes unseal {self.folder} --reason "..."`.'
            )
        return self.samples_path(task)


def reduced(path: Path) -> Iterator[ResponseRow]:
    """The rows of a samples file with what statistics need, without the texts."""
    return map(verdict_row, jsonl.scan(path))


def verdict_row(row: Mapping[str, Any]) -> ResponseRow:
    """A row of a samples file with what statistics need, without the texts."""
    kept: Any = {name: row.get(name) for name in VERDICT}
    return cast(ResponseRow, kept)
