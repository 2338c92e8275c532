"""What files of a task that lie on this machine hold: rows, and the hashes that a source declares."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from olmes.benchmark.task import Task
from olmes.data import exemplars, files
from olmes.data.dataset import made_instances
from olmes.data.places import DataFolders, any_in, data_folders, places_of
from olmes.data.resolve import found_here
from olmes.tools.hashing import sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """A task's own set as it lies here, demo data aside."""

    items: int
    content_hash: str
    """What `Source.content_hash` has to be for this set."""
    exemplars: int
    """Rows of the exemplars; 0 where they are no data."""
    exemplars_hash: str
    """What `Source.exemplars.content_hash` has to be; empty where they are no data."""
    missing: tuple[str, ...]
    """Sub-tasks whose files are not here."""
    part: bool
    """Whether it may be a part of the set: sub-tasks are missing, or it is of `Source.other_files`."""


def contents(task: Task, data: DataFolders = None) -> Contents | None:
    """What a task's set holds as far as it lies here; None where it does not. Nothing is fetched.

    Raises:
        OlmesError: a file of the set is missing or does not parse, or a row lacks a field.
    """
    folders = data_folders(data)
    found = found_here(task, folders, others=True)
    if found is None:
        return None
    whole = found.origin != "folder" or any_in(task.source, places_of(task, folders))
    instances, digest = made_instances(task, found)
    shots = exemplars.read(task, found.origin, found.folders)
    return Contents(
        items=len(instances),
        content_hash=digest,
        exemplars=len(shots.rows),
        exemplars_hash=shots.content_hash,
        missing=found.missing,
        part=bool(found.missing) or not (whole or task.items_file is not None),
    )


@dataclass(frozen=True, slots=True)
class FileContents:
    """What one file holds."""

    rows: int
    sha256: str
    """Of its uncompressed bytes: what `DataFile.sha256` has to be."""


def file_contents(path: Path) -> FileContents:
    """What a file of this machine holds.

    Raises:
        OlmesError: it cannot be read or does not parse.
    """
    return FileContents(len(files.rows(path)), sha256(files.uncompressed(path)))
