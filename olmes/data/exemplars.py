"""Exemplars that are rows of another split of a benchmark, read from where its items were found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from olmes.benchmark.source import Source
from olmes.benchmark.task import Task
from olmes.data import demo, fetch, files, hub
from olmes.data.places import find_in
from olmes.errors import OlmesError
from olmes.records.schema import Origin
from olmes.tools.hashing import content_hash
from olmes.types import Doc


@dataclass(frozen=True, slots=True)
class ExemplarRows:
    """What a task's exemplars were read as."""

    rows: list[Doc]
    """In the order of the source, each with its fields alone."""
    content_hash: str
    """Over the rows in their order."""
    official: bool


NONE = ExemplarRows([], "", official=True)
"""Of a task whose exemplars are no data."""


def read(task: Task, origin: Origin, folders: Sequence[Path]) -> ExemplarRows:
    """The exemplars of a task whose items are of `origin`, or were looked for in `folders`.

    Raises:
        NotFetched: the items were fetched, and the exemplars cannot be.
        OlmesError: they are not where the items are, or a row lacks a field.
    """
    source = task.source.exemplars
    if source is None:
        return NONE
    parts = _parts(task, source, origin, folders)
    found = [(name, source.known_form(row)) for name, rows in parts for row in rows]
    lacking = [(name, field) for name, row in found for field in source.fields if field not in row]
    if lacking:
        name, field = lacking[0]
        raise OlmesError(
            f"{name}: a row has no field '{field}', which the exemplars of {task.name} need; "
            "give a file that has it."
        )
    rows = [{field: row[field] for field in source.fields} for _, row in found]
    digest = content_hash(rows)
    return ExemplarRows(rows, digest, official=digest == source.content_hash)


def _parts(
    task: Task, source: Source, origin: Origin, folders: Sequence[Path]
) -> list[tuple[str, list[Doc]]]:
    """Rows, each group with what an error calls it."""
    if origin == "folder":
        paths = [_in_folders(task, folders, file.path) for file in source.files]
        return [(str(path), files.rows(path)) for path in paths]
    if origin == "official":
        fetched = [fetch.fetch(file) for file in source.files]
        return [(str(path), files.rows(path)) for path in fetched]
    if origin == "hub":
        return [(f"{source.hub[0].repository} on the hub", rows) for _, rows in hub.load(source)]
    place = demo.find(task, "-exemplars")
    if place is None:
        raise OlmesError(
            f"{task.name} has demo data but none for its exemplars; write them into "
            "demo/NAME-exemplars.jsonl, with the demo data's name."
        )
    return [(f"demo/{place.name}", demo.load(place))]


def _in_folders(task: Task, folders: Sequence[Path], path: str) -> Path:
    found = find_in(folders, path)
    if found is None:
        raise OlmesError(
            f"{task.name}: {folders[-1] / path} does not exist, whose rows are the exemplars of every "
            "prompt; put the official file there."
        )
    return found[1]
