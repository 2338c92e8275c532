"""What a task declares about its data: the official files, the hub's copy, the demo data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from olmes.types import Doc


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """One official file."""

    path: str
    """Place below a data folder, such as `gsm8k/test.jsonl.gz`; its name sets the format."""
    github: str
    """The public original as `owner/repository:path@commit`; gunzipped when its path ends in `.gz`.
    Empty when no single public file is the original."""
    sha256: str
    """Of the uncompressed bytes."""
    rows: int
    subtask: str = ""
    """Set when the benchmark has one file a sub-task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSplit:
    """One split of a data set on the Hugging Face hub."""

    repository: str
    split: str
    config: str | None = None
    subtask: str = ""


def unchanged(row: Doc) -> Doc:
    """A hub row that has the official file's fields already."""
    return row


def every_row(row: Doc) -> bool:  # noqa: ARG001 (called as a source's own is)
    """True: every row of the file is an item."""
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A task's data, wherever it is read from."""

    files: tuple[DataFile, ...]
    fields: tuple[str, ...]
    """The fields the task reads of every row. The content hash covers these (and `optional`) alone, so
    that a copy with an added index column is still the same data."""
    content_hash: str
    """`hashing.set_hash` over the official rows, each reduced to `fields` (and, when there is one
    file a sub-task, with its sub-task under the key `subtask`): what a copy is checked against."""
    hub: tuple[HubSplit, ...] = ()
    from_hub: Callable[[Doc], Doc] = unchanged
    """Turns a hub row into a row of the official file."""
    licence: str = ""
    optional: tuple[str, ...] = ()
    """Fields it reads where a row has them: of benchmarks whose files differ in their fields."""
    asked: Callable[[Doc], bool] = every_row
    """Whether a row, reduced to its fields, is an item; ids go by the rows of the file all the same."""
    partial: bool = False
    """Whether sub-tasks whose files are not available (gated, say) are left out and named; else
    all items come from one source, or none. For benchmarks of one file a sub-task."""
