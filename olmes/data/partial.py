"""Sub-tasks that come from different places, or from none: benchmarks some of whose files are gated."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from olmes.benchmark.source import DataFile, Source
from olmes.data import fetch, files, hub
from olmes.data.network import NotFetched
from olmes.data.places import find_in
from olmes.records.schema import Origin
from olmes.types import Doc


@dataclass(frozen=True, slots=True)
class FoundFile:
    """One sub-task's rows, and where they are from."""

    subtask: str
    origin: Origin
    location: str
    """The folder, `owner/repository:path@commit`, or the hub's repository."""
    rows: list[Doc]
    name: str
    """What an error calls them."""


def found_files(
    source: Source, places: Sequence[Path], folders: Sequence[Path], *, local: bool
) -> tuple[list[FoundFile], dict[str, str]]:
    """Each sub-task that is available, and why others are not.

    From a folder, the official place, or the hub; named folders are not gone past, save for a file that
    has no public original to put there.

    Args:
        source: of a task with one file a sub-task.
        places: where files are looked for (`places_of`).
        folders: those of them that the user named.
        local: whether to take only what lies on this machine.
    """
    found, lacking = [], {}
    for file in source.files:
        try:
            found.append(_found(source, file, places, folders, local=local))
        except NotFetched as reason:
            lacking[file.subtask] = str(reason)
    return found, lacking


def _found(
    source: Source,
    file: DataFile,
    places: Sequence[Path],
    folders: Sequence[Path],
    *,
    local: bool,
) -> FoundFile:
    """One sub-task.

    Raises:
        NotFetched: it is not available.
    """
    splits = tuple(split for split in source.hub if split.subtask == file.subtask)
    if (there := find_in(places, file.path)) is not None:
        root, path = there
        return FoundFile(file.subtask, "folder", str(root), files.rows(path), str(path))
    if folders and file.github:
        folder = folders[-1]
        raise NotFetched(
            f"{folder / file.path} does not exist; `olmes data pull --to {folder}` fetches it."
        )
    if file.github and (fetch.cached(file) or not local):
        try:
            path = fetch.fetch(file)
        except NotFetched:
            if not splits:
                raise
        else:
            return FoundFile(file.subtask, "official", file.github, files.rows(path), file.path)
    if local or not splits:
        raise NotFetched(f"{file.path} is not here; give a folder that holds it with --data DIR.")
    own = dataclasses.replace(source, hub=splits)
    hub.require(own)
    repository = splits[0].repository
    try:
        rows = [row for _, turned in hub.load(own) for row in turned]
    except NotFetched as reason:
        raise NotFetched(
            f"{reason} Where it is gated, accept its terms at {hub.ENDPOINT}/datasets/{repository} and "
            f"log in with `hf auth login`, or put its rows into the folder as {file.path}."
        ) from None
    return FoundFile(file.subtask, "hub", repository, rows, f"{repository} on the hub")
