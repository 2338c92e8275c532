"""Rows as pages draw them: whole, unless their texts are longer than anybody reads on a page.

A row may have 16 MB and a task any number of them; a page, and what makes it, has to fit into memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from olmes.records.record import VERDICT
from olmes.tools.jsonl import line_of, parse_line_64bit

LONGEST_ROW = 256 << 10
"""Bytes of a row that is drawn as it is, where there are few."""
SHORTEST_ROW = 4 << 10
"""Bytes of a row that is drawn as it is, however many there are."""
ON_A_PAGE = 192 << 20
"""Bytes of a run's rows that a page is made of, about."""
SHORTEST_TEXT = 32
COUNTED = (*VERDICT, "flags")
"""What is never cut: items are found, counted and clustered by it."""
MOST_RECORD = 4 << 20
"""Bytes of `run.json` that a page is made of: each takes up to a hundred bytes to draw."""


def room_for_each(rows: int) -> int:
    """Bytes of each of so many rows."""
    return max(SHORTEST_ROW, min(LONGEST_ROW, ON_A_PAGE // max(1, rows)))


def drawn(lines: Iterable[bytes], rows: int) -> Iterator[bytes]:
    """The lines of a samples file, texts cut where a line has no room.

    Args:
        lines: without their ends.
        rows: how many the run has, those of its other tasks too.
    """
    room = room_for_each(rows)
    for line in lines:
        yield line if len(line) <= room else cut_line(line, room)


def cut_line(line: bytes, room: int) -> bytes:
    """A line with its longest texts cut to what fits, about: their beginnings and ends are kept."""
    row = parse_line_64bit(line, "a row")
    kept = {name: row[name] for name in COUNTED if name in row}
    most, items = room // 4, max(2, room // 64)
    while most > SHORTEST_TEXT:
        short = line_of(cut(row, most, items) | kept).removesuffix(b"\n")
        if len(short) <= room:
            return short
        most, items = most // 4, max(2, items // 4)
    return line_of(kept).removesuffix(b"\n")


def cut(value: Any, most: int, items: int) -> Any:
    """A value with no text longer than about `most` and no list longer than `items`."""
    if isinstance(value, str) and len(value) > most:
        half = most // 2
        left_out = f"[{len(value) - 2 * half:,} characters left out here]"
        return f"{value[:half]}\n{left_out}\n{value[-half:]}"
    if isinstance(value, dict):
        return {key: cut(own, most, items) for key, own in value.items()}
    if isinstance(value, list):
        half = items // 2
        ends = value if len(value) <= items else [*value[:half], *value[-half:]]
        return [cut(own, most, items) for own in ends]
    return value
