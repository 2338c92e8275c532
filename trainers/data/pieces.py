"""Rows on disk, written piece by piece in several processes with flat memory.

A piece is a part of the work that is always cut alike (some megabytes of a file, some thousand
rows), and becomes one Arrow file of `datasets` and a note of what was found on the way. A process
makes one piece and ends: what it had mapped into its memory goes with it. Pieces that are finished
stay, so that work which was killed resumes where it was.

Not `Dataset.map(num_proc=...)`: its processes outlive a training that is killed, wait for ever and
hold whatever it had locked; and its cache goes by pickles of functions, in which a tokenizer that
has been used is another one.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from olmes.errors import OlmesError

if TYPE_CHECKING:
    from datasets import Dataset, Features
    from datasets.arrow_writer import ArrowWriter

Say = Callable[[str], None]
Notes = dict[str, Counter[str]]
"""What was counted on the way, by name of the count and by what it counts."""
Alive = Callable[[], None]
Work = Callable[[Any, "ArrowWriter", Alive], Notes]
"""Writes the rows of a piece, calls the last argument now and then, and gives its notes."""
POLL = 1.0
"""Seconds between two looks at the processes."""


@dataclass(frozen=True, kw_only=True)
class Making:
    """How much of this machine may be used, and who is told of it."""

    say: Say
    processes: int | None = None
    """None: one a processor."""
    wait_minutes: float = 30.0
    """After so long without a sign of life from the process that makes a data set, others give up."""

    @property
    def at_once(self) -> int:
        """Processes that work at the same time."""
        if self.processes is not None:
            return max(1, self.processes)
        here = getattr(os, "sched_getaffinity", None)
        return len(here(0)) if here else os.cpu_count() or 1


@dataclass(frozen=True, kw_only=True)
class Task:
    """A data set that is to be written."""

    what: str
    """In progress lines: "tokenizing 939,343 chats"."""
    features: Features
    pieces: Sequence[Any]
    """Always the same for the same data set."""
    work: Work
    """Called with a piece, perhaps in another process: it can be pickled."""


@dataclass(frozen=True)
class Pieces:
    """What is written."""

    what: str
    """As `Task` says it."""
    rows: int
    files: dict[str, int]
    """Those with rows, in order, and their sizes in bytes."""
    notes: Notes = field(default_factory=dict)

    def load(self, folder: Path, fingerprint: str) -> Dataset:
        """The rows, mapped from the files in `folder`."""
        from datasets import Dataset, concatenate_datasets

        whole = concatenate_datasets([Dataset.from_file(str(folder / name)) for name in self.files])
        return Dataset(whole.data, info=whole.info, fingerprint=fingerprint)


def write_pieces(task: Task, folder: Path, making: Making, alive: Callable[[str], None]) -> Pieces:
    """Write what is not there yet.

    Args:
        task: what.
        folder: where; pieces that it holds are left as they are.
        making: by how many processes.
        alive: gets a line on how far the work is, again and again.

    Raises:
        OlmesError: a piece cannot be made of the data, or a process was stopped.
    """
    todo = [n for n in range(len(task.pieces)) if not note_file(folder, n).is_file()]
    at_once = min(making.at_once, len(todo))
    if len(task.pieces) == 1 or multiprocessing.current_process().daemon:
        for number in todo:
            make_piece(task, number, folder, lambda: alive(task.what))
    else:
        made_by_others(task, todo, folder, at_once, alive)
    return gathered(task.what, folder, len(task.pieces))


def gathered(what: str, folder: Path, count: int) -> Pieces:
    """What the notes of all pieces say."""
    rows, files = 0, dict[str, int]()
    notes: Notes = {}
    for number in range(count):
        said = json.loads(note_file(folder, number).read_text("utf-8"))
        rows += said["rows"]
        if said["rows"] or count == 1:
            file = arrow_file(folder, number)
            files[file.name] = file.stat().st_size
        add(notes, said["notes"])
    return Pieces(what, rows, files, notes)


def add(notes: Notes, more: Mapping[str, Mapping[str, int]]) -> None:
    """Count further notes in."""
    for name, counts in more.items():
        notes.setdefault(name, Counter()).update(counts)


def arrow_file(folder: Path, number: int) -> Path:
    """The rows of a piece."""
    return folder / f"{number:05}.arrow"


def note_file(folder: Path, number: int) -> Path:
    """The notes of a piece, written when its rows are there."""
    return folder / f"{number:05}.json"


def make_piece(task: Task, number: int, folder: Path, alive: Alive) -> None:
    """Write one piece: its rows first, then its note."""
    from datasets.arrow_writer import ArrowWriter

    # By process: one that a killed training left behind may still be at the same piece.
    unfinished = folder / f"{number:05}.{os.getpid()}.tmp"
    try:
        with ArrowWriter(features=task.features, path=str(unfinished)) as writer:
            notes = task.work(task.pieces[number], writer, alive)
            rows, _ = writer.finalize()
        unfinished.replace(arrow_file(folder, number))
    finally:
        unfinished.unlink(missing_ok=True)
    # Renamed and not flushed to the disk, which on a busy one takes seconds: sizes are compared later.
    unfinished.write_text(json.dumps({"rows": rows, "notes": notes}, ensure_ascii=False), "utf-8")
    unfinished.replace(note_file(folder, number))


def made_by_others(
    task: Task, todo: Sequence[int], folder: Path, at_once: int, alive: Callable[[str], None]
) -> None:
    """Make pieces in processes, some at once, one piece each.

    Raises:
        OlmesError: as `write_pieces`.
    """
    # Forked where that is usual: nothing is imported again, and no script needs a main guard.
    kind = "fork" if sys.platform == "linux" else None
    context: Any = multiprocessing.get_context(kind)
    waiting, running, done = list(todo), dict[Any, int](), len(task.pieces) - len(todo)
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                number = waiting.pop(0)
                process = context.Process(
                    target=piece_process, args=(task, number, folder, os.getpid()), daemon=True
                )
                process.start()
                running[process] = number
            wait([process.sentinel for process in running], timeout=POLL)
            for process in [one for one in running if not one.is_alive()]:
                check_ended(process, folder, running.pop(process))
                done += 1
            share = f"{100 * done // len(task.pieces)} %"
            alive(f"{task.what} in {at_once} processes ... {share}")
    finally:
        for process in running:
            process.kill()
        for process in running:
            process.join()


def check_ended(process: Any, folder: Path, number: int) -> None:
    """See that a process has made its piece.

    Raises:
        OlmesError: its data cannot be read, or it was stopped.
        Exception: whatever else it raised.
    """
    process.join()
    error = folder / f"{number:05}.error"
    if error.is_file():
        raised: Exception = pickle.loads(error.read_bytes())  # noqa: S301 (our own process's)
        error.unlink()
        raise raised
    if process.exitcode or not note_file(folder, number).is_file():
        how = f"exit status {process.exitcode}"
        if process.exitcode < 0:
            how = signal.Signals(-process.exitcode).name
        raise OlmesError(
            f"a process that prepared the data was stopped ({how}); where memory is short, set "
            "hardware.data_processes lower; the same command resumes."
        )


def piece_process(task: Task, number: int, folder: Path, parent: int) -> None:
    """Make a piece in a process of its own; what goes wrong is left in a file."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's, who ends this process
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"

    def alive() -> None:
        if os.getppid() != parent:
            os._exit(1)

    try:
        make_piece(task, number, folder, alive)
    except Exception as error:
        (folder / f"{number:05}.error").write_bytes(pickled(error))


def pickled(error: Exception) -> bytes:
    """An exception as bytes, or the text of it where it cannot be pickled."""
    try:
        held = pickle.dumps(error)
        pickle.loads(held)  # noqa: S301
    except Exception:
        return pickle.dumps(RuntimeError("".join(traceback.format_exception(error))))
    return held
