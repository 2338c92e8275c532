"""JSON lines that rows are appended to, read so that a damaged line costs that line alone."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from olmes.tools.durable_files import write_line
from olmes.tools.jsonl import line_of
from olmes.tools.notices import say_once


def append(path: Path, row: Any) -> None:
    """Append a row that is on the disk when this returns; a torn last line stays one of its own."""
    with path.open("a+b", buffering=0) as stream:
        if end := stream.seek(0, os.SEEK_END):
            stream.seek(end - 1)
            torn = stream.read(1) != b"\n"
        else:
            torn = False
        write_line(stream, b"\n" * torn + line_of(row))


def readable_rows(path: Path) -> list[Any]:
    """The objects in a file, as far as they can be read; [] where there is none.

    A damaged line is told by its number and left out; a last one that a killed process left torn is
    not spoken of.
    """
    if not path.is_file():
        return []
    rows = []
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line.decode("utf-8"))
        except (ValueError, RecursionError):
            row = None
        if isinstance(row, dict):
            rows.append(row)
        elif line.strip() and number < len(lines):
            say_once(f"line {number} of {path} is damaged and is left out.")
    return rows
