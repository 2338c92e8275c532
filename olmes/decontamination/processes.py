"""A data set against an index, in several processes, with memory that does not grow with the data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from olmes.decontamination.matches import Match
from olmes.decontamination.scan import Index
from olmes.errors import OlmesError
from olmes.rows.sources import Source
from olmes.rows.texts import user_turns

Progress = Callable[[int], None]
"""Called with the number of rows that were compared until now."""


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
        OlmesError: while it is iterated over: the source cannot be read, or a row is no object.
    """

    def matches(counts: Compared) -> Iterator[Match]:
        for piece in source.pieces():
            for given, row, _ in source.read(piece):
                counts.rows += 1
                turns = turns_of(source, piece, given, row, fields)
                counts.without_text += not turns
                if turns:
                    yield from index.matches(source.number(piece, given), turns)
            if progress:
                progress(counts.rows)

    return Compared(matches)


def turns_of(
    source: Source, piece: tuple[int, int], given: int, row: Any, fields: Sequence[str]
) -> list[str]:
    """What a person says in a row.

    Raises:
        OlmesError: it is no object.
    """
    if not isinstance(row, Mapping):
        number = source.number(piece, given)
        raise OlmesError(f"{source.name}, row {number}: a row is a JSON object; fix the row.")
    return user_turns(row, fields)
