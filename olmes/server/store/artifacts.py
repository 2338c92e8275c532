"""Samples beside the database: one Parquet file (zstd) a task and run, named by its content.

The lines of the samples file are kept to the byte, so that their hash can be checked at any time;
beside them stand the columns that are filtered by. The place is a folder or any fsspec URL.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
import uuid
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olmes.errors import OlmesError
from olmes.records.items import mean_value
from olmes.records.schema import ResponseRow
from olmes.server.intake.sample_rows import checked_row
from olmes.server.refusals import utf8
from olmes.tools.places import writing

GROUP_ROWS = 1000
PIECE = 1 << 20
"""Bytes of rows that are unpacked at a time, about: one may have 16 MB."""
GROUP_BYTES = 8 << 20
"""A row group is closed at either: what is unpacked to read one row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A samples file that was taken in."""

    artifact: str
    """Its name in the folder."""
    sha256: str
    """Of the lines, ends included: of the file it was made from."""
    rows: int


def sealed_name(sha256: str) -> str:
    """The artifact of a file under seal, kept as it came."""
    return f"{sha256}.jsonl.gz"


class Artifacts:
    """The folder of samples."""

    def __init__(self, place: str) -> None:
        import fsspec

        if "://" not in place:
            place = str(Path(place).resolve())
            with writing(Path(place), "name another place with --artifacts"):
                Path(place).mkdir(parents=True, exist_ok=True)
        try:
            self.files, self.root = fsspec.core.url_to_fs(place)
            self.files.makedirs(self.root, exist_ok=True)
        except (ImportError, ValueError, OSError) as error:
            raise OlmesError(
                f"{place} cannot hold samples ({error}); name a folder or an fsspec URL."
            ) from None

    def path(self, artifact: str) -> str:
        """Where an artifact is; 256 folders keep each short."""
        return f"{self.root}/{artifact[:2]}/{artifact}"

    def exists(self, artifact: str) -> bool:
        """Whether there is such an artifact."""
        return bool(self.files.exists(self.path(artifact)))

    def keep(self, lines: Iterable[bytes], name: str, metric: str) -> Written:
        """Check the rows of a samples file and keep them. The same content is kept once.

        Args:
            lines: without their ends.
            name: what the file is called in messages.
            metric: the primary one, by which samples are filtered.

        Raises:
            RefusedError: a row is not what docs/record.md says.
        """
        digest = hashlib.sha256()
        temporary = f"{self.root}/incoming-{uuid.uuid4().hex}"
        rows = 0
        try:
            with self.files.open(temporary, "wb") as stream, parquet_writer(stream) as writer:
                for group in groups(lines):
                    columns: dict[str, list[Any]] = {field: [] for field in FIELDS}
                    for line in group:
                        rows += 1
                        row = checked_row(line, f"{name}, line {rows}")
                        digest.update(line + b"\n")
                        add_row(columns, line, row, metric)
                    writer(columns)
            sha256 = digest.hexdigest()
            # The columns depend on the metric too.
            artifact = hashlib.sha256(f"{sha256} {metric}".encode()).hexdigest() + ".parquet"
            self.files.makedirs(f"{self.root}/{artifact[:2]}", exist_ok=True)
            self.files.mv(temporary, self.path(artifact))
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                self.files.rm(temporary)
            raise
        return Written(artifact=artifact, sha256=sha256, rows=rows)

    def copy_in(self, source: Path, artifact: str) -> None:
        """Keep a file as it is under a name (sealed files, restored artifacts)."""
        temporary = f"{self.root}/incoming-{uuid.uuid4().hex}"
        self.files.put_file(str(source), temporary)
        self.files.makedirs(f"{self.root}/{artifact[:2]}", exist_ok=True)
        self.files.mv(temporary, self.path(artifact))

    def copy_out(self, artifact: str, target: Path) -> None:
        """Fetch an artifact's file."""
        target.parent.mkdir(parents=True, exist_ok=True)
        self.files.get_file(self.path(artifact), str(target))

    def sweep(self, named: Collection[str], age: float) -> int:
        """Remove what no run names any more, and what a killed process left half written.

        Args:
            named: the artifacts of every run; asked for before this call.
            age: seconds since it was written; what is younger may be of a run about to be added.

        Returns:
            How many were removed.
        """
        count = 0
        for path in self.files.find(self.root):
            if path.rpartition("/")[2] in named:
                continue
            # Another server may have removed it meanwhile.
            with contextlib.suppress(FileNotFoundError):
                if time.time() - self.files.modified(path).timestamp() > age:
                    self.files.rm_file(path)
                    count += 1
        return count

    def open(self, artifact: str) -> Any:
        """An artifact's bytes."""
        return self.files.open(self.path(artifact), "rb")

    def lines(self, artifact: str) -> Iterator[bytes]:
        """Every line of the samples file, without its end."""
        import pyarrow.parquet as pq

        # Read as it is needed: else the reader fetches and unpacks ahead.
        with (
            self.open(artifact) as stream,
            pq.ParquetFile(stream, buffer_size=PIECE, pre_buffer=False) as file,
        ):
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
