"""Reading a benchmark's official file, whichever format its name says."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from olmes.errors import OlmesError
from olmes.tools import jsonl
from olmes.types import Doc


def find(folder: Path, path: str) -> Path | None:
    """The file at `path` below `folder`, gzipped or plain, whichever of the two is there."""
    other = path.removesuffix(".gz") if path.endswith(".gz") else f"{path}.gz"
    for name in (path, other):
        if (folder / name).is_file():
            return folder / name
    return None


def uncompressed(path: Path) -> bytes:
    """The bytes of a file, gunzipped when its name ends in `.gz`.

    Raises:
        OlmesError: the file cannot be read or is not gzip although it is named so.
    """
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if path.suffix == ".gz" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise OlmesError(f"{path} cannot be read ({error}); fetch it again.") from None


def rows(path: Path) -> list[Doc]:
    """The rows of a file in its order; the format follows from the name.

    `.jsonl`: an object a line. `.json`: an array of objects, or an object whose `examples` is one.
    `.csv`: a header and records, every value a string. `.parquet`: of values that JSON has. Each may be
    gzipped, with `.gz` at the end.

    Raises:
        OlmesError: the file cannot be read, has another format, or holds something else than
            objects; the message names the file and, where there is one, the line.
    """
    readers = {".jsonl": jsonl.read, ".json": _json, ".csv": _csv, ".parquet": _parquet}
    suffix = Path(path.name.removesuffix(".gz")).suffix
    if suffix not in readers:
        known = ", ".join(readers)
        raise OlmesError(f"{path} has no format that is known; name it {known} (or with .gz).")
    try:
        found = list(readers[suffix](path))
    except zlib.error as error:
        raise OlmesError(f"{path} cannot be read ({error}); fetch it again.") from None
    for number, row in enumerate(found, start=1):
        if not isinstance(row, dict):
            raise OlmesError(
                f"{path}, row {number}: {type(row).__name__} where an object belongs; correct the row."
            )
    return found


def _json(path: Path) -> list[Any]:
    text = jsonl.read_text(path)
    try:
        value = json.loads(text)
    except ValueError as error:
        raise OlmesError(f"{path}: not JSON ({error}); fetch or write it again.") from None
    if isinstance(value, dict):
        value = value.get("examples")
    if not isinstance(value, list):
        raise OlmesError(
            f"{path}: neither an array nor an object with 'examples'; correct the file."
        )
    return value


def _parquet(path: Path) -> list[Any]:
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.read_table(pyarrow.BufferReader(uncompressed(path)))
    except pyarrow.ArrowException as error:
        raise OlmesError(f"{path}: not Parquet ({error}); fetch or write it again.") from None
    found: list[Any] = table.to_pylist()
    for number, row in enumerate(found, start=1):
        for name, value in row.items():
            try:
                json.dumps(value)
            except TypeError as error:
                raise OlmesError(
                    f"{path}, row {number}: '{name}' has a value that JSON has not ({error}); write it "
                    "as text or as a number."
                ) from None
    return found


def _csv(path: Path) -> Iterator[Doc]:
    text = jsonl.read_text(path)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] | None = None
    try:
        for record in reader:
            if not record:
                continue
            if header is None:
                header = record
                continue
            if len(record) != len(header):
                raise OlmesError(
                    f"{path}, line {reader.line_num}: {len(record)} values under a header of "
                    f"{len(header)}; correct the line."
                )
            yield dict(zip(header, record, strict=True))
    except csv.Error as error:
        raise OlmesError(
            f"{path}, line {reader.line_num}: not CSV ({error}); correct the line."
        ) from None
