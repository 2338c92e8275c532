"""Rows of a samples file: checked, and what they can be searched by."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import orjson

from olmes.records.check import FieldError, converted
from olmes.records.schema import ResponseRow
from olmes.server.intake.checks import DEEPEST, parse_json, too_deep
from olmes.server.refusals import RefusedError

LONGEST_LINE = 16 << 20
"""Bytes of one row."""


def lines_of(stream: BinaryIO, name: str, most: int) -> Iterator[bytes]:
    """The lines of a samples file, without their ends.

    Args:
        stream: the file, or what decompresses it.
        name: what it is called in messages.
        most: bytes after which it is given up: a small file can decompress to anything.

    Raises:
        RefusedError: a line is blank, too long or not ended, or there is too much of them.
    """
    total = 0
    number = 0
    while line := stream.readline(LONGEST_LINE + 1):
        number += 1
        total += len(line)
        place = f"{name}, line {number}"
        if total > most:
            raise RefusedError(413, f"{name} holds more than {most:,} bytes.", name)
        if not line.endswith(b"\n"):
            long = len(line) > LONGEST_LINE
            why = f"is longer than {LONGEST_LINE:,} bytes" if long else "has no end"
            raise RefusedError(422, f"{place} {why}.", place)
        line = line[:-1]
        if not line.strip():
            raise RefusedError(422, f"{place} is blank; remove it.", place)
        yield line


def checked_row(line: bytes, place: str) -> ResponseRow:
    """The row of a line, checked: the fields of its type; others pass and are left out here.

    Raises:
        RefusedError: a field is missing or not what docs/record.md says.
    """
    finite = True
    try:
        # Not msgspec's own parser, which looks at fields it does not know less closely.
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        # It takes no lone surrogate, which a response may hold; and this one says what is wrong.
        value = parse_json(line, place)
        finite = False
    else:
        # Looked into only where there are brackets enough.
        if line.count(b"[") + line.count(b"{") > DEEPEST and too_deep(value):
            raise RefusedError(422, f"{place} is nested deeper than {DEEPEST} levels.", place)
    try:
        row = converted(value, ResponseRow)
    except FieldError as error:
        where = f"{place}: {error.field}" if error.field else place
        raise RefusedError(422, f"{where} {error.why}.", where) from None
    if not finite:
        check_finite(row, place)
    return row


def check_finite(row: ResponseRow, place: str) -> None:
    """Refuse numbers beyond what a float holds (1e999), which Python's parser lets pass.

    Raises:
        RefusedError: a value is one.
    """
    for metric, value in row["values"].items():
        parts = value if isinstance(value, Sequence) else [value or 0.0]
        if not all(map(math.isfinite, parts)):
            where = f"{place}: values.{metric}"
            raise RefusedError(422, f"{where} is not finite.", where)


def texts_of(row: ResponseRow) -> Iterator[str]:
    """The texts of a row that are searched: what was asked, said, wanted and found."""
    for turn in row.get("messages") or ():
        yield turn["content"]
    yield row.get("prompt") or ""
    yield row.get("prefill") or ""
    yield row.get("note") or ""
    if response := row.get("response"):
        yield response["text"]
        yield response.get("reasoning", "")
    for value in (row.get("gold"), row.get("extracted")):
        yield value if isinstance(value, str) else str(value)
    for judgement in row.get("judgements") or ():
        yield judgement.get("text") or ""


def holds(row: ResponseRow, words: str) -> bool:
    """Whether a text of the row holds the words (in lower case)."""
    return any(words in text.lower() for text in texts_of(row))
