"""Samples packed for a page: small columns to filter by, and the texts in chunks read on demand.

A task becomes one index (ids, values, flags and a line of text a row) and chunks of whole rows.
Each is JSON, gzipped, in base64: the page unpacks the index at once and a chunk when one of its
samples is opened or searched.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from olmes import jsonl

from .numbers import is_number, is_share

CHUNK_CHARS = 200_000
"""JSON characters after which a chunk is closed: a few milliseconds to unpack in a browser."""
LINE_CHARS = 140
"""Characters of a sample's line in the list."""
SAFE_INTEGER = 2**53
"""JavaScript rounds whole numbers beyond this."""


@dataclass(frozen=True, slots=True)
class PackedTask:
    """What the page holds of one task's samples."""

    index: str
    """Packed columns."""
    chunks: tuple[str, ...]
    """Packed rows."""
    starts: tuple[int, ...]
    """The first row of each chunk."""
    values: tuple[str, ...]
    """Metrics with values from 0 to 1, by which samples can be filtered."""
    flags: dict[str, int]
    """Samples by flag, `disputed` among them."""
    lengths: tuple[int, ...]
    """Tokens of each response that there is."""


def pack(value: Any) -> str:
    """`value` as JSON, gzipped, in base64."""
    return pack_text(javascript_json(value))


def pack_text(text: str) -> str:
    """`text` gzipped (without a time stamp: the same bytes every time), in base64."""
    raw = gzip.compress(text.encode("utf-8"), compresslevel=6, mtime=0)
    return base64.b64encode(raw).decode("ascii")


def javascript_json(value: Any) -> str:
    """`value` as JSON that JavaScript reads without loss."""
    return jsonl.dumps(javascript_safe(value))


def javascript_safe(value: Any) -> Any:
    """`value` with numbers that JavaScript cannot read as text: NaN, infinities, beyond 2**53."""
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, dict):
        return {key: javascript_safe(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [javascript_safe(item) for item in value]
    return value if is_number(value) and abs(value) <= SAFE_INTEGER else json.dumps(value)


def pack_task(
    rows: Iterable[dict[str, Any]],
    *,
    primary: str,
    honest: Sequence[str],
    shared: Sequence[dict[str, Any]],
) -> PackedTask:
    """The samples of one task, packed.

    Args:
        rows: the task's samples.
        primary: the task's primary metric.
        honest: names of its honest metrics. A sample on which one of them differs from the primary
            metric is flagged `disputed`.
        shared: the turns that every request of the task begins with.
    """
    rows = list(rows)
    values = _value_columns(rows)
    filterable = tuple(
        name for name, column in values.items() if all(v is None or is_share(v) for v in column)
    )
    flags = [list(row.get("flags", ())) for row in rows]
    for name in honest:
        for position, (one, other) in enumerate(
            zip(values.get(primary, ()), values.get(name, ()), strict=False)
        ):
            if None not in (one, other) and one != other and "disputed" not in flags[position]:
                flags[position].append("disputed")
    index = {
        "shared": shared,
        "doc": [row["doc_id"] for row in rows],
        "subtask": [row.get("subtask", "") for row in rows],
        "repeat": [row.get("repeat", 0) for row in rows],
        "values": {name: values[name] for name in filterable},
        "flags": flags,
        "line": lines_of(rows),
    }
    chunks, starts = _chunks(rows)
    return PackedTask(
        index=pack(index),
        chunks=chunks,
        starts=starts,
        values=filterable,
        flags=dict(Counter(flag for each in flags for flag in each)),
        lengths=tuple(
            response["completion_tokens"]
            for row in rows
            if (response := row.get("response")) and not response.get("error")
        ),
    )


def _value_columns(rows: list[dict[str, Any]]) -> dict[str, list[float | None]]:
    """Values by metric, one a row: a list of flags becomes its share, a missing value None."""
    columns: dict[str, list[float | None]] = {}
    for position, row in enumerate(rows):
        for name, value in row.get("values", {}).items():
            number = sum(value) / len(value) if isinstance(value, list) and value else value
            number = round(float(number), 6) if isinstance(number, (bool, int, float)) else None
            column = columns.setdefault(name, [None] * len(rows))
            column[position] = number if is_number(number) else None
    return columns


def question(row: dict[str, Any]) -> str:
    """What the sample asks: the last turn, or the plain prompt."""
    messages = row.get("messages") or []
    return str(messages[-1]["content"] if messages else row.get("prompt") or "")


def lines_of(rows: list[dict[str, Any]]) -> list[str]:
    """One line a row: its question, without the instructions that all of its sub-task begin with."""
    questions: dict[str, set[str]] = {}
    for row in rows:
        questions.setdefault(row.get("subtask", ""), set()).add(question(row))
    skips = {}
    for subtask, texts in questions.items():
        common = _common_start(texts) if len(texts) > 1 else ""
        ends = [common.rfind(end) + len(end) for end in ("\n", ". ", ": ") if end in common]
        skips[subtask] = max(ends, default=0)
    return [
        " ".join(question(row)[skips[row.get("subtask", "")] :][: 4 * LINE_CHARS].split())[
            :LINE_CHARS
        ]
        for row in rows
    ]


def _common_start(texts: Collection[str]) -> str:
    first, last = min(texts), max(texts)
    pairs = zip(first, last, strict=False)
    return first[: next((at for at, (one, other) in enumerate(pairs) if one != other), len(first))]


def _chunks(rows: list[dict[str, Any]]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Rows packed in their order, the turns before each last one kept once a chunk."""
    packed: list[str] = []
    starts: list[int] = []
    texts: list[str] = []
    shots: dict[str, int] = {}
    size = 0
    for position, row in enumerate(rows):
        if not texts:
            starts.append(position)
        messages = row.get("messages") or []
        own = {**row, "messages": messages[-1:]}
        if messages[:-1]:
            before = javascript_json(messages[:-1])
            size += 0 if before in shots else len(before)
            own["shots"] = shots.setdefault(before, len(shots))
        texts.append(javascript_json(own))
        size += len(texts[-1])
        if size >= CHUNK_CHARS or position == len(rows) - 1:
            packed.append(pack_text(f'{{"shots":[{",".join(shots)}],"rows":[{",".join(texts)}]}}'))
            texts, shots, size = [], {}, 0
    return tuple(packed), tuple(starts)
