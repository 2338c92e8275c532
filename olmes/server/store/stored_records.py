"""Stored runs as records, for everything that reads records: pages, comparison, leaderboard.

`run.json` lies in a folder as a run leaves it; a samples file is written there when it is asked for,
out of its artifact, and removed when the folder grows too large.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path

import msgspec

from olmes.records.check import FieldError, run_record
from olmes.records.record import Record, verdict_row
from olmes.records.schema import ResponseRow, RunRecord
from olmes.seal.counted_look import CountedLook
from olmes.seal.ledger import Ledger
from olmes.server.intake.sample_rows import checked_row, lines_of
from olmes.server.refusals import RefusedError
from olmes.server.settings import Settings
from olmes.server.store.artifacts import Artifacts
from olmes.server.store.drawn_rows import MOST_RECORD, drawn
from olmes.server.store.private import inner_folder
from olmes.server.store.store import RunFilter, Store
from olmes.server.store.table_rows import TaskColumns
from olmes.tools import jsonl

DRAWN = "drawn 1"
"""What was done to the rows that lie beside the artifacts; another number makes them anew."""
LONG_NUMBER = b"0" * 19
"""What may be a whole number that the fast parser loses digits of."""
MOST_UNPACKED = 1 << 30
"""Bytes of samples files that are kept beside their artifacts."""
TIDY_SECONDS = 10.0
"""Between two looks at how many they are."""


class StoredRecord(Record):
    """A record whose samples are artifacts. Its folder lies where the links of pages lead.

    Args:
        folder: of its page and its samples.
        run: the record.
        artifacts: where its samples are kept.
        task_rows: asks for the rows of its tasks; called when a sample is asked for.
        largest: bytes of a samples file, unpacked, beyond which it is not read.
    """

    def __init__(
        self,
        folder: Path,
        run: RunRecord,
        artifacts: Artifacts,
        task_rows: Callable[[str], list[TaskColumns]],
        largest: int,
    ) -> None:
        super().__init__(folder, run)
        self.closed: dict[str, list[ResponseRow] | None] = {}
        """What was read of sealed files, to compare runs by."""
        self.artifacts = artifacts
        self.task_rows = task_rows
        self.largest = largest

    @cached_property
    def rows(self) -> Mapping[str, TaskColumns]:
        """The rows of its tasks by name."""
        return {row.task: row for row in self.task_rows(self.id)}

    @property
    def store(self) -> Path:
        """The folder of the pages, where the ledgers' lines are; that of the runs has runs alone."""
        return self.folder.parent.parent

    def sealed(self, task: str) -> bool:
        """Whether a task's samples are under seal: the store says, not what lies in the folder."""
        return self.rows[task].closed

    def can_be_paired(self, task: str) -> bool:
        """Whether a task's items can be held against another run's; of a sealed file they are read."""
        if not self.sealed(task):
            return super().can_be_paired(task)
        return self.closed_verdicts(task) is not None

    def verdicts_to_compare(self, task: str) -> Iterator[ResponseRow]:
        """The rows without their texts, of a task under seal too: for the difference of two runs."""
        if not self.sealed(task):
            return super().verdicts_to_compare(task)
        return iter(self.closed_verdicts(task) or ())

    def samples(self, task: str) -> Iterator[ResponseRow]:
        """The rows of a task's samples file, one a response.

        Raises:
            OlmesError: the samples are under seal.
        """
        path = self.opened(task)
        for number, line in enumerate(jsonl.read_lines(path), start=1):
            if LONG_NUMBER in line.translate(jsonl.DIGITS):
                yield jsonl.parse_line(line, path, number)
            else:
                yield jsonl.parse_line_64bit(line, f"{path}, line {number}")

    def closed_verdicts(self, task: str) -> list[ResponseRow] | None:
        """The rows of a sealed file without their texts; None where it is not in order.

        Nobody has looked into it before: it came packed, and it may hold anything.
        """
        if task not in self.closed:
            name = self.rows[task].artifact
            try:
                with self.artifacts.open(name) as packed, gzip.open(packed, "rb") as stream:
                    lines = lines_of(stream, name, self.largest)
                    self.closed[task] = [verdict_row(checked_row(line, name)) for line in lines]
            except (RefusedError, OSError, EOFError, zlib.error):
                self.closed[task] = None
        return self.closed[task]

    def samples_path(self, task: str) -> Path:
        """Where a task's samples are; they are put there first."""
        # By content: a replaced run's samples do not pass for the new one's.
        row = self.rows[task]
        path = self.folder / "samples" / f"{task}.jsonl"
        if self.sealed(task):
            path.unlink(missing_ok=True)
            return path
        mark = path.with_suffix(".from")
        known = mark.read_text("utf-8") if mark.exists() else ""
        wanted = f"{row.artifact} {DRAWN}"
        if not path.exists() or known != f"{wanted} {path.stat().st_ino}":
            path.parent.mkdir(parents=True, exist_ok=True)
            # By a name of its own: two workers may make the same one.
            with tempfile.NamedTemporaryFile(
                dir=path.parent, prefix=".making-", suffix=".jsonl", delete=False
            ) as stream:
                try:
                    rows = sum(one.rows for one in self.rows.values())
                    lines = drawn(self.artifacts.lines(row.artifact), rows)
                    stream.writelines(line + b"\n" for line in lines)
                except BaseException as error:
                    Path(stream.name).unlink(missing_ok=True)
                    if not isinstance(error, RefusedError):
                        raise
                    # Damaged: as if they were not there, for pages of many runs.
                    path.unlink(missing_ok=True)
                    return path
            inode = Path(stream.name).stat().st_ino
            Path(stream.name).replace(path)
            # Of this file: another worker may put the one of a replaced run there in between.
            jsonl.write_atomically(mark, f"{wanted} {inode}")
        return path

    def check_samples(self) -> None:
        """Put the samples of every task that is not under seal where they are read.

        Raises:
            RefusedError: some are missing or damaged.
        """
        for task in self.tasks:
            if not self.samples_path(task).exists() and not self.sealed(task):
                raise RefusedError(
                    404,
                    f"the samples of {task} in {self.id} are missing or damaged on the server; push "
                    "the run again.",
                    "task",
                )


def with_counted_look(run: RunRecord, store: Store) -> RunRecord:
    """A run whose look, if it was one, says how many went before it over every ledger here."""
    held = run.held_out
    if held is None or (before := store.ledgers.looks_before().get(held.ledger.hash)) is None:
        return run
    fields = {name: getattr(held, name) for name in held.__struct_fields__}
    counted = CountedLook(**fields, known_before=before)
    return msgspec.structs.replace(run, held_out=counted)


class StoredRecords:
    """Every stored record, in a folder that is laid out as the server's addresses are."""

    def __init__(self, settings: Settings) -> None:
        self.store = Store(settings)
        self.folder = inner_folder(settings.work_folder / "pages")
        (self.folder / "runs").mkdir(parents=True, exist_ok=True)
        self.tidy_at = 0.0

    def record(self, run: str) -> StoredRecord:
        """A run, whole.

        Raises:
            RefusedError: there is none of this name, or an older olmes took it that checked less.
        """
        text = self.store.run_text(run)
        if len(text) > MOST_RECORD:
            raise RefusedError(
                422,
                f"the record of {run} has {len(text):,} characters, and pages draw {MOST_RECORD:,} at "
                f"most; read it at api/v1/runs/{run}/run.json.",
                "run.json",
            )
        folder = self.place(run)
        kept = folder / "run.json"
        if not kept.exists() or kept.read_bytes() != text.encode():
            jsonl.write_atomically(kept, text)
        try:
            return self.stored(run_record(json.loads(text)))
        except FieldError as error:
            raise RefusedError(422, f"the record of {run} cannot be read: {error}.") from None

    def records(self, wanted: RunFilter) -> list[StoredRecord]:
        """Runs without the texts that no table of many runs shows, and without those no page draws."""
        return [self.stored(run) for run in self.store.slim_records(wanted, most=MOST_RECORD)]

    def stored(self, run: RunRecord) -> StoredRecord:
        """A run with the way to its samples."""
        return StoredRecord(
            self.place(run.id),
            with_counted_look(run, self.store),
            self.store.artifacts,
            self.store.task_rows,
            self.store.settings.limits.file,
        )

    def place(self, run: str) -> Path:
        """A run's folder, with the page's name in it, by which other pages know that they can link."""
        folder = self.folder / "runs" / run
        if folder.is_file():  # an older olmes kept the ledgers' lines among the runs
            folder.unlink(missing_ok=True)
        if not (folder / "report.html").exists():
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "report.html").touch()
        return folder

    def write_ledger(self) -> None:
        """Put the ledgers' lines where a record looks for them (`StoredRecord.store`)."""
        jsonl.write(Ledger(self.folder).path, self.store.ledger_entries())

    def tidy(self) -> None:
        """Now and then remove the samples files not used for longest, until the rest is small."""
        if time.monotonic() < self.tidy_at:
            return
        self.tidy_at = time.monotonic() + TIDY_SECONDS
        found = []
        for path in (self.folder / "runs").glob("*/samples/*.jsonl"):
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                found.append((status.st_atime, status.st_size, path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found, key=lambda one: one[0]):
            if total <= MOST_UNPACKED:
                return
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)  # noqa: PTH108 (one call, no second look at the file)
            total -= size
