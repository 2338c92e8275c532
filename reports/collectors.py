"""How a section of a run's page learns from the rows of the samples, which are read once for all.

A run has up to hundreds of thousands of responses, and reading them is most of what writing a page
takes: a section that wants to know something of them looks at each row as it passes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from olmes.records.schema import ResponseRow


class RowCollector(Protocol):
    """What a section gathers from rows; `reports.lengths.ResponseLengths` is one."""

    def see(self, task: str, row: ResponseRow) -> None:
        """Take from a row what the section needs, and do not keep the row.

        Every row of every task passes once, in the order of its samples file, and none of a task
        whose samples are under seal.
        """
        ...


def seen_by(
    collectors: Sequence[RowCollector], task: str, rows: Iterable[ResponseRow]
) -> Iterator[ResponseRow]:
    """The rows of a task, each shown to every collector as it passes."""
    for row in rows:
        for collector in collectors:
            collector.see(task, row)
        yield row
