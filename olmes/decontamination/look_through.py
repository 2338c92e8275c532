"""Data sets looked through for the items of evaluations, one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from olmes.decontamination.against import Against
from olmes.decontamination.findings import DataSet, Findings, Tally
from olmes.decontamination.pairs import Pair, pairs
from olmes.decontamination.processes import Progress, compare
from olmes.decontamination.scan import Index
from olmes.errors import OlmesError
from olmes.rows.sources import Source
from olmes.seal.counted_overlap import count_overlap


@dataclass(frozen=True, kw_only=True)
class LookThrough:
    """How data sets are looked through."""

    against: Against
    fields: Sequence[str] = ("question",)
    """What of an item is compared, as `against` was made."""
    row_fields: Sequence[str] = ()
    """Of a row, read these alone; without them where a person speaks."""
    processes: int | None = None
    """How many work at once; None is one a processor."""
    keep: Callable[[Pair], None] | None = None
    """Is given each pair of a row and an item that may be shown, in the order of the rows."""
    progress: Callable[[Source], Progress] | None = None

    def findings(self, sources: Iterable[Source]) -> Findings:
        """What data sets have in common with the evaluations.

        Raises:
            OlmesError: a data set cannot be read, or has no row with a text.
        """
        index = Index.of(self.against.evaluations)
        found = tuple(self.data_set(source, index) for source in sources)
        return Findings(found, self.against.evaluations, self.against.skipped, tuple(self.fields))

    def data_set(self, source: Source, index: Index) -> DataSet:
        """What one has."""
        tally = Tally(self.against.evaluations)
        compared = compare(
            source,
            index,
            fields=self.row_fields,
            processes=self.processes,
            progress=self.progress(source) if self.progress else None,
        )
        open_matches = tally.counted(compared)
        if self.keep is None:
            for _ in open_matches:
                pass
        else:
            for pair in pairs(source, open_matches, self.against.evaluations, self.row_fields):
                self.keep(pair)
        if compared.without_text == compared.rows:
            raise OlmesError(self.nothing_said(source, compared.rows))
        return DataSet(
            name=source.name,
            data_hash=source.content(),
            commit=source.commit(),
            rows=compared.rows,
            without_text=compared.without_text,
            findings=tally.findings(),
            open_rows=tally.open_rows,
        )

    def nothing_said(self, source: Source, rows: int) -> str:
        """What is wrong with a data set in which nothing can be compared."""
        if not rows:
            return f"{source.name} has no rows; give data that have some."
        if self.row_fields:
            where = f"in the field {' or '.join(self.row_fields)}"
        else:
            where = "where data sets have what a model is asked with"
        return (
            f"none of the {rows:,} rows of {source.name} has a text {where}; name the field that "
            "has it with --field."
        )


def count_held_out(store: Path, found: Findings) -> None:
    """Write the counts of held-out tasks into the store's ledger, before anybody sees them.

    Raises:
        OlmesError: the ledger is broken, or cannot be written.
    """
    closed = [one for one in found.evaluations if one.held_out]
    if closed and found.data_sets:
        count_overlap(
            store,
            {one.task: one.data_hash for one in closed},
            found.closed_counts(),
            demo=all(one.origin == "demo" for one in closed),
        )
