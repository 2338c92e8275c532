"""A data set against an index, in several processes, with memory that does not grow with the data.

A process compares one piece of the source after the other and sends what it found, batch by batch.
Pieces are given out in order and only a few ahead of the one whose matches are awaited, so that
nothing piles up.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import traceback
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from typing import Any

from olmes.decontamination.batch import Row
from olmes.decontamination.matches import Match
from olmes.decontamination.scan import Index
from olmes.errors import OlmesError
from olmes.rows.sources import Source
from olmes.rows.texts import user_turns

Progress = Callable[[int], None]
"""Called with the number of rows that were compared until now."""
Piece = tuple[int, int]
Pieces = Generator[tuple[Piece, "Found"]]

BATCH_CHARACTERS = 1 << 19
"""Of texts that are compared together."""
POLL = 1.0
"""Seconds between two looks at whether the others live."""


class Compared:
    """A comparison: iterating over it compares, and gives the matches in the order of the rows.

    The counts are of what was compared until now: of the whole when the iteration has ended.
    """

    def __init__(self, matches: Callable[[Compared], Iterator[Match]]) -> None:
        self.rows = 0
        """Read."""
        self.without_text = 0
        """Of these, rows in which nothing was found that a model is asked with."""
        self._matches = matches(self)

    def __iter__(self) -> Iterator[Match]:
        return self._matches


@dataclass(frozen=True)
class Found:
    """What some rows of a piece hold."""

    rows: int
    without_text: int
    matches: list[Match]
    """With the numbers that `Source.read` gives rows."""
    last: bool = False
    """Whether the piece ends here."""


@dataclass(frozen=True)
class Work:
    """A source to be compared, piece by piece."""

    source: Source
    index: Index
    fields: Sequence[str]

    def compare(self, piece: Piece) -> Iterator[Found]:
        """What a piece holds, batch by batch.

        Raises:
            OlmesError: it cannot be read, or a row is no object.
        """
        batch, held, without = list[Row](), 0, 0
        for given, row, _ in self.source.read(piece):
            if not isinstance(row, Mapping):
                number = self.source.number(piece, given)
                raise OlmesError(
                    f"{self.source.name}, row {number}: a row is a JSON object; fix the row."
                )
            turns = user_turns(row, self.fields)
            without += not turns
            batch.append((given, turns))
            # A row counts a little by itself: many without text are a batch too.
            held += sum(map(len, turns)) + 50
            if held >= BATCH_CHARACTERS:
                yield Found(len(batch), without, list(self.index.matches_of(batch)))
                batch, held, without = [], 0, 0
        yield Found(len(batch), without, list(self.index.matches_of(batch)), last=True)


def compare(
    source: Source,
    index: Index,
    *,
    fields: Sequence[str] = (),
    processes: int | None = None,
    progress: Progress | None = None,
) -> Compared:
    """Compare every row of a source.

    Args:
        source: the training data.
        index: the evaluations.
        fields: of a row, read these alone; without them where a person speaks (`user_turns`).
        processes: how many work at once; None: one a processor.
        progress: is told how far it is.

    Returns:
        The matches, one item of one evaluation with one row each, in the order of the rows, by number
        (`Match.row`, from 1, as `Source.number` counts), whatever the processes.

    Raises:
        OlmesError: while it is iterated over: the source cannot be read, a row is no object, or a
            process was stopped.
    """

    def matches(counts: Compared) -> Iterator[Match]:
        pieces = source.pieces()
        at_once = min(processes or processors(), len(pieces))
        if multiprocessing.current_process().daemon:  # such a one may have no others
            at_once = 1
        work = Work(source, index, fields)
        found = in_processes(work, pieces, at_once) if at_once > 1 else in_this_one(work, pieces)
        try:
            for piece, some in found:
                counts.rows += some.rows
                counts.without_text += some.without_text
                if progress:
                    progress(counts.rows)
                for match in some.matches:
                    yield replace(match, row=source.number(piece, match.row))
        finally:
            found.close()

    return Compared(matches)


def processors() -> int:
    """Those that this process may use."""
    here = getattr(os, "sched_getaffinity", None)
    return len(here(0)) if here else os.cpu_count() or 1


def in_this_one(work: Work, pieces: Sequence[Piece]) -> Pieces:
    """What each piece holds, one after the other."""
    for piece in pieces:
        for found in work.compare(piece):
            yield piece, found


@dataclass(eq=False)
class Worker:
    """A process that compares pieces."""

    process: Any
    connection: Any
    at: int = -1
    """The piece that it is at; -1: at none."""


def in_processes(work: Work, pieces: Sequence[Piece], at_once: int) -> Pieces:
    """What each piece holds, in their order, compared by several processes.

    Raises:
        OlmesError: what one of them raises, or it was stopped.
    """
    workers = [started(work) for _ in range(at_once)]
    found: defaultdict[int, deque[Found]] = defaultdict(deque)
    given, awaited = 0, 0
    try:
        while awaited < len(pieces):
            for worker in workers:
                # Not far ahead: what was found waits in memory until it is its turn.
                if worker.at < 0 and given < min(len(pieces), awaited + 4 * at_once):
                    worker.at = given
                    with suppress(BrokenPipeError):  # it is no more, as `received` will say
                        worker.connection.send(pieces[given])
                    given += 1
            busy = {one.connection: one for one in workers if one.at >= 0}
            for connection in wait(list(busy), timeout=POLL):
                worker = busy[connection]
                some = received(worker, work.source.name)
                found[worker.at].append(some)
                if some.last:
                    worker.at = -1
            while found[awaited]:
                some = found[awaited].popleft()
                yield pieces[awaited], some
                if some.last:
                    del found[awaited]
                    awaited += 1
    finally:
        for worker in workers:
            worker.process.kill()
        for worker in workers:
            worker.process.join()
            worker.connection.close()


def started(work: Work) -> Worker:
    """A process that waits for pieces."""
    # Forked where that is usual: the index is shared, and no script needs a main guard.
    context: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else None)
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(work, theirs, os.getpid()), daemon=True)
    process.start()
    theirs.close()
    return Worker(process, ours)


def received(worker: Worker, name: str) -> Found:
    """What a process has sent.

    Raises:
        OlmesError: it was stopped.
        Exception: what it raised.
    """
    try:
        sent = worker.connection.recv()
    except (EOFError, OSError):
        worker.process.join()
        code = worker.process.exitcode
        how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        raise OlmesError(
            f"a process that compared {name} was stopped ({how}); where memory is short, let fewer "
            "work at once."
        ) from None
    if isinstance(sent, Exception):
        raise sent
    found: Found = sent
    return found


def serve(work: Work, connection: Any, parent: int) -> None:
    """Compare the pieces that are sent; end with the process that sends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's, who ends this process
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    while True:
        while not connection.poll(POLL):
            end_without(parent)
        piece = connection.recv()
        try:
            for found in work.compare(piece):
                end_without(parent)
                connection.send(found)
        except Exception as error:
            connection.send(sendable(error))


def end_without(parent: int) -> None:
    """End this process when its parent has."""
    if os.getppid() != parent:
        os._exit(1)


def sendable(error: Exception) -> Exception:
    """An exception that can be pickled: itself, or the text of it."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 (our own)
    except Exception:
        return RuntimeError("".join(traceback.format_exception(error)))
    return error
