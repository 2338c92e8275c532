"""Samples packed for a page: small columns to filter by, and the texts in chunks read on demand.

A task becomes one index (ids, values, flags and a line of text a row) and chunks of whole rows.
Each is JSON, gzipped, in base64: the page unpacks the index at once and a chunk when one of its
samples is opened or searched.
"""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from olmes.records.items import mean_value
from olmes.records.part_kinds import scored_parts
from olmes.records.schema import ResponseRow, RowValue, TaskResult
from olmes.reports.numbers import is_number
from olmes.reports.thoughts import LONGEST, room_for_each, shortened
from olmes.tools import jsonl

CHUNK_CHARS = 200_000
"""JSON characters after which a chunk is closed: a few milliseconds to unpack in a browser."""
SHOWN = 20_000
"""Samples of a task that a page holds, at most: every benchmark's once, some 5 MB."""
LINE_CHARS = 140
"""Characters of a sample's line in the list."""
SAFE_INTEGER = 2**53
"""JavaScript rounds whole numbers beyond this."""
LONG_NUMBER = b"0" * 16
UNSAFE = (b"0e+", b"NaN", b"Infinity")
"""What JSON holds where a number is beyond that or is none; texts may hold it too."""


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
    """Metrics that are shares, by which samples can be filtered."""
    flags: dict[str, int]
    """Samples by flag, `disputed` among them."""
    parts: tuple[str, ...]
    """Kinds of instructions that its responses are judged on, by which samples can be filtered."""
    extracts: bool
    """Whether an answer is looked for in its responses."""
    rows: int
    """Samples that are packed."""


@dataclass(frozen=True, slots=True)
class ShownSamples:
    """Which samples of a task a page holds: the first responses to each item, as many as fit.

    Of long thoughts it holds the beginning and the end.
    """

    rows: float
    """Samples, at most."""
    repeats: float
    """Responses to an item, at most."""
    thought: int = LONGEST
    """Characters of a thought, at most."""

    @classmethod
    def of(cls, rows: int, repeats: int) -> ShownSamples:
        """For a task of so many rows, of which an item has `repeats`: all, if they fit."""
        if rows <= SHOWN:
            return cls(math.inf, math.inf, room_for_each(rows))
        return cls(SHOWN, max(1, SHOWN * repeats // rows), room_for_each(SHOWN))

    def has(self, row: ResponseRow, before: int) -> bool:
        """Whether the page holds a row, when it holds so many before it."""
        return before < self.rows and row.get("repeat", 0) < self.repeats


ALL = ShownSamples(math.inf, math.inf)


def pack(value: Any) -> str:
    """`value` as JSON, gzipped, in base64."""
    return pack_text(javascript_json(value))


def pack_text(text: str) -> str:
    """`text` gzipped (without a time stamp: the same bytes every time), in base64."""
    raw = gzip.compress(text.encode("utf-8"), compresslevel=6, mtime=0)
    return base64.b64encode(raw).decode("ascii")


def javascript_json(value: Any) -> str:
    """`value` as JSON that JavaScript reads without loss."""
    text = jsonl.dumps(value)
    # Looked through number by number only where one may be too large or no number.
    digits = text.encode("utf-8").translate(jsonl.DIGITS)
    unsafe = LONG_NUMBER in digits or any(mark in digits for mark in UNSAFE)
    return jsonl.dumps(javascript_safe(value)) if unsafe else text


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
    rows: Iterable[ResponseRow], task: TaskResult, shown: ShownSamples = ALL
) -> PackedTask:
    """The samples of one task, packed; rows are read one by one, and only packed ones stay in memory.

    Args:
        rows: the task's samples. One on which an honest metric differs from the primary one is
            flagged `disputed`.
        task: what they are samples of.
        shown: which of the samples are packed; all are counted.
    """
    columns, chunks = Columns(task), Chunks()
    counts: Counter[str] = Counter()
    honest = honest_metrics(task)
    extracts = False
    for row in rows:
        extracts = extracts or row.get("extracted") is not None or "unparsed" in row["flags"]
        values = {name: _number(value) for name, value in row["values"].items()}
        flags = list(row["flags"])
        main = values.get(task.primary)
        others = (values.get(name) for name in honest)
        if main is not None and any(one not in (None, main) for one in others):
            flags += [] if "disputed" in flags else ["disputed"]
        counts.update(flags)
        if shown.has(row, len(columns)):
            columns.add(row, values, flags)
            chunks.add(shortened(row, shown.thought))
    packed, starts = chunks.end()
    return PackedTask(
        index=pack({"shared": task.shared_messages, **columns.index()}),
        chunks=packed,
        starts=starts,
        values=tuple(columns.values),
        flags=dict(counts),
        parts=tuple(columns.kinds),
        extracts=extracts,
        rows=len(columns),
    )


def honest_metrics(task: TaskResult) -> list[str]:
    """The names of a task's honest metrics."""
    return [name for name, metric in task.metrics.items() if metric.honest]


def _number(value: RowValue) -> float | None:
    """A metric's value on one response; None where there is none, or none that is finite."""
    found = mean_value(value)
    return round(found, 6) if found is not None and is_number(found) else None


class Columns:
    """The index of a task, row by row."""

    def __init__(self, task: TaskResult) -> None:
        self.shares = {name for name, metric in task.metrics.items() if metric.unit == "share"}
        self.doc: list[int] = []
        self.subtask: list[str] = []
        self.repeat: list[int] = []
        self.flags: list[list[str]] = []
        self.chars: list[int] = []
        self.kinds: dict[str, int] = {}
        self.parts: list[list[tuple[int, int]]] = []
        """Number of the kind and whether it is followed, strictly read, by row and instruction."""
        self.values: dict[str, list[float | None]] = {}
        self.questions: list[str] = []
        self.known: dict[str, str] = {}
        """Each question once, however many rows ask it."""

    def __len__(self) -> int:
        return len(self.doc)

    def add(self, row: ResponseRow, values: dict[str, float | None], flags: list[str]) -> None:
        """Add a row."""
        for name in (name for name in values if name in self.shares):
            self.values.setdefault(name, [None] * len(self.doc))
        for name, column in self.values.items():
            column.append(values.get(name))
        self.doc.append(row["doc_id"])
        self.subtask.append(row.get("subtask", ""))
        self.repeat.append(row.get("repeat", 0))
        self.flags.append(flags)
        response = row.get("response")
        self.chars.append(len(response["text"]) if response else 0)
        self.parts.append(
            [
                (self.kinds.setdefault(part["id"], len(self.kinds)), int(part["strict"]))
                for part in scored_parts(row)
            ]
        )
        asked = question(row)
        self.questions.append(self.known.setdefault(asked, asked))

    def index(self) -> dict[str, object]:
        """The columns by name."""
        return {
            "doc": self.doc,
            "subtask": self.subtask,
            "repeat": self.repeat,
            "values": self.values,
            "flags": self.flags,
            "chars": self.chars,
            "parts": self.parts if self.kinds else None,
            "line": lines_of(self.subtask, self.questions),
        }


def question(row: ResponseRow) -> str:
    """What the sample asks: the last turn, or the plain prompt."""
    messages = row.get("messages") or []
    return str(messages[-1]["content"] if messages else row.get("prompt") or "")


def lines_of(subtasks: Sequence[str], questions: Sequence[str]) -> list[str]:
    """One line a row: its question, without the instructions that all of its sub-task begin with."""
    asked: dict[str, set[str]] = {}
    for subtask, text in zip(subtasks, questions, strict=True):
        asked.setdefault(subtask, set()).add(text)
    skips = {}
    for subtask, texts in asked.items():
        common = _common_start(texts) if len(texts) > 1 else ""
        ends = [common.rfind(end) + len(end) for end in ("\n", ". ", ": ") if end in common]
        skips[subtask] = max(ends, default=0)
    return [
        " ".join(text[skips[subtask] :][: 4 * LINE_CHARS].split())[:LINE_CHARS]
        for subtask, text in zip(subtasks, questions, strict=True)
    ]


def _common_start(texts: Collection[str]) -> str:
    first, last = min(texts), max(texts)
    pairs = zip(first, last, strict=False)
    return first[: next((at for at, (one, other) in enumerate(pairs) if one != other), len(first))]


class Chunks:
    """Rows packed in their order, the turns before each last one kept once a chunk."""

    def __init__(self) -> None:
        self.packed: list[str] = []
        self.starts: list[int] = []
        self.rows = 0
        self.texts: list[str] = []
        self.shots: dict[str, int] = {}
        self.size = 0

    def add(self, row: ResponseRow) -> None:
        """Add a row; a chunk that is full is closed."""
        if not self.texts:
            self.starts.append(self.rows)
        self.rows += 1
        messages = row.get("messages") or []
        own: dict[str, object] = {**row, "messages": messages[-1:]}
        if messages[:-1]:
            before = javascript_json(messages[:-1])
            self.size += 0 if before in self.shots else len(before)
            own["shots"] = self.shots.setdefault(before, len(self.shots))
        self.texts.append(javascript_json(own))
        self.size += len(self.texts[-1])
        if self.size >= CHUNK_CHARS:
            self.close()

    def close(self) -> None:
        """Pack the rows that wait."""
        if self.texts:
            shots, rows = ",".join(self.shots), ",".join(self.texts)
            self.packed.append(pack_text(f'{{"shots":[{shots}],"rows":[{rows}]}}'))
            self.texts, self.shots, self.size = [], {}, 0

    def end(self) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """The chunks, and the first row of each."""
        self.close()
        return tuple(self.packed), tuple(self.starts)
