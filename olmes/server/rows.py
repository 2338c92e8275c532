"""Rows of a samples file: checked, and what they can be filtered and searched by."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import orjson

from olmes.records.record import Row
from olmes.server.record_schema import DEEPEST, LARGEST, parse_json, too_deep
from olmes.server.refusals import RefusedError

LONGEST_LINE = 16 << 20
"""Bytes of one row."""
TEXTS = ("subtask", "doc_hash", "prompt_hash", "prefill", "note")


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


def checked_row(line: bytes, place: str) -> Row:
    """The row of a line, checked.

    Raises:
        RefusedError: a field is missing or not what docs/record.md says.
    """
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        # It takes no lone surrogate, which a response may hold; and this one says what is wrong.
        row = parse_json(line, place)
    else:
        if too_deep(row):
            raise RefusedError(422, f"{place} is nested deeper than {DEEPEST} levels.", place)
    if not isinstance(row, dict):
        raise RefusedError(422, f"{place} is not a JSON object.", place)
    for field, why in wrong_with(row):
        raise RefusedError(422, f"{place}: {field} {why}.", f"{place}: {field}")
    return row


def wrong_with(row: Row) -> Iterator[tuple[str, str]]:
    """The fields of a row that are not what they should be, with the reason."""
    for field, default in (("doc_id", None), ("repeat", 0)):
        value = row.get(field, default)
        if type(value) is not int or not -LARGEST <= value <= LARGEST:
            yield field, "has to be a whole number"
    for field in TEXTS:
        if not isinstance(row.get(field, ""), str):
            yield field, "has to be a text"
    if "doc_hash" not in row:
        yield "doc_hash", "is missing"
    values = row.get("values")
    if isinstance(values, dict):
        for metric, value in values.items():
            if not is_value(value):
                yield f"values.{metric}", "has to be a number, a flag, a list of them or null"
    else:
        yield "values", "has to be an object"
    flags = row.get("flags")
    if not (isinstance(flags, list) and all(isinstance(flag, str) for flag in flags)):
        yield "flags", "has to be a list of texts"
    yield from wrong_with_texts(row)


def wrong_with_texts(row: Row) -> Iterator[tuple[str, str]]:
    """The same of what was asked and answered."""
    response = row.get("response")
    if response is not None and not isinstance(response, dict):
        yield "response", "has to be an object or null"
    elif not isinstance((response or {}).get("text", ""), str):
        yield "response.text", "has to be a text"
    if not (row.get("messages") is None or all(map(is_turn, as_list(row["messages"])))):
        yield "messages", "has to be a list of turns with role and content"
    if not isinstance(row.get("prompt"), (str, type(None))):
        yield "prompt", "has to be a text or null"


def as_list(value: Any) -> list[Any]:
    """A list as it is; anything else as a list that no check lets pass."""
    return value if isinstance(value, list) else [None]


def is_turn(value: Any) -> bool:
    """Whether it is a turn of a conversation."""
    return isinstance(value, dict) and all(
        isinstance(value.get(key), str) for key in ("role", "content")
    )


def is_value(value: Any) -> bool:
    """Whether a metric can have it on one response."""
    if isinstance(value, list):
        return all(isinstance(part, (bool, int, float)) for part in value)
    return value is None or isinstance(value, (bool, int, float))


def value_of(row: Row, metric: str) -> float | None:
    """The metric's value on a row, the mean over its parts; None where there is none."""
    value = row["values"].get(metric)
    if isinstance(value, list):
        return sum(map(float, value)) / len(value) if value else None
    return None if value is None else float(value)


def texts_of(row: Row) -> Iterator[str]:
    """The texts of a row that are searched: what was asked, said, wanted and found."""
    for turn in row.get("messages") or ():
        yield turn["content"]
    for field in ("prompt", "prefill", "note"):
        yield row.get(field) or ""
    yield (row.get("response") or {}).get("text") or ""
    for field in ("gold", "extracted"):
        value = row.get(field)
        yield value if isinstance(value, str) else str(value)
    for judgement in row.get("judgements") or ():
        if isinstance(judgement, dict):
            yield str(judgement.get("text") or "")


def holds(row: Row, words: str) -> bool:
    """Whether a text of the row holds the words (in lower case)."""
    return any(words in text.lower() for text in texts_of(row))
