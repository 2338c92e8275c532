"""Rows of a samples file: checked, and what they can be searched by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any

import orjson

from olmes.records.check import FieldError, converted
from olmes.records.schema import LARGEST, ResponseRow
from olmes.server.intake.fields import LARGEST_VALUE, parse_json, refused_part
from olmes.server.refusals import RefusedError
from olmes.tools import json_text
from olmes.tools.json_text import JsonTextError

LONGEST_LINE = 16 << 20
"""Bytes of one row."""
TOKENS = ("prompt_tokens", "completion_tokens", "prompt_truncated", "reasoning_tokens")
"""What of a response or a judgement is counted."""


def lines_of(stream: IO[bytes], name: str, most: int) -> Iterator[bytes]:
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
    try:
        # Not msgspec's own parser, which looks at fields it does not know less closely.
        value = orjson.loads(line)
        # Looked into only where there are brackets enough.
        if line.count(b"[") + line.count(b"{") > json_text.DEEPEST:
            json_text.check(value)
        return typed_row(value)
    except (orjson.JSONDecodeError, JsonTextError, FieldError):
        # It takes no lone surrogate, which a response may hold, and rounds what has over 64 bits;
        # the other parser is exact, and says what is wrong.
        value = parse_json(line, place)
    try:
        return typed_row(value)
    except FieldError as error:
        raise refused_part(place, error) from None


def typed_row(value: Any) -> ResponseRow:
    """JSON as a row.

    Raises:
        FieldError: it does not fit.
    """
    row = converted(value, ResponseRow)
    check_numbers(row)
    return row


def check_numbers(row: ResponseRow) -> None:
    """Hold a row's numbers against what can be added up.

    Raises:
        FieldError: a value is beyond what a score can be, or a count of tokens is none.
    """
    for metric, value in row["values"].items():
        parts = value if isinstance(value, Sequence) else (value or 0.0,)
        if not all(-LARGEST_VALUE <= part <= LARGEST_VALUE for part in parts):
            raise FieldError(f"values.{metric}", f"is beyond {LARGEST_VALUE:g}, which no score is")
    counted: list[tuple[str, Mapping[str, Any]]] = [("response", row.get("response") or {})]
    for number, judgement in enumerate(row.get("judgements") or ()):
        counted.append((f"judgements.{number}", judgement))
    for place, counts in counted:
        for name in TOKENS:
            if not 0 <= counts.get(name, 0) <= LARGEST:
                raise FieldError(f"{place}.{name}", f"must be between 0 and {LARGEST}")


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
    for execution in row.get("executions") or ():
        yield execution["output"]


def holds(row: ResponseRow, words: str) -> bool:
    """Whether a text of the row holds the words (in lower case)."""
    return any(words in text.lower() for text in texts_of(row))
