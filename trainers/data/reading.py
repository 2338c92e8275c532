"""Sources read into the rows of a stage, checked row by row, once, and kept on disk."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from olmes import __version__
from olmes.benchmark.registry import load_task
from olmes.errors import OlmesError
from olmes.rows.preferences import undecided
from olmes.rows.sources import BATCH_BYTES, BATCH_ROWS, Source
from olmes.tools.hashing import file_sha256
from olmes.trainers.data.bundled import recipe_source
from olmes.trainers.data.kept import Kept, kept
from olmes.trainers.data.pieces import Alive, Making, Notes, Task
from olmes.trainers.data.published_rlvr import NotExpressibleError
from olmes.trainers.data.training_rows import READERS, features, rewarded_constraints
from olmes.trainers.recipes.stages import Stage
from olmes.trainers.recipes.tables import DataSource

if TYPE_CHECKING:
    from datasets.arrow_writer import ArrowWriter

READER = 2
"""Another number where rows are read otherwise than before."""


@dataclass(frozen=True)
class Reading:
    """Reads a piece of a source into the rows of a stage."""

    source: Source
    stage: Stage
    held_out: frozenset[str]

    def __call__(self, piece: tuple[int, int], writer: ArrowWriter, alive: Alive) -> Notes:
        """Write the rows of a piece.

        Returns:
            `left_out`: how many rows for which reason; `asked`: how many were asked as a task asks.

        Raises:
            OlmesError: a row has a wrong shape; the message names file and row.
        """
        notes: Notes = {"left_out": Counter(), "asked": Counter()}
        batch: list[Any] = []
        held = 0
        for number, row, size in self.source.read(piece):
            made = self.row(piece, number, row, notes)
            if made is not None:
                batch.append(made)
                held += size
            if len(batch) == BATCH_ROWS or held > BATCH_BYTES:
                alive()
                self.write(batch, writer)
                batch, held = [], 0
        self.write(batch, writer)
        return notes

    def write(self, batch: list[Any], writer: ArrowWriter) -> None:
        """Some rows.

        Raises:
            OlmesError: a text cannot be written as UTF-8.
        """
        if not batch:
            return
        try:
            writer.write_batch(
                {name: [row[name] for row in batch] for name in batch[0]}, len(batch)
            )
        except UnicodeEncodeError as error:
            raise OlmesError(
                f"{self.source.name}: a text holds half of a surrogate pair, "
                f"{error.object[error.start : error.end]!r}, which no tokenizer reads; remove it."
            ) from None

    def row(self, piece: tuple[int, int], given: int, row: Any, notes: Notes) -> Any:
        """A row in the stage's shape; None where it is left out.

        Raises:
            OlmesError: it has a wrong shape.
        """
        try:
            if not isinstance(row, Mapping):
                raise OlmesError("a row is a JSON object")
            made: Any = READERS[self.stage](row, self.source.folder)
        except NotExpressibleError:
            notes["left_out"]["their verifier is not here"] += 1
            return None
        except OlmesError as error:
            problem = str(error).rstrip(".")
            number = self.source.number(piece, given)
            raise OlmesError(f"{self.source.name}, row {number}: {problem}; fix the row.") from None
        if self.stage == "reward" and (why := undecided(made)):
            notes["left_out"][why] += 1
            return None
        if self.stage == "rlvr" and "messages" not in row:  # prompted as a benchmark prompts
            notes["asked"][formulation_of(json.loads(made["verifiers"])[0]["task"])] += 1
        if self.held_out:
            kept_out = sorted(self.held_out & rewarded_constraints(made))
            if kept_out:
                notes["left_out"][f"they reward {kept_out[0]}, which is held out"] += 1
                return None
        return made


def read_source(
    name: str, wanted: DataSource, stage: Stage, held_out: frozenset[str], making: Making
) -> tuple[Kept, str, str]:
    """All rows of a source in the stage's shape, on disk; its content as hex digits; its commit.

    Raises:
        OlmesError: it does not exist or cannot be fetched, is empty, or has a row of a wrong shape.
    """
    source = recipe_source(name, wanted)
    content = source.content()
    # A row of RLVR may name a task's file beside it; of others the place says nothing.
    folder = str(source.folder) if stage == "rlvr" else ""
    key = ["rows", READER, content, stage, sorted(held_out), folder]
    key += ["decided"] if stage == "reward" else []

    def task() -> Task:
        work = Reading(source, stage, held_out)
        what = f"reading {source.name}"
        return Task(what=what, features=features(stage), pieces=source.pieces(), work=work)

    rows = kept("rows", key, task, making, good=prompts_hold)
    if not len(rows.rows):
        raise OlmesError(f"{source.name} has no row for {stage}; check the file.")
    return rows, content, source.commit()


def prompts_hold(notes: Notes) -> bool:
    """Whether the tasks by which rows were prompted still prompt as they did."""
    return all(
        formulation_of(said.rpartition(" ")[0]) == said for said in notes.get("asked", Counter())
    )


def formulation_of(task: str) -> str:
    """A task's name or file, and the hash of how it prompts.

    Raises:
        OlmesError: there is no such task any more.
    """
    code = file_sha256(Path(task)) if task.endswith(".py") else __version__
    return f"{task} {load_task(task).formulation_hash}-{code}"
