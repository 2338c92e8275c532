"""From the rows that a source gave to a task's instances, and how they differ from the official set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from msgspec import UNSET

from olmes.benchmark.source import Source
from olmes.benchmark.task import Task
from olmes.data import exemplars
from olmes.errors import OlmesError
from olmes.records.schema import Origin, TaskData
from olmes.tools.hashing import set_hash, sha256
from olmes.types import Doc, Instance

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A task's instances and where they are from."""

    instances: tuple[Instance, ...]
    """In the order of the source; each `doc` holds the fields of `Source.fields` and, when there is
    one file a sub-task, `subtask`: what the content hash covers."""
    origin: Origin
    location: str
    """The folder, `owner/repository@commit`, the hub's repositories, the demo data's file, or what the
    items were made from."""
    content_hash: str
    """As `Source.content_hash`, over these instances."""
    official: bool
    """Whether the content is the official set's, wherever it was read; a task that is a file of the
    user's own has no other set."""
    notes: tuple[str, ...] = ()
    """What a reader of the numbers must know about the data."""
    gated: bool = False
    """Whether these items may not be published in plain text (`Source.gated`); never of demo items."""
    missing: tuple[str, ...] = ()
    """Sub-tasks of the benchmark whose data were not available."""
    undeclared: bool = False
    """Whether the task does not say what its set is, so that none can be known as official."""
    folders: tuple[Path, ...] = ()
    """Where its files were looked for, of data that were found in a folder."""

    def recorded(self) -> TaskData:
        """What a record keeps of where they are from and what they are, and their number `n`."""
        return TaskData(
            origin=self.origin,
            location=self.location,
            content_hash=self.content_hash,
            official=self.official,
            n=len(self.instances),
            notes=list(self.notes),
            missing=list(self.missing) or UNSET,
            undeclared=(self.undeclared and not self.official) or UNSET,
        )


@dataclass(frozen=True, slots=True)
class DataPart:
    """Rows of one sub-task ('' when there are no sub-tasks, or one file holds them all)."""

    subtask: str
    rows: list[Doc]
    name: str
    """What an error calls them."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a source gave."""

    origin: Origin
    location: str
    parts: list[DataPart]
    missing: tuple[str, ...] = ()
    """Sub-tasks that it lacks."""
    folders: tuple[Path, ...] = ()
    """Where the files were looked for, each taken from the first that has it."""


def by_file(source: Source) -> bool:
    """Whether the benchmark has one file a sub-task (or one split, where it has no files)."""
    if source.files:
        return any(file.subtask for file in source.files)
    return any(split.subtask for split in source.hub)


def content_hash(source: Source, parts: Iterable[tuple[str, list[Doc]]]) -> str:
    """`Source.content_hash` of rows by sub-task: set hash over `fields`, with `subtask` if by file.

    Raises:
        KeyError: a row lacks a field.
    """
    return set_hash(reduced(row, source, subtask) for subtask, rows in parts for row in rows)


def reduced(row: Doc, source: Source, subtask: str) -> Doc:
    """A row as a task sees it: the declared fields and, where there is one file a sub-task, that.

    Raises:
        KeyError: the row lacks a field.
    """
    named = {"subtask": subtask} if by_file(source) else {}
    others = {field: row[field] for field in source.optional if field in row}
    return {field: row[field] for field in source.fields} | others | named


def made_dataset(task: Task, found: Found, say: Say, prompts: bool = True) -> Dataset:
    """The instances, and how they differ from the official set.

    Raises:
        OlmesError: there are no rows, a row lacks a field, or the official files have another
            content hash than the task declares.
    """
    instances, digest = made_instances(task, found)
    shots = exemplars.read(task, found.origin, found.folders) if prompts else exemplars.NONE
    task.exemplar_rows = shots.rows
    own = task.items_file is not None
    # A file of the user's own is the set; there is no other that it should be.
    official = own or (digest == task.source.content_hash and shots.official)
    if found.origin == "official" and not official and not found.missing:
        raise OlmesError(
            f"{task.name} declares the content hash {task.source.content_hash!r}, but its official "
            f"files have {digest}; write that into the task's source."
        )
    task.official_data = official
    notes = () if own else tuple(_notes(task.source, found, digest, len(instances), shots))
    if not shots.official:  # the same items after other exemplars are another set
        digest = sha256(f"{digest} {shots.content_hash}".encode())
    for note in notes:
        say(f"{task.name}: {note}")
    return Dataset(
        instances=instances,
        origin=found.origin,
        location=found.location,
        content_hash=digest,
        official=official,
        notes=notes,
        gated=task.source.gated and found.origin not in ("demo", "generated"),
        missing=found.missing,
        undeclared=not (own or found.origin == "demo" or task.source.content_hash),
        folders=found.folders,
    )


def made_instances(task: Task, found: Found) -> tuple[tuple[Instance, ...], str]:
    """The instances, and the content hash of their rows, exemplars aside: what a source declares.

    Raises:
        OlmesError: there are no rows, or one lacks a field.
    """
    parts = _numbered(task.source, [_in_known_form(task, part) for part in found.parts])
    instances = _instances(task, parts)
    if not instances:
        raise OlmesError(f"{task.name}: {found.location} holds no rows; give a file that has some.")
    return instances, content_hash(task.source, [(part.subtask, part.rows) for part in parts])


def _in_known_form(task: Task, part: DataPart) -> DataPart:
    """The rows in the form that the task reads.

    Raises:
        OlmesError: a row is in no form that it knows.
    """
    turned = []
    for number, row in enumerate(part.rows, start=1):
        try:
            turned.append(task.source.known_form(row))
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise OlmesError(
                f"{part.name}, row {number}: not in a form that {task.name} knows "
                f"({type(error).__name__}: {error}); correct the row."
            ) from None
    return replace(part, rows=turned)


def _numbered(source: Source, parts: list[DataPart]) -> list[DataPart]:
    """The rows with their numbers, from 0 in each sub-task, where the source wants them."""
    if not source.row_field:
        return parts
    counted: Counter[str] = Counter()
    numbered = []
    for part in parts:
        rows = []
        for row in part.rows:
            rows.append({source.row_field: counted[part.subtask], **row})
            counted[part.subtask] += 1
        numbered.append(DataPart(part.subtask, rows, part.name))
    return numbered


def _instances(task: Task, parts: list[DataPart]) -> tuple[Instance, ...]:
    instances = []
    counted: dict[str, int] = {}
    for part in parts:
        for number, row in enumerate(part.rows, start=1):
            lacking = [field for field in task.source.fields if field not in row]
            if lacking:
                raise OlmesError(
                    f"{part.name}, row {number}: no field '{lacking[0]}', which {task.name} reads; "
                    "give a file that has it."
                )
            doc = reduced(row, task.source, part.subtask)
            # Files that share a sub-task are numbered on, so that an id stays one item's alone.
            doc_id = counted[part.subtask] = counted.get(part.subtask, -1) + 1
            if not task.source.asked(doc):
                continue
            subtask = part.subtask or task.subtask(doc)
            instances.append(Instance(task.name, doc_id, doc, subtask))
    return tuple(instances)


def _notes(
    source: Source, found: Found, digest: str, n: int, shots: exemplars.ExemplarRows
) -> list[str]:
    if found.origin == "demo":
        written = f"{n} items and their exemplars" if shots.rows else f"{n} items"
        return [
            f"demo data: {written} written for this project, never comparable with numbers on the "
            "real set."
        ]
    other = (
        []
        if shots.official
        else [f"the exemplars differ from the official ones: hash {shots.content_hash[:16]}."]
    )
    return other + _item_notes(source, found, digest, n)


def _item_notes(source: Source, found: Found, digest: str, n: int) -> list[str]:
    if found.missing:
        return [
            f"without {', '.join(found.missing)}, whose data are not here: its number is the mean of "
            "the rest, not the benchmark's."
        ]
    if digest == source.content_hash:
        return []
    if not source.content_hash:
        return [f"the task declares no content hash to check the data by; this data has {digest}."]
    if found.origin == "generated":
        return [f"another set of items than the standard one: hash {digest[:16]}."]
    expected = sum(file.rows for file in source.files)
    other = expected and n != expected
    rows = f"{n} rows where the official set has {expected}" if other else f"{n} rows"
    return [
        f"the content of {found.location} differs from the official set: hash {digest[:16]}, "
        f"official {source.content_hash[:16]}; {rows}."
    ]
