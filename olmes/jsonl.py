"""Reading and writing JSON lines, plain or gzipped, whatever a model put into a string."""

from __future__ import annotations

import gzip
import json
import os
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from olmes.errors import OlmesError


def dumps(value: Any) -> str:
    """One line of JSON: readable where UTF-8 can hold it, escaped where a lone surrogate cannot."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(value)
    return text


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, gunzipped when its name ends in `.gz`.

    Raises:
        OlmesError: the file is missing, is not gzip although it is named so, or is not UTF-8.
    """
    try:
        raw = path.read_bytes()
        return (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8")
    except FileNotFoundError:
        raise OlmesError(f"{path} does not exist; check the path.") from None
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise OlmesError(
            f"{path} cannot be read ({error}); fetch or write it again as UTF-8."
        ) from None


def read_numbered(path: Path) -> Iterator[tuple[int, Any]]:
    """The rows of a JSON-lines file with their line numbers from 1; blank lines are passed over.

    Raises:
        OlmesError: a line is not JSON; the message names file and line.
    """
    # Split at "\n" only: str.splitlines also breaks at U+2028, which JSON strings may hold.
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except ValueError as error:
                raise OlmesError(
                    f"{path}, line {number}: not JSON ({error}); mend or remove the line."
                ) from None


def read(path: Path) -> Iterator[Any]:
    """The rows of a JSON-lines file.

    Raises:
        OlmesError: as `read_numbered`.
    """
    return (row for _, row in read_numbered(path))


def scan(path: Path) -> Iterator[Any]:
    """The rows of a large file, one at a time and several times faster than `read`.

    A whole number beyond 64 bits loses digits here; nothing else differs.

    Raises:
        OlmesError: as `read_numbered`.
    """
    import orjson

    try:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                try:
                    yield orjson.loads(line)
                except orjson.JSONDecodeError:
                    if line.strip():
                        yield slowly(line, f"{path}, line {number}")
    except OSError as error:
        raise OlmesError(f"{path} cannot be read ({error}); check the path.") from None


def slowly(line: bytes, place: str) -> Any:
    """A line that the fast parser does not take: NaN, infinity, a lone surrogate, or no JSON.

    Raises:
        OlmesError: it is not JSON.
    """
    try:
        return json.loads(line)
    except ValueError as error:
        raise OlmesError(f"{place}: not JSON ({error}); mend or remove the line.") from None


def write_atomically(path: Path, text: str) -> None:
    """Write `text` to `path` so that a reader sees the old file or the whole new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write(path: Path, rows: Iterable[Any]) -> None:
    """Write rows as JSON lines, atomically."""
    write_atomically(path, "".join(dumps(row) + "\n" for row in rows))
