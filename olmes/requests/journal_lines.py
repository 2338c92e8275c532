"""The lines of a journal, read so that damage to one costs that one: what can be read, and where."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import BinaryIO

from olmes.requests.stored_response import (
    MOST_BYTES,
    DamagedError,
    NewerError,
    parse,
    response_of,
    unpack,
)
from olmes.tools.hashing import CHUNK
from olmes.types import Response

START = re.compile(rb'\{"item": ?"')
"""How an entry begins; inside a text of JSON its quotation marks would be escaped."""
BLANK = b" \t\r\n"
DAMAGED = "damaged"
NEWER = "of a newer olmes"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry is that can be read."""

    item: str
    offset: int
    size: int


@dataclass(slots=True)
class Line:
    """One line of the file: as a rule one entry."""

    number: int
    """From 1."""
    end: int
    """The offset behind it; of a last line without a line break, behind its last but one entry."""
    ended: bool
    """Whether it has its line break."""
    places: list[Place] = field(default_factory=list)
    trouble: str = ""
    """What something in it is that cannot be read: `DAMAGED` or `NEWER`; '' where there is none."""


def scan(stream: BinaryIO) -> Iterator[Line]:
    """Every line of a journal from its beginning.

    No more of a line is held than a response may have, however long it is.
    """
    stream.seek(0)
    offset = number = 0
    while raw := stream.readline(MOST_BYTES):
        number += 1
        begin = offset
        offset += len(raw)
        ended = raw.endswith(b"\n")
        if not ended and len(raw) == MOST_BYTES:
            offset, ended = skip_line(stream, offset)
            yield Line(number, offset, ended, trouble=DAMAGED)
            continue
        if not ended:
            # Its last entry is torn, or may be: it is none.
            raw = raw[: max((found.start() for found in START.finditer(raw)), default=0)]
        places, trouble = entries(raw, begin)
        yield Line(number, begin + len(raw), ended, places, trouble)


def skip_line(stream: BinaryIO, offset: int) -> tuple[int, bool]:
    """Pass over the rest of a line: the offset behind it, and whether it has a line break."""
    while raw := stream.readline(CHUNK):
        offset += len(raw)
        if raw.endswith(b"\n"):
            return offset, True
    return offset, False


def entries(raw: bytes, begin: int) -> tuple[list[Place], str]:
    """The entries of a line, and what is wrong with the rest of it; '' where nothing is.

    Where a line break was lost, or a crash left zeros before an entry, the line holds more than one
    entry.
    """
    if not raw.strip(BLANK):
        return [], ""
    try:
        return [Place(read_item(raw)[0], begin, len(raw))], ""
    except NewerError:
        return [], NEWER
    except DamagedError:
        pass
    starts = [found.start() for found in START.finditer(raw)]
    places = []
    for start, end in pairwise([*starts, len(raw)]):
        # Behind an entry something else may stand in place of its line break.
        size = raw.rfind(b"}", start, end) + 1 - start
        try:
            places.append(Place(read_item(raw[start : start + size])[0], begin + start, size))
        except DamagedError:
            continue
    return places, DAMAGED if len(places) < max(1, len(starts)) else ""


def read_item(raw: bytes) -> tuple[str, Response]:
    """The item and the response of an entry.

    Raises:
        DamagedError: it is not whole, or it says more than this olmes knows.
    """
    row = parse(raw)
    if not isinstance(row, dict) or not isinstance(row.get("item"), str):
        raise DamagedError
    given = row.keys() - {"item"}
    if given == {"packed"}:
        return row["item"], response_of(unpack(row["packed"]))
    if given == {"response"}:
        return row["item"], response_of(row["response"])
    raise NewerError if given & {"packed", "response"} else DamagedError
