"""What `olmes data list` and `olmes data pull` do: where data would come from, and fetching it."""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from olmes.benchmark.source import DataFile, Source
from olmes.benchmark.task import Task
from olmes.data import demo, fetch, files, hub, network
from olmes.data.network import NotFetched
from olmes.data.places import (
    DataFolders,
    any_in,
    data_folders,
    find_in,
    others_in,
    places_of,
    unpublished,
)
from olmes.errors import OlmesError
from olmes.tools.durable_files import as_umask_says

SHOWN = 3
"""Files that an error names of those that failed alike."""
Say = Callable[[str], None]
State = Literal["folder", "missing", "cache", "to fetch", "hub", "demo", "generated", "nowhere"]
"""Where a file would come from: a folder (or it is missing there, which stops a run, save of a
benchmark that runs without some sub-tasks), the user's cache, the official place once the network is
asked, the hub, the demo data, made by rule, or nowhere."""
HERE: tuple[State, ...] = ("folder", "cache")
"""Those of which `location` is the file itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataStatus:
    """One file of one task, as a run would find it now."""

    task: str
    path: str
    """Place below a data folder; empty for a task that has no official file."""
    subtask: str
    exemplars: bool
    """Whether its rows are exemplars of prompts and no items."""
    rows: int
    """Rows that the task declares; 0 where it does not say."""
    state: State
    location: str
    """The file, address or repository that `state` speaks of."""
    sha256: str
    """That the task declares of the uncompressed bytes."""
    content_hash: str
    """That the task declares of the whole set, or of the exemplars."""
    licence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """One official file after a pull."""

    path: str
    """`DataFile.path`."""
    location: Path
    """Where it lies now."""
    fetched: bool
    """False when it was there already."""


def listing(tasks: Iterable[Task], data: DataFolders = None) -> list[DataStatus]:
    """Every file of every task and where a run would read it from, without asking the network.

    Raises:
        OlmesError: a folder that was named does not exist.
    """
    folders = data_folders(data)
    return [status for task in tasks for status in _statuses(task, folders)]


def _statuses(task: Task, folders: Sequence[Path]) -> list[DataStatus]:
    source = task.source
    shots = source.exemplars.files if source.exemplars else ()
    nothing = DataFile(path="")
    places = places_of(task, folders)
    listed = source.every_file or (nothing,)
    states: list[tuple[State, str]]
    if (made := task.generated()) is not None:
        listed, states = (DataFile(path="", rows=len(made)),), [("generated", "made by rule")]
    elif task.items_file is not None:
        listed, states = (nothing,), [("folder", str(task.items_file))]
    elif source.partial and (any_in(source, places) or not folders):
        states = [_in_part(task, file, places, folders) for file in listed]
        if {state for state, _ in states} == {"nowhere"}:
            states = _elsewhere(task, listed)
    elif others := others_in(source, places):
        listed, states = others, [_in_places(places, file) for file in others]
    elif any_in(source, places) or (folders and source.files and not unpublished(source)):
        states = [_in_places(places, file) for file in listed]
    else:
        states = _elsewhere(task, listed)
    return [
        DataStatus(
            task=task.name,
            path=file.path,
            subtask=file.subtask,
            exemplars=file in shots,
            rows=file.rows,
            state=state,
            location=location,
            sha256=file.sha256,
            content_hash=_declared(source, exemplars=file in shots),
            licence=source.licence,
        )
        for file, (state, location) in zip(listed, states, strict=True)
    ]


def _declared(source: Source, *, exemplars: bool) -> str:
    """The content hash of the items, or of the exemplars."""
    return source.exemplars.content_hash if exemplars and source.exemplars else source.content_hash


def _in_part(
    task: Task, file: DataFile, places: Sequence[Path], folders: Sequence[Path]
) -> tuple[State, str]:
    """A sub-task's file of its own, wherever the others come from."""
    if (folders and file.github) or find_in(places, file.path):
        return _in_places(places, file)
    own = tuple(split for split in task.source.hub if split.subtask == file.subtask)
    try:
        return _official(file)
    except NotFetched:
        if own and (hub.mirror() is not None or not network.offline()):
            return "hub", own[0].repository
        return "nowhere", ""


def _in_places(places: Sequence[Path], file: DataFile) -> tuple[State, str]:
    found = find_in(places, file.path)
    return ("missing", str(places[-1] / file.path)) if found is None else ("folder", str(found[1]))


def _elsewhere(task: Task, places: tuple[DataFile, ...]) -> list[tuple[State, str]]:
    """Files of one set come from one source: all of them official, or none."""
    try:
        return [_official(file) for file in places]
    except NotFetched:
        pass
    source = task.source
    if source.hub and (hub.mirror() is not None or not network.offline()):
        repositories = ", ".join(dict.fromkeys(split.repository for split in source.hub))
        return [("hub", repositories)] * len(places)
    found = demo.find(task)
    state: tuple[State, str] = ("demo", str(found)) if found else ("nowhere", "")
    return [state] * len(places)


def _official(file: DataFile) -> tuple[State, str]:
    if file.sha256 and fetch.cached(file):
        return "cache", str(fetch.cache_path(file))
    address = fetch.url(file)
    if network.offline():
        raise NotFetched("OLMES_OFFLINE is set.")
    return "to fetch", address


def pull(tasks: Iterable[Task], to: Path | None, say: Say) -> list[Pulled]:
    """Fetch every official file, each once, for machines without a network.

    Into `to` as `--data` wants it (gzipped where the path says so, the same bytes each time), or
    into the user's cache when `to` is None. A file that is there and right is left alone; one that
    is there and differs is not overwritten. A failure does not stop the other files.

    Raises:
        OlmesError: some files could not be fetched; the message lists them with the reasons.
    """
    every = [file for task in tasks for file in task.source.every_file]
    for file in every:
        if not file.github:
            say(f"{file.path}: no public original, nothing to fetch")
    wanted = {(file.path, file.sha256): file for file in every if file.github}
    pulled: list[Pulled] = []
    failed: dict[str, list[str]] = {}
    for file in wanted.values():
        try:
            done = _to_cache(file, say) if to is None else _to_folder(file, to.expanduser(), say)
            pulled.append(done)
        except OlmesError as error:
            failed.setdefault(str(error), []).append(file.path)
    if failed:
        count = sum(len(paths) for paths in failed.values())
        listed = "\n".join(f"  {few_of(paths)}: {reason}" for reason, paths in failed.items())
        raise OlmesError(
            f"{count} of {len(wanted)} files could not be pulled; correct what is named below and "
            f"pull again (what was fetched is kept):\n{listed}"
        )
    return pulled


def few_of(paths: list[str]) -> str:
    """The first of some files, and how many more there are."""
    more = len(paths) - SHOWN
    return ", ".join(paths[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _to_cache(file: DataFile, say: Say) -> Pulled:
    there = fetch.cached(file)
    if not there:
        say(f"{file.path}: fetching {fetch.address(file)}")
    return Pulled(path=file.path, location=fetch.fetch(file), fetched=not there)


def _to_folder(file: DataFile, folder: Path, say: Say) -> Pulled:
    present = files.find(folder, file.path)
    if present is not None:
        if fetch.is_official(present, file):
            return Pulled(path=file.path, location=present, fetched=False)
        raise OlmesError(
            f"{present} is there but is not the official file; remove it and pull again."
        )
    target = folder / file.path
    if not fetch.cached(file):
        say(f"{file.path}: fetching {fetch.address(file)}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Fetched beside its place, so that the last step is a move within one file system.
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".pull-") as scratch:
            content = fetch.official_bytes(file, Path(scratch))
            packed = Path(scratch) / target.name
            if target.suffix == ".gz":
                content = gzip.compress(content, mtime=0)
            packed.write_bytes(content)
            as_umask_says(packed)
            packed.replace(target)
    except OSError as error:
        raise OlmesError(
            f"{target.parent} cannot be written ({error}); name another folder."
        ) from None
    return Pulled(path=file.path, location=target, fetched=True)
