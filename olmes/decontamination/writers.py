"""Data sets written again without some of their rows: lines as lines, tables as Parquet."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import shutil
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, Any, BinaryIO

from olmes.errors import OlmesError
from olmes.rows.json_array import JsonArray
from olmes.rows.ranges import ranges
from olmes.rows.shards import Shards
from olmes.rows.sources import PIECE_ROWS, File, Hub, Parquet, Source
from olmes.tools import jsonl

Writer = Callable[[Any, Sequence[int], BinaryIO], None]
"""Writes a source without the rows of some numbers, which are in order."""


def writer_of(source: Source) -> tuple[Writer, str]:
    """What writes a source, and how its file's name ends; '' for a file that keeps its own name.

    Raises:
        OlmesError: rows of its kind can be read and not written.
    """
    if isinstance(source, Parquet):
        return write_parquet, ""
    if isinstance(source, File):
        return write_lines, ""
    if isinstance(source, JsonArray):
        return write_array, ".jsonl"
    if isinstance(source, Hub):
        return write_tables, ".parquet"
    if isinstance(source, Shards):
        inner = {type(shard) for shard in source.shards}
        if all(issubclass(one, File) and not issubclass(one, Parquet) for one in inner):
            return write_shards_of_lines, ".jsonl"
        if all(issubclass(one, (Parquet, Hub)) for one in inner):
            return write_tables, ".parquet"
    raise OlmesError(
        f"--out cannot write data such as {source.name}; give its files one by one, as .jsonl or "
        ".parquet."
    )


def write_lines(source: File, dropped: Sequence[int], stream: BinaryIO) -> None:
    """The lines of a file as they are, but for some; packed as the file is."""
    with packed(stream, source.path.suffix) as out:
        for line in lines(source, dropped):
            out.write(line)


def write_shards_of_lines(source: Shards, dropped: Sequence[int], stream: BinaryIO) -> None:
    """The lines of every shard one behind the other, unpacked, each with its end."""
    for number, shard in enumerate(source.shards):
        before = source.numbers_before(number)
        stream.writelines(
            line if line.endswith(b"\n") else line + b"\n"
            for line in lines(shard, shifted(dropped, before, source.numbers_before(number + 1)))
        )


def write_array(source: JsonArray, dropped: Sequence[int], stream: BinaryIO) -> None:
    """The rows of an array, one a line."""
    rows = ((number, jsonl.line_of(row)) for number, row, _ in source.read((0, 0)))
    stream.writelines(without(rows, dropped))


def lines(source: Any, dropped: Sequence[int]) -> Iterator[bytes]:
    """The lines of a file, but for some."""
    return without(enumerate(jsonl.read_lines(source.path), start=1), dropped)


def without(numbered: Iterable[tuple[int, bytes]], dropped: Sequence[int]) -> Iterator[bytes]:
    """What is numbered in order, but for some numbers, which are in order too."""
    numbers = iter(dropped)
    following = next(numbers, 0)
    for number, one in numbered:
        if number == following:
            following = next(numbers, 0)
        else:
            yield one


def shifted(dropped: Sequence[int], before: int, end: int) -> list[int]:
    """The numbers after `before` to `end`, counted from `before`."""
    first, last = bisect_right(dropped, before), bisect_right(dropped, end)
    return [number - before for number in dropped[first:last]]


class LeftOpen(io.RawIOBase):
    """A stream that pyarrow may close, over one that it may not."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, content: Any) -> int:
        """Pass it on."""
        return self.stream.write(content)


@contextlib.contextmanager
def packed(stream: BinaryIO, suffix: str) -> Iterator[IO[bytes] | Any]:
    """A stream that packs as files of an ending are; the same content gives the same bytes."""
    if suffix == ".gz":
        with gzip.GzipFile(filename="", mode="wb", fileobj=stream, mtime=0) as out:
            yield out
    elif suffix == ".bz2":
        with bz2.open(stream, "wb") as out:
            yield out
    elif suffix == ".xz":
        with lzma.open(stream, "wb") as out:
            yield out
    elif suffix == ".zst":
        import pyarrow

        with pyarrow.CompressedOutputStream(LeftOpen(stream), "zstd") as out:
            yield out
    else:
        yield stream


def write_parquet(source: Parquet, dropped: Sequence[int], stream: BinaryIO) -> None:
    """The row groups of a Parquet file, but for some rows, with its own schema and compression."""
    from pyarrow.parquet import ParquetFile, ParquetWriter

    if not dropped:
        with source.path.open("rb") as own:
            shutil.copyfileobj(own, stream)
        return
    with ParquetFile(source.path) as file:
        group = file.metadata.row_group(0)
        columns = [group.column(n) for n in range(group.num_columns)]
        packing = {one.path_in_schema: one.compression.lower() for one in columns}
        packing = {name: "none" if how == "uncompressed" else how for name, how in packing.items()}
        with ParquetWriter(stream, file.schema_arrow, compression=packing) as writer:
            for table, before in tables(source):
                writer.write_table(kept(table, before, dropped))


def write_tables(source: Source, dropped: Sequence[int], stream: BinaryIO) -> None:
    """A set of the hub, or shards of tables, as one Parquet file of the first table's columns."""
    from pyarrow.parquet import ParquetWriter

    writer = None
    with contextlib.ExitStack() as stack:
        for table, before in tables(source):
            writer = writer or stack.enter_context(ParquetWriter(stream, table.schema))
            writer.write_table(kept(table, before, dropped).cast(writer.schema))


def tables(source: Source) -> Iterator[tuple[Any, int]]:
    """The tables of a source in order, each with the number of rows before it."""
    if isinstance(source, Shards):
        for number, shard in enumerate(source.shards):
            for table, before in tables(shard):
                yield table, source.numbers_before(number) + before
    elif isinstance(source, Hub):
        rows = source.rows.with_format("arrow")
        for start, end in ranges(len(rows), PIECE_ROWS):
            yield rows[start:end].cast(rows.features.arrow_schema), start
    elif isinstance(source, Parquet):
        from pyarrow.parquet import ParquetFile

        before = 0
        with ParquetFile(source.path) as file:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group)
                yield table, before
                before += table.num_rows


def kept(table: Any, before: int, dropped: Sequence[int]) -> Any:
    """A table without some rows.

    Args:
        table: of pyarrow.
        before: rows of the data set before it.
        dropped: their numbers in the data set, from 1, in order.
    """
    import numpy as np

    chosen = np.ones(table.num_rows, dtype=bool)
    chosen[[number - 1 for number in shifted(dropped, before, before + table.num_rows)]] = False
    return table.filter(chosen)
