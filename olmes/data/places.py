"""Where files of benchmarks are looked for: beside the task's own file, and in named folders."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from olmes.benchmark.registry import TASKS
from olmes.benchmark.source import DataFile, Source
from olmes.benchmark.task import Task
from olmes.data import files
from olmes.errors import OlmesError

DataFolders = str | Path | Sequence[str | Path] | None
"""One folder of benchmark files or several, in the order in which they are looked through."""


def as_folders(given: DataFolders) -> tuple[Path, ...]:
    """Folders of benchmark files as paths, each once; none where none is named."""
    if not given:
        return ()
    several = (given,) if isinstance(given, str | Path) else given
    return tuple(dict.fromkeys(Path(one).expanduser() for one in several))


def resolved_folders(given: DataFolders) -> str | tuple[str, ...] | None:
    """Folders as a process elsewhere finds them; one of them is written as a text, none as None."""
    found = tuple(str(folder.resolve()) for folder in as_folders(given))
    return (found if len(found) > 1 else found[0]) if found else None


def data_folders(given: DataFolders) -> tuple[Path, ...]:
    """The folders the user named, as an argument or in `$OLMES_DATA` (`A:B`; `A;B` on Windows).

    Raises:
        OlmesError: one of them does not exist.
    """
    folders, where = as_folders(given), "--data"
    if not folders:
        words = os.environ.get("OLMES_DATA", "").split(os.pathsep)
        folders, where = as_folders([word for word in words if word]), "OLMES_DATA"
        if len(folders) > 1 and Path(os.pathsep.join(words)).expanduser().is_dir():
            folders = as_folders(os.pathsep.join(words))  # its name has the separator in it
    for folder in folders:
        if not folder.is_dir():
            raise OlmesError(f"{where} names {folder}, which is not a folder; correct the path.")
    return folders


def task_folder(task: Task) -> Path | None:
    """The folder of the task's file, or of the module that its package registers it by.

    None of a task that olmes brings, whose data are nobody's own, and of one without a file.
    """
    if not task.reference or task.reference.startswith(f"{TASKS}.") or task.items_file is not None:
        return None
    if task.reference.endswith(".py"):
        return Path(task.reference).parent
    file = getattr(sys.modules.get(task.reference), "__file__", None)
    return Path(file).parent if file else None


def places_of(task: Task, folders: Sequence[Path]) -> tuple[Path, ...]:
    """Where each file of a task is looked for, in this order: beside it, then in the folders."""
    own = task_folder(task)
    return tuple(dict.fromkeys(([own] if own else []) + list(folders)))


def find_in(places: Iterable[Path], path: str) -> tuple[Path, Path] | None:
    """The first of some places that has a file, and the file, gzipped or plain.

    An absolute path is itself, in its own folder.
    """
    if Path(path).is_absolute():
        places = [Path(path).parent]
    for place in places:
        if (found := files.find(place, path)) is not None:
            return place, found
    return None


def any_in(source: Source, places: Sequence[Path]) -> bool:
    """Whether some places have any of a set's files."""
    return any(find_in(places, file.path) is not None for file in source.files)


def others_in(
    source: Source, places: Sequence[Path], *, prompts: bool = True
) -> tuple[DataFile, ...]:
    """The `other_files` that places have instead of the official ones, where they can serve."""
    if any_in(source, places) or (prompts and source.exemplars is not None):
        return ()
    return tuple(file for file in source.other_files if find_in(places, file.path))


def unpublished(source: Source) -> bool:
    """Whether no file of the set has a public original that could be fetched."""
    return not any(file.github for file in source.files)
