"""What a task declares about its data: the official files, the hub's copy, the demo data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from olmes.types import Doc


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """One file of the set."""

    path: str
    """Place beside the task's file or below a data folder, such as `gsm8k/test.jsonl.gz`, or an
    absolute path; its name sets the format."""
    github: str = ""
    """The public original as `owner/repository:path@commit`; gunzipped when its path ends in `.gz`.
    Empty when no single public file is the original."""
    sha256: str = ""
    """Of the uncompressed bytes, which a file that is fetched is checked by."""
    rows: int = 0
    """0 where the task does not say."""
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
    content_hash: str = ""
    """`hashing.set_hash` over the official rows, each reduced to `fields` (and, when there is one
    file a sub-task, with its sub-task under the key `subtask`): what a copy is checked against.
    Where it is empty no data count as official; `olmes data list TASK` says what to write."""
    hub: tuple[HubSplit, ...] = ()
    from_hub: Callable[[Doc], Doc] = unchanged
    """Turns a hub row into a row of the official file."""
    known_form: Callable[[Doc], Doc] = unchanged
    """Turns a row of any form the set is passed around in, from a file or an inline document, into the
    one the task reads; a row in that form stays as it is."""
    other_files: tuple[DataFile, ...] = ()
    """A part of the set, or the set in another form: read where a folder has these and not the official
    files. They have no exemplars, so that a task whose exemplars are data only scores by them."""
    exemplars: Source | None = None
    """For a task whose exemplars are rows of another split: where these are read from, which is the
    same place as the items; the task finds them in `exemplar_rows`. Beside demo data they are
    `demo/NAME-exemplars.jsonl`. Their `content_hash` is over the rows in their order."""

    question: tuple[str, ...] = ()
    """Those of `fields` (or `optional`) in which an item asks: what decontamination compares with the
    rows of a training. Without them it is the turn that the model is asked with, template and all."""
    answer: tuple[str, ...] = ()
    """Those that hold what a right answer says, which decontamination compares where it is asked to."""
    licence: str = ""
    row_field: str = ""
    """One of `fields` that no file has and that is filled in: the item's row, from 0. For a benchmark
    whose prompt depends on it, as where the order of options is drawn by it."""
    gated: bool = False
    """Whether whoever gives the items out has asked that they are not published in plain text. Samples
    of real items then stay packed and are shown nowhere; demo items are the project's own."""
    optional: tuple[str, ...] = ()
    """Fields it reads where a row has them: of benchmarks whose files differ in their fields."""
    asked: Callable[[Doc], bool] = every_row
    """Whether a row, reduced to its fields, is an item; ids go by the rows of the file all the same."""
    partial: bool = False
    """Whether sub-tasks whose files are not available (gated, say) are left out and named; else
    all items come from one source, or none. For benchmarks of one file a sub-task."""

    @property
    def every_file(self) -> tuple[DataFile, ...]:
        """The official files, those of the exemplars among them."""
        return self.files + (self.exemplars.files if self.exemplars else ())
