"""Where rows come from: files, bundled data, the hub; each can be read in pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from olmes.errors import OlmesError
from olmes.rows.hub_commit import commit_of
from olmes.rows.ranges import ranges
from olmes.tools import jsonl
from olmes.tools.hashing import content_hash, file_sha256

if TYPE_CHECKING:
    from datasets import Dataset

ENDINGS = (".jsonl", ".jsonl.gz", ".parquet")
PIECE_BYTES = 32 << 20
"""Of a file, that one process reads."""
PIECE_ROWS = 20_000
"""Of a hub data set, likewise."""
BATCH_ROWS = 1000
BATCH_BYTES = 8 << 20
"""Rows are read and written when there are so many, or so much text."""

Numbered = Iterator[tuple[int, Any, int]]
"""Rows with their numbers and about how many bytes each has."""


class Source:
    """A source whose rows can be read in pieces."""

    name: str
    """As messages name it."""
    folder: Path | None = None
    """From where its rows name files."""

    def content(self) -> str:
        """Hex digits over what it holds, wherever it lies."""
        raise NotImplementedError

    def commit(self) -> str:
        """Of a data set of the hub, the commit that was fetched; '' for what has none."""
        return ""

    def pieces(self) -> list[tuple[int, int]]:
        """Parts of it, in order."""
        raise NotImplementedError

    def read(self, piece: tuple[int, int]) -> Numbered:
        """The rows of a part, with numbers that `number` knows.

        Raises:
            OlmesError: it cannot be read; the message names file and line.
        """
        raise NotImplementedError

    def number(self, piece: tuple[int, int], given: int) -> int:  # noqa: ARG002
        """The number of a row in the whole source, from 1, by the one that `read` gave it."""
        return given


class File(Source):
    """A file; this one is a gzipped file of JSON lines, which only reads from its beginning."""

    def __init__(self, path: Path) -> None:
        self.path, self.name, self.folder = path, str(path), path.parent

    def content(self) -> str:
        """SHA-256 of its bytes."""
        return file_sha256(self.path)

    def pieces(self) -> list[tuple[int, int]]:
        """The whole."""
        return [(0, 0)]

    def read(self, piece: tuple[int, int]) -> Numbered:  # noqa: ARG002
        """Every row."""
        for number, line in enumerate(jsonl.read_lines(self.path), start=1):
            if line.strip():
                yield number, jsonl.parse_line(line, self.path, number), len(line)


class Lines(File):
    """A file of JSON lines; a piece is a range of bytes, and has the lines that begin in it."""

    counted = (0, 0)
    """An offset, and the lines that begin before it: who asks in order has the file read once."""

    def pieces(self) -> list[tuple[int, int]]:
        """Ranges of bytes."""
        return ranges(self.path.stat().st_size, PIECE_BYTES) or [(0, 0)]

    def read(self, piece: tuple[int, int]) -> Numbered:
        """The rows that begin in a range, numbered from its own first line."""
        start, end = piece
        with self.path.open("rb", jsonl.BUFFER) as stream:
            if start:
                stream.seek(start - 1)
                stream.readline()  # begun before, unless a line ends right here
            at = stream.tell()
            for number, line in enumerate(stream, start=1):
                if at >= end:
                    return
                at += len(line)
                if line.strip():
                    try:
                        row = jsonl.parse_line(line, self.path, number)
                    except OlmesError:
                        row = jsonl.parse_line(line, self.path, self.number(piece, number))
                    yield number, row, len(line)

    def number(self, piece: tuple[int, int], given: int) -> int:
        """The number of a line in the whole file, which is read for it: for messages alone."""
        return self.lines_before(piece[0]) + given

    def lines_before(self, offset: int) -> int:
        """Lines that begin before an offset."""
        if not offset:
            return 0
        # Lines begin at 0 and behind each end, so that those before it have offset - 1 bytes to end in.
        at, count = self.counted if 0 < self.counted[0] <= offset else (1, 1)
        with self.path.open("rb") as stream:
            stream.seek(at - 1)
            while chunk := stream.read(min(offset - at, jsonl.BUFFER)):
                count += chunk.count(b"\n")
                at += len(chunk)
        self.counted = offset, count
        return count


class Parquet(File):
    """A Parquet file; a piece is a group of its rows."""

    def pieces(self) -> list[tuple[int, int]]:
        """Groups, and the number of rows before each.

        Raises:
            OlmesError: it is not a Parquet file.
        """
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile

        try:
            with ParquetFile(self.path) as file:
                sizes = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
        except (ArrowException, OSError) as error:
            raise jsonl.unreadable(self.path, error) from None
        return [(n, sum(sizes[:n])) for n in range(len(sizes))] or [(0, 0)]

    def read(self, piece: tuple[int, int]) -> Numbered:
        """The rows of a group."""
        from pyarrow.parquet import ParquetFile

        group, before = piece
        number = before
        with ParquetFile(self.path) as file:
            groups = [group] if file.num_row_groups else []
            for batch in file.iter_batches(batch_size=64, row_groups=groups):
                size = batch.nbytes // max(1, batch.num_rows)
                for row in batch.to_pylist():
                    number += 1
                    yield number, row, size


class Hub(Source):
    """A data set of the hub, which its own library has put on disk; a piece is a range of rows."""

    def __init__(self, name: str, rows: Dataset) -> None:
        self.name, self.rows = name, rows

    def content(self) -> str:
        """The library's fingerprint: over the commit, the configuration and the split."""
        return content_hash(["hub", self.rows._fingerprint, len(self.rows)])

    def commit(self) -> str:
        """The commit, 40 hex digits, where the library has noted it."""
        return commit_of(self.rows)

    def pieces(self) -> list[tuple[int, int]]:
        """Ranges of rows."""
        return ranges(len(self.rows), PIECE_ROWS) or [(0, 0)]

    def read(self, piece: tuple[int, int]) -> Numbered:
        """The rows of a range."""
        size = self.rows.data.nbytes // max(1, len(self.rows))
        step = max(1, min(BATCH_ROWS, BATCH_BYTES // max(1, size)))
        for start, end in ranges(piece[1] - piece[0], step):
            part = self.rows.select(range(piece[0] + start, piece[0] + end)).to_list()
            for number, row in enumerate(part, start=piece[0] + start + 1):
                yield number, row, size


class Wanted(Protocol):
    """Which rows of a data set of the hub."""

    @property
    def split(self) -> str:
        """The name of the split."""

    @property
    def config(self) -> str:
        """Of the data set; '' for its only one."""

    @property
    def revision(self) -> str:
        """A commit; '' for the newest."""


@dataclass(frozen=True, kw_only=True)
class HubRows:
    """Which rows of a data set of the hub: those of `train` where nothing is said."""

    split: str = "train"
    config: str = ""
    revision: str = ""


TRAIN = HubRows()
NONE_BUNDLED: Mapping[str, Path] = MappingProxyType({})


def find_source(
    name: str, wanted: Wanted = TRAIN, bundled: Mapping[str, Path] = NONE_BUNDLED
) -> Source:
    """The source of a name.

    Args:
        name: a file, a bundled name, or OWNER/NAME of the hub.
        wanted: of the hub.
        bundled: files by name.

    Raises:
        OlmesError: there is none.
    """
    path = local_file(name, bundled)
    if path is None:
        return Hub(name, hub_rows(name, wanted))
    kinds: Mapping[str, Callable[[Path], Source]] = {".gz": File, ".parquet": Parquet}
    return kinds.get(path.suffix, Lines)(path)


def local_file(name: str, bundled: Mapping[str, Path] = NONE_BUNDLED) -> Path | None:
    """The file of a source, or None for a hub data set.

    Raises:
        OlmesError: it is written as a file that does not exist, or as a bundled name there is none
            of.
    """
    path = Path(name).expanduser()
    if name.endswith(ENDINGS):
        if not path.is_file():
            raise OlmesError(f"there is no file {path}; check the path in [data].")
        return path
    if name in bundled:
        return bundled[name]
    if "/" not in name:
        kinds = ["a .jsonl or .parquet file", "OWNER/NAME of the hub"]
        if bundled:
            kinds.append(f"one of {', '.join(sorted(bundled))}")
        raise OlmesError(
            f"there is no data set '{name}'; give {', '.join(kinds[:-1])}, or {kinds[-1]}."
        )
    return None


def hub_rows(name: str, source: Wanted) -> Dataset:
    """The rows of a hub data set, fetched into the hub's own cache.

    Raises:
        OlmesError: it cannot be fetched.
    """
    import datasets

    try:
        found: Dataset = datasets.load_dataset(
            name, source.config or None, split=source.split, revision=source.revision or None
        )
    # The hub's library raises errors of many kinds for "not there" and "not reachable".
    except (OSError, ValueError, RuntimeError) as error:
        reason = (str(error).strip() or type(error).__name__).split("\n")[0]
        raise OlmesError(
            f"the data set '{name}' cannot be fetched from the hub ({reason}); check its name, split "
            "and revision, or give a .jsonl file."
        ) from None
    return found
