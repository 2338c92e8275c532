"""Training data without what overlaps with evaluations, as section 3.2 of Tülu 3 has it.

Rows that overlap with an item that may be shown are dropped, whether or not the data set is above the
threshold: below it the paper leaves a data set as it is, and nothing is lost by dropping a few rows
more. A data set that is contaminated by held-out or gated items is left out whole, as the paper does
with the evaluations it kept for the end: what rows are missing would tell which ones hold them.
"""

from __future__ import annotations

import gzip
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

from olmes import __version__
from olmes.decontamination.findings import DataSet, Findings, rule
from olmes.errors import OlmesError
from olmes.rows.ranges import ranges
from olmes.rows.sources import PIECE_ROWS, File, Hub, Lines, Parquet, Source
from olmes.tools import json_text, jsonl
from olmes.tools.durable_files import atomic_writer, write_atomically
from olmes.tools.hashing import file_sha256
from olmes.types import JsonObject

NOTE = "decontamination.json"
"""What was done, beside the files."""


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A data set in the clean folder."""

    data_set: DataSet
    file: Path | None
    """None where it was left out whole."""

    @property
    def dropped(self) -> int:
        """Rows that are not in the file."""
        return len(self.data_set.open_rows) if self.file else self.data_set.rows

    def to_json(self) -> JsonObject:
        """An entry of the note."""
        one = self.data_set
        closed = [finding.evaluation.task for finding in one.closed_by]
        return one.to_json() | {
            "file": self.file.name if self.file else None,
            "sha256": file_sha256(self.file) if self.file else None,
            "kept": one.rows - self.dropped,
            "dropped": self.dropped,
            "left_out_by": closed,
        }


def check_folder(folder: Path, sources: Iterable[Source]) -> None:
    """Refuse a folder before anything is compared that the clean data could not be written into.

    Raises:
        OlmesError: it holds other files, the data themselves, or is none.
    """
    if folder.exists() and not folder.is_dir():
        raise OlmesError(f"--out {folder} is a file; name a folder.")
    for source in sources:
        place = getattr(source, "path", None) or source.folder
        if place is not None and folder.resolve() in (place.resolve(), *place.resolve().parents):
            raise OlmesError(f"--out {folder} holds {source.name} itself; name another folder.")
    if folder.is_dir():
        known = {NOTE, *files_of(folder)}
        if others := sorted(path.name for path in folder.iterdir() if path.name not in known):
            raise OlmesError(
                f"--out {folder} has other files ({others[0]}); name a new or an empty folder."
            )


def files_of(folder: Path) -> list[str]:
    """The files that an earlier call wrote into a folder; none where it has no note."""
    try:
        note = json_text.parse((folder / NOTE).read_bytes())
        named = [str(one["file"]) for one in note["data_sets"] if one["file"]]
    except (OSError, ValueError, TypeError, KeyError):
        return []
    return [name for name in named if Path(name).name == name]  # whoever wrote the note


def write_clean(folder: Path, sources: Sequence[Source], found: Findings) -> list[Cleaned]:
    """Write each data set without the rows that overlap, and a note of what was done.

    Args:
        folder: as `check_folder` found it.
        sources: in the order of the findings.
        found: what they have in common with evaluations.

    Raises:
        OlmesError: a source cannot be read again.
    """
    for name in [NOTE, *files_of(folder)]:
        (folder / name).unlink(missing_ok=True)
    taken: set[str] = set()
    done = []
    for source, data_set in zip(sources, found.data_sets, strict=True):
        if data_set.closed_by:
            done.append(Cleaned(data_set, None))
            continue
        file = folder / free_name(source, taken)
        writer = writer_of(source)
        with atomic_writer(file) as stream:
            writer(source, data_set.open_rows, stream)
        done.append(Cleaned(data_set, file))
    note = {
        "olmes": __version__,
        "rule": rule(found.fields),
        "against": {one.task: one.data_hash for one in found.evaluations},
        "skipped": dict(found.skipped),
        "data_sets": [one.to_json() for one in done],
    }
    write_atomically(folder / NOTE, jsonl.dumps(note) + "\n")
    return done


def free_name(source: Source, taken: set[str]) -> str:
    """A name for a source's file that no other of the folder has."""
    path = getattr(source, "path", None)
    name = path.name if path else re.sub(r"[^\w.-]+", "--", source.name) + ".parquet"
    stem, dot, ending = name.partition(".")
    numbers = iter(range(2, 1 << 30))
    while name in taken or name == NOTE:
        name = f"{stem}-{next(numbers)}{dot}{ending}"
    taken.add(name)
    return name


Writer = Callable[[Any, Sequence[int], BinaryIO], None]


def writer_of(source: Source) -> Writer:
    """What writes a kind of source."""
    kinds: Mapping[type[Source], Writer] = {
        Parquet: write_parquet,
        Hub: write_hub,
        Lines: write_lines,
        File: write_lines,
    }
    return kinds[type(source)]


def write_lines(source: File, dropped: Sequence[int], stream: BinaryIO) -> None:
    """The lines of a file as they are, but for some."""
    left = without(enumerate(jsonl.read_lines(source.path), start=1), dropped)
    if source.path.suffix == ".gz":
        with gzip.GzipFile(filename="", mode="wb", fileobj=stream, mtime=0) as packed:
            copy(left, packed)
    else:
        copy(left, stream)


def copy(lines: Iterable[bytes], stream: IO[bytes] | gzip.GzipFile) -> None:
    """Write lines."""
    for line in lines:
        stream.write(line)


def without(numbered: Iterable[tuple[int, bytes]], dropped: Sequence[int]) -> Iterator[bytes]:
    """What is numbered in order, but for some numbers, which are in order too."""
    numbers = iter(dropped)
    following = next(numbers, 0)
    for number, one in numbered:
        if number == following:
            following = next(numbers, 0)
        else:
            yield one


def write_parquet(source: Parquet, dropped: Sequence[int], stream: BinaryIO) -> None:
    """The row groups of a Parquet file, but for some rows, with its own schema and compression."""
    from pyarrow.parquet import ParquetFile, ParquetWriter

    if not dropped:
        with source.path.open("rb") as own:
            shutil.copyfileobj(own, stream)
        return
    with ParquetFile(source.path) as file:
        columns = file.metadata.row_group(0)
        packing = {
            columns.column(n).path_in_schema: columns.column(n).compression.lower()
            for n in range(columns.num_columns)
        }
        packing = {name: "none" if how == "uncompressed" else how for name, how in packing.items()}
        with ParquetWriter(stream, file.schema_arrow, compression=packing) as writer:
            before = 0
            for group in range(file.num_row_groups):
                table = file.read_row_group(group)
                writer.write_table(kept(table, before, dropped))
                before += table.num_rows


def write_hub(source: Hub, dropped: Sequence[int], stream: BinaryIO) -> None:
    """A set of the hub as Parquet, but for some rows."""
    from pyarrow.parquet import ParquetWriter

    rows = source.rows.with_format("arrow")
    with ParquetWriter(stream, rows.features.arrow_schema) as writer:
        for start, end in ranges(len(rows), PIECE_ROWS):
            table = rows[start:end]
            writer.write_table(kept(table, start, dropped).cast(rows.features.arrow_schema))


def kept(table: Any, before: int, dropped: Sequence[int]) -> Any:
    """A table without some rows.

    Args:
        table: of pyarrow.
        before: rows of the data set before it.
        dropped: their numbers in the data set, from 1, in order.
    """
    from bisect import bisect_right

    import numpy as np

    chosen = np.ones(table.num_rows, dtype=bool)
    first, last = (bisect_right(dropped, end) for end in (before, before + table.num_rows))
    chosen[[number - before - 1 for number in dropped[first:last]]] = False
    return table.filter(chosen)
