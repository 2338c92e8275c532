"""Reading and writing JSON lines, plain or gzipped, whatever a model put into a string."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from olmes.errors import OlmesError
from olmes.tools.durable_files import BUFFER as BUFFER
from olmes.tools.durable_files import atomic_writer as atomic_writer
from olmes.tools.durable_files import write_atomically as write_atomically

UTF8 = "utf-8-sig"
"""UTF-8, behind a byte order mark or not: programs on Windows begin files with one."""
READABLE = json.JSONEncoder(ensure_ascii=False)
ESCAPED = json.JSONEncoder()
DIGITS = bytes(ord("0") if chr(byte).isdigit() and byte < 128 else byte for byte in range(256))
"""Translates every digit to 0: how a long number is found many times as fast as by a pattern."""


def dumps(value: Any) -> str:
    """One line of JSON: readable where UTF-8 can encode it, escaped where there is a lone surrogate."""
    text = READABLE.encode(value)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return ESCAPED.encode(value)
    return text


def line_of(value: Any) -> bytes:
    """`dumps` as a line of a file."""
    try:
        return READABLE.encode(value).encode("utf-8") + b"\n"
    except UnicodeEncodeError:
        return ESCAPED.encode(value).encode("ascii") + b"\n"


def compact_json(value: Any) -> bytes:
    """JSON without spaces or line ends, several times as fast as `dumps`.

    NaN and infinities become null: for values without fractions.
    """
    import orjson

    try:
        return orjson.dumps(value)
    except TypeError:  # a lone surrogate, or a whole number beyond 64 bits
        return dumps(value).encode("utf-8")


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, gunzipped when its name ends in `.gz`.

    Raises:
        OlmesError: the file is missing, is not gzip although it is named so, or is not UTF-8.
    """
    try:
        raw = path.read_bytes()
        return (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode(UTF8)
    except FileNotFoundError:
        raise OlmesError(f"{path} does not exist; check the path.") from None
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise unreadable(path, error) from None


def read_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file, unpacked as its name ends (`.gz`, `.bz2`, `.xz`, `.zst`), one at a time.

    Raises:
        OlmesError: the file is missing, or is not packed although it is named so.
    """
    try:
        # Lines end at "\n" only: U+2028 and the like, which JSON strings may contain, end none.
        with unpacked(path) as stream:
            yield from stream
    except FileNotFoundError:
        raise OlmesError(f"{path} does not exist; check the path.") from None
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise unreadable(path, error) from None


def unpacked(path: Path) -> io.BufferedIOBase | BinaryIO:
    """A file for reading, unpacked as its name ends."""
    if path.suffix == ".gz":
        return gzip.open(path, "rb")
    if path.suffix == ".bz2":
        return bz2.open(path, "rb")
    if path.suffix == ".xz":
        return lzma.open(path, "rb")
    if path.suffix == ".zst":
        import pyarrow

        raw = pyarrow.CompressedInputStream(pyarrow.OSFile(str(path)), "zstd")
        return io.BufferedReader(raw, BUFFER)
    return path.open("rb", BUFFER)


def unreadable(path: Path, error: Exception) -> OlmesError:
    """The error for a file that cannot be read."""
    return OlmesError(f"{path} cannot be read ({error}); fetch or write it again as UTF-8.")


def read_numbered(path: Path) -> Iterator[tuple[int, Any]]:
    """The rows of a JSON-lines file with their line numbers from 1; blank lines are skipped.

    Raises:
        OlmesError: the file cannot be read, or a line is not JSON; the message names file and line.
    """
    for number, line in enumerate(read_lines(path), start=1):
        if line.strip():
            yield number, parse_line(line, path, number)


def parse_line(line: bytes, path: Path, number: int) -> Any:
    """The row of one line of a file.

    Raises:
        OlmesError: the line is not UTF-8, or not JSON; the message names file and line.
    """
    try:
        return json.loads(line.decode(UTF8))
    except UnicodeDecodeError as error:
        raise unreadable(path, error) from None
    except (ValueError, RecursionError) as error:
        raise OlmesError(
            f"{path}, line {number}: not JSON ({error}); fix or remove the line."
        ) from None


def read(path: Path) -> Iterator[Any]:
    """The rows of a JSON-lines file.

    Raises:
        OlmesError: as `read_numbered`.
    """
    return (row for _, row in read_numbered(path))


def scan(path: Path) -> Iterator[Any]:
    """The rows of a large file, one at a time and several times faster than `read`.

    It is gunzipped when its name ends in `.gz`. A whole number beyond 64 bits loses digits here;
    nothing else differs.

    Raises:
        OlmesError: as `read_numbered`.
    """
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                if line.strip():
                    yield parse_line_64bit(line, f"{path}, line {number}")
    except (OSError, EOFError, zlib.error) as error:
        raise OlmesError(f"{path} cannot be read ({error}); check the path.") from None


def parse_line_64bit(line: bytes, where: str) -> Any:
    """One line as `scan` reads it; `where` is named where it is not JSON.

    Raises:
        OlmesError: it is not JSON.
    """
    import orjson

    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return parse_nonstandard_line(line, where)


def parse_nonstandard_line(line: bytes, where: str) -> Any:
    """A line that the fast parser does not take: NaN, infinity, a lone surrogate, or no JSON.

    Raises:
        OlmesError: it is not JSON.
    """
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise OlmesError(f"{where}: not JSON ({error}); fix or remove the line.") from None


def write(path: Path, rows: Iterable[Any]) -> None:
    """Write rows as JSON lines, atomically."""
    with atomic_writer(path) as stream:
        for row in rows:
            stream.write(line_of(row))
