"""Samples beside the database: one Parquet file (zstd) a task and run, named by its content.

The lines of the samples file are kept to the byte, so that their hash can be checked at any time;
beside them stand the columns that are filtered by. The place is a folder or any fsspec URL.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from olmes.records.items import mean_value
from olmes.records.schema import ResponseRow
from olmes.server.intake.sample_rows import checked_row
from olmes.server.refusals import RefusedError, utf8
from olmes.server.store.artifact_files import ArtifactFiles
from olmes.tools.places import MACHINE

GROUP_ROWS = 1000
PIECE = 1 << 20
"""Bytes of rows that are unpacked at a time, about: one may have 16 MB."""
GROUP_BYTES = 8 << 20
"""A row group is closed at either: what is unpacked to read one row."""
UNREADABLE = (OSError, EOFError, ValueError, LookupError, RuntimeError)
"""What a damaged file ends with; pyarrow's own errors are of these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A samples file that was taken in."""

    artifact: str
    """Its name in the folder."""
    sha256: str
    """Of the lines, ends included: of the file it was made from."""
    rows: int


def older_name(sha256: str, metric: str) -> str:
    """What older versions called an artifact: by the hash of its lines and the metric."""
    return hashlib.sha256(f"{sha256} {metric}".encode()).hexdigest() + ".parquet"


def lines_sha256(lines: Iterable[bytes]) -> str:
    """SHA-256 of the samples file that lines are of."""
    digest = hashlib.sha256()
    for piece in rejoined(lines):
        digest.update(piece)
    return digest.hexdigest()


def sealed_name(sha256: str) -> str:
    """The artifact of a file under seal, kept as it came."""
    return f"{sha256}.jsonl.gz"


class Artifacts(ArtifactFiles):
    """The folder of samples. An artifact is named by the hash of its bytes."""

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self.found_whole: dict[str, tuple[int, ...]] = {}
        """What a file was like when its content was last held against its name."""

    def keep(
        self,
        lines: Iterable[bytes],
        name: str,
        metric: str,
        seen: Callable[[ResponseRow], object] | None = None,
    ) -> Written:
        """Check the rows of a samples file and keep them. The same content is kept once.

        Args:
            lines: without their ends.
            name: what the file is called in messages.
            metric: the primary one, by which samples are filtered.
            seen: called with each row.

        Raises:
            RefusedError: a row is not what docs/record.md says.
        """
        digest = hashlib.sha256()
        rows = 0
        with self.incoming() as file:
            with parquet_writer(file) as writer:
                for group in groups(lines):
                    columns: dict[str, list[Any]] = {field: [] for field in FIELDS}
                    for line in group:
                        rows += 1
                        row = checked_row(line, f"{name}, line {rows}")
                        digest.update(line + b"\n")
                        add_row(columns, line, row, metric)
                        if seen:
                            seen(row)
                    writer(columns)
            file.artifact = f"{file.sha256}.parquet"
        return Written(artifact=file.artifact, sha256=digest.hexdigest(), rows=rows)

    def whole(self, artifact: str, metric: str) -> bool:
        """Whether an artifact is there with the content that it was kept with.

        A file in a folder is read once, and again when it has changed; of an object store is asked
        whether it has the object, and of that the last bytes, which a cut file lacks.

        Args:
            artifact: its name.
            metric: the primary one of its task; older versions made the name of it too.
        """
        try:
            if not self.local:
                return self._ends_well(artifact)
            stamp = self.stamp(artifact)
            if self.found_whole.get(artifact) != stamp:
                if not self._has_its_name(artifact, metric):
                    return False
                self.found_whole[artifact] = stamp
        except (RefusedError, *UNREADABLE) as error:
            if isinstance(error, OSError) and error.errno in MACHINE:
                raise
            return False
        return True

    def _ends_well(self, artifact: str) -> bool:
        import pyarrow.parquet as pq

        if not artifact.endswith(".parquet"):
            return self.exists(artifact)
        with self.open(artifact) as stream, pq.ParquetFile(stream):
            return True

    def _has_its_name(self, artifact: str, metric: str) -> bool:
        digest = hashlib.sha256()
        with self.open(artifact) as stream:
            while piece := stream.read(1 << 20):
                digest.update(piece)
        if digest.hexdigest() == artifact.partition(".")[0]:
            return True
        return artifact.endswith(".parquet") and artifact == older_name(
            lines_sha256(self.lines(artifact)), metric
        )

    @contextlib.contextmanager
    def parquet(self, artifact: str) -> Iterator[Any]:
        """The `ParquetFile` of an artifact.

        Raises:
            RefusedError: it is missing or damaged.
        """
        import pyarrow.parquet as pq

        try:
            with (
                self.open(artifact) as stream,
                pq.ParquetFile(
                    # Read as it is needed: else the reader fetches and unpacks ahead.
                    stream,
                    buffer_size=PIECE,
                    pre_buffer=False,
                ) as file,
            ):
                yield file
        except UNREADABLE as error:
            if isinstance(error, OSError) and error.errno in MACHINE:
                raise
            raise RefusedError(
                404, "the samples are missing or damaged on the server; push the run again.", "task"
            ) from error

    def lines(self, artifact: str) -> Iterator[bytes]:
        """Every line of the samples file, without its end.

        Raises:
            RefusedError: the artifact is missing or damaged.
        """
        with self.parquet(artifact) as file:
            for group in range(file.num_row_groups):
                yield from lines_of_group(file, group)


FIELDS = ("line", "doc_id", "subtask", "repeat", "value", "flags")


def lines_of_group(file: Any, group: int) -> Iterator[bytes]:
    """The lines of a row group, unpacked a few at a time."""
    facts = file.metadata.row_group(group)
    columns = (facts.column(at) for at in range(facts.num_columns))
    size = sum(one.total_uncompressed_size for one in columns if one.path_in_schema == "line")
    rows = max(1, PIECE * facts.num_rows // max(1, size))
    # Of a Parquet file: no thread beside this one unpacks more of it meanwhile.
    for batch in file.iter_batches(rows, row_groups=[group], columns=["line"], use_threads=False):
        texts = batch.column(0)
        for at in range(len(texts)):
            yield texts[at].as_py()


def add_row(columns: dict[str, list[Any]], line: bytes, row: ResponseRow, metric: str) -> None:
    """Put a row into the columns."""
    entry = (
        line, row["doc_id"], utf8(row.get("subtask", "")), row.get("repeat", 0),
        mean_value(row["values"].get(metric)), [utf8(flag) for flag in row["flags"]],
    )  # fmt: skip
    for field, value in zip(FIELDS, entry, strict=True):
        columns[field].append(value)


def groups(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Lines in row groups."""
    group: list[bytes] = []
    size = 0
    for line in lines:
        group.append(line)
        size += len(line)
        if len(group) == GROUP_ROWS or size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


@contextlib.contextmanager
def parquet_writer(stream: Any) -> Iterator[Any]:
    """A function that writes a row group of columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [
            ("line", pa.large_binary()),
            ("doc_id", pa.int64()),
            ("subtask", pa.string()),
            ("repeat", pa.int64()),
            ("value", pa.float64()),
            ("flags", pa.list_(pa.string())),
        ]
    )
    with pq.ParquetWriter(
        stream, schema, compression="zstd", compression_level=3, use_dictionary=["subtask", "flags"]
    ) as writer:
        yield lambda columns: writer.write_table(pa.table(columns, schema=schema))


def rejoined(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Lines with their ends, in pieces of about a megabyte."""
    ended = (line + b"\n" for line in lines)
    while piece := list(itertools.islice(ended, 500)):
        yield b"".join(piece)
