"""Items that two runs answered differently, packed for a page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from olmes.comparison.compare import TaskComparison
from olmes.records.schema import ResponseRow
from olmes.reports.sample_scripts import has_latex
from olmes.reports.samples import (
    CHUNK_CHARS,
    javascript_json,
    lines_of,
    pack,
    pack_text,
    question,
)
from olmes.reports.thoughts import SHORTEST, shortened

SHOWN = (
    "messages",
    "prompt",
    "prefill",
    "response",
    "extracted",
    "gold",
    "parts",
    "note",
    "flags",
)
"""What the page shows of a sample."""


@dataclass(frozen=True, slots=True)
class PackedFlips:
    """The flips of all tasks: columns to filter by, and the texts in chunks."""

    index: str
    chunks: tuple[str, ...]
    starts: tuple[int, ...]
    """The first flip of each chunk."""
    count: int
    mathematics: bool
    """Whether any of them holds some."""


def pack_flips(tasks: Iterable[TaskComparison]) -> PackedFlips:
    """The flips of a comparison's tasks, in their order.

    Args:
        tasks: those whose items were paired.
    """
    columns: dict[str, list[Any]] = {key: [] for key in ("task", "id", "won", "a", "b", "line")}
    texts: list[str] = []
    mathematics = False
    for task in tasks:
        rows = [flip.row_b for flip in task.flips]
        columns["line"] += lines_of(
            [row.get("subtask", "") for row in rows], [question(row) for row in rows]
        )
        for flip in task.flips:
            names = filter(None, (task.name, flip.subtask, str(flip.doc_id)))
            columns["task"].append(task.name)
            columns["id"].append("/".join(names))
            columns["won"].append((flip.b > flip.a) == task.higher_is_better)
            columns["a"].append(flip.a)
            columns["b"].append(flip.b)
            mathematics = mathematics or has_latex(flip.row_a) or has_latex(flip.row_b)
            texts.append(javascript_json([_shown(flip.row_a), _shown(flip.row_b)]))
    chunks, starts = _chunks(texts)
    return PackedFlips(pack(columns), chunks, starts, len(texts), mathematics)


def _shown(row: ResponseRow) -> dict[str, object]:
    row = shortened(row, SHORTEST)
    found = {key: value for key in SHOWN if (value := row.get(key))}
    if messages := row.get("messages"):
        found["messages"] = messages[-1:]
    return found


def _chunks(texts: list[str]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    packed: list[str] = []
    starts: list[int] = []
    open_chunk: list[str] = []
    size = 0
    for position, text in enumerate(texts):
        if not open_chunk:
            starts.append(position)
        open_chunk.append(text)
        size += len(text)
        if size >= CHUNK_CHARS or position == len(texts) - 1:
            packed.append(pack_text(f"[{','.join(open_chunk)}]"))
            open_chunk, size = [], 0
    return tuple(packed), tuple(starts)
