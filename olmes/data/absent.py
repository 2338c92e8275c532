"""What is said of files that are in none of the places where they are looked for, or in two."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from olmes.benchmark.source import DataFile
from olmes.benchmark.task import Task
from olmes.data import demo
from olmes.data.dataset import Say
from olmes.data.places import any_in, task_folder, unpublished
from olmes.errors import OlmesError


def named(folders: Sequence[Path]) -> str:
    """Folders as a sentence has them."""
    return " or ".join(map(str, folders))


def missing(task: Task, file: DataFile, places: Sequence[Path]) -> OlmesError:
    """What to say of a file that none of the places has, where it must be in one."""
    folder = places[-1]
    if not task.data_folders:
        return OlmesError(
            f"{task.name}: {folder / file.path} does not exist, though others of its files lie there; "
            "put it beside them."
        )
    pull = f" (`olmes data pull --to {folder}` fetches it)" if file.github else ""
    if len(task.data_folders) > 1:
        return OlmesError(
            f"{task.name}: {file.path} does not exist in {named(task.data_folders)}; put the official "
            f"file into one of them{pull} or name none."
        )
    return OlmesError(
        f"{task.name}: {folder / file.path} does not exist; put the official file there{pull} or "
        "leave the folder unnamed."
    )


def nowhere(task: Task, tried: Sequence[str]) -> OlmesError:
    """What to say where no source has anything."""
    if lies_beside(task):
        own, file = task_folder(task) or Path(), task.source.files[0].path
        return OlmesError(
            f"{task.name} has no data here; put it beside the task's file as {own / file}, or into a "
            f"folder as {file} and name that with --data DIR."
        )
    return OlmesError(
        f"{task.name} has no data here; give a folder that holds it with --data DIR, or fetch the "
        f"official files where there is a network with `olmes data pull`. Tried: {' '.join(tried)}"
    )


def say_of_two(task: Task, folders: Sequence[Path], say: Say) -> None:
    """That a named folder has a file as well which is read from beside the task."""
    own = task_folder(task)
    if own is None or not any_in(task.source, [own]):
        return
    for folder in folders:
        if folder.resolve() != own.resolve() and any_in(task.source, [folder]):
            say(f"{task.name}: read from {own}, where the task is; {folder} has the file as well.")


def lies_beside(task: Task) -> bool:
    """Whether a task's files are its author's own, with no place in the network and no demo data."""
    source = task.source
    own = task_folder(task) is not None and bool(source.files) and not source.hub
    return own and unpublished(source) and demo.find(task) is None
