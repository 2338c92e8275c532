"""From a task to its instances: a folder, the official file, the hub, or the demo data.

In that order, and never past a source the user named or past bytes that are not what they should
be. Every fallback is reported.
"""

from __future__ import annotations

import os
from pathlib import Path

from olmes.benchmark.source import DataFile, Source
from olmes.benchmark.task import Task
from olmes.data import demo, fetch, files, hub
from olmes.data.dataset import DataPart, Dataset, Found, Say, by_file, made_dataset
from olmes.data.network import NotFetched
from olmes.data.partial import found_files
from olmes.errors import OlmesError
from olmes.records.schema import Origin
from olmes.types import Doc

DEMO = Path("demo data")
"""In place of a folder: the demo data, whatever else there is. No source is asked before it."""
IN_PARTS: tuple[Origin, ...] = ("folder", "hub", "official")
"""Of sub-tasks from several kinds of source the whole is called by the first of these."""


def resolve(task: Task, data_dir: Path | None = None, *, say: Say, prompts: bool = True) -> Dataset:
    """The task's data from the first source that has it; `say` gets a line whenever one has not.

    A task that makes its items by rule (`Task.generated`) needs no source. Exemplars that are data
    (`Source.exemplars`) are read from the same place, and put into the task.

    Args:
        task: The task.
        data_dir: A folder laid out as the tasks' `DataFile.path` say; None means `$OLMES_DATA`, and
            where that is not set either, the official files, the hub and the demo data in turn; `DEMO`
            the demo data alone.
        say: Called with one line for each source that was tried and each note of the result.
        prompts: Whether prompts will be made; to score responses no exemplars are needed.

    Raises:
        OlmesError: a folder was named and lacks the file, a file does not parse or has another
            hash than the official one, or no source has anything.
    """
    if (made := task.generated()) is not None:
        return made_dataset(
            task, Found("generated", "made by rule", _split(task, "", list(made), task.name)), say
        )
    if (own := task.items_file) is not None:
        return made_dataset(
            task, Found("folder", str(own), [DataPart("", files.rows(own), str(own))]), say
        )
    if data_dir == DEMO:
        return made_dataset(task, _from_demo(task, say), say, prompts)
    folder = task.data_folder = data_folder(data_dir)
    if task.source.partial and (folder is None or in_folder(task.source, folder)):
        return made_dataset(task, _in_parts(task, folder, say) or _from_demo(task, say), say)
    if folder is not None and task.source.files:
        if others := others_in_folder(task.source, folder, prompts=prompts):
            return made_dataset(task, _from_folder(task, folder, others), say, prompts)
        if unpublished(task.source) and not in_folder(task.source, folder):
            # Nobody could have fetched it into the folder, so that its absence is not a mistake.
            say(f"{task.name}: {folder} does not hold it; looking elsewhere.")
        else:
            return made_dataset(task, _from_folder(task, folder), say, prompts)
    tried: list[str] = []
    for source in (_from_github, _from_hub, _from_demo):
        try:
            found = source(task, say)
        except NotFetched as reason:
            if str(reason) not in tried:
                say(f"{task.name}: {reason}")
                tried.append(str(reason))
        else:
            return made_dataset(task, found, say, prompts)
    raise OlmesError(
        f"{task.name} has no data here; give a folder that holds it with --data DIR, or fetch the "
        f"official files where there is a network with `olmes data pull`. Tried: {' '.join(tried)}"
    )


def at_hand(task: Task, data_dir: Path | None = None) -> Dataset | None:
    """The task's own items where they lie on this machine already; nothing is fetched or said.

    Demo data are not its own items. What the hub's library keeps in its cache is not looked for.

    Args:
        task: The task.
        data_dir: As for `resolve`.

    Raises:
        OlmesError: a folder was named that does not exist.
    """
    folder, source = data_folder(data_dir), task.source
    try:
        if task.generated() is not None:
            return resolve(task, say=quiet)
        if source.partial:
            found = _in_parts(task, folder, None)
            return made_dataset(task, found, quiet) if found else None
        if folder is not None and source.files and in_folder(source, folder):
            return made_dataset(task, _from_folder(task, folder), quiet)
        if source.files and all(file.github and fetch.cached(file) for file in source.every_file):
            return made_dataset(task, _from_github(task, quiet), quiet)
    except OlmesError:  # it lacks a file, or does not parse: whoever runs the task is told
        return None
    return None


def quiet(line: str) -> None:
    """Say nothing of where data come from."""


def data_folder(data_dir: Path | None) -> Path | None:
    """The folder the user named, as an argument or in `$OLMES_DATA`.

    Raises:
        OlmesError: there is no such folder.
    """
    named = str(data_dir) if data_dir is not None else os.environ.get("OLMES_DATA")
    if not named:
        return None
    folder = Path(named).expanduser()
    if not folder.is_dir():
        where = "--data" if data_dir is not None else "OLMES_DATA"
        raise OlmesError(f"{where} names {folder}, which is not a folder; correct the path.")
    return folder


def unpublished(source: Source) -> bool:
    """Whether no file of the set has a public original that could be fetched."""
    return not any(file.github for file in source.files)


def in_folder(source: Source, folder: Path) -> bool:
    """Whether a folder holds any of the set's files."""
    return any(files.find(folder, file.path) is not None for file in source.files)


def others_in_folder(source: Source, folder: Path, *, prompts: bool = True) -> tuple[DataFile, ...]:
    """The `other_files` that a folder holds in place of the official ones, where they can serve."""
    if in_folder(source, folder) or (prompts and source.exemplars is not None):
        return ()
    return tuple(file for file in source.other_files if files.find(folder, file.path))


def _from_folder(task: Task, folder: Path, others: tuple[DataFile, ...] = ()) -> Found:
    def path(file: DataFile) -> Path:
        found = files.find(folder, file.path)
        if found is None:
            raise OlmesError(
                f"{task.name}: {folder / file.path} does not exist; put the official file there "
                f"(`olmes data pull --to {folder}` fetches it) or leave the folder unnamed."
            )
        return found

    parts = [
        DataPart(file.subtask, files.rows(path(file)), str(path(file)))
        for file in others or task.source.files
    ]
    return Found("folder", str(folder), parts)


def _from_github(task: Task, say: Say) -> Found:
    if not task.source.files:
        raise NotFetched("the task names no official file.")
    missing = [file for file in task.source.every_file if not fetch.cached(file)]
    if missing:
        addresses = [fetch.address(file) for file in missing]
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        say(f"{task.name}: fetching {addresses[0]}{more}")
    paths = [fetch.fetch(file) for file in task.source.files]
    parts = [
        DataPart(file.subtask, files.rows(path), str(path))
        for file, path in zip(task.source.files, paths, strict=True)
    ]
    return Found("official", _originals(task.source), parts)


def _from_hub(task: Task, say: Say) -> Found:
    repositories = ", ".join(dict.fromkeys(split.repository for split in task.source.hub))
    hub.require(task.source)
    say(f"{task.name}: reading {repositories} of the Hugging Face hub")
    parts = [
        part
        for subtask, rows in hub.load(task.source)
        for part in _split(task, subtask, rows, f"{repositories} on the hub")
    ]
    return Found("hub", repositories, parts)


def _from_demo(task: Task, say: Say) -> Found:  # noqa: ARG001 (called as the other sources are)
    place = demo.find(task)
    if place is None:
        raise NotFetched("there is no demo data.")
    location = f"demo/{place.name}"
    return Found("demo", location, _split(task, "", demo.load(place), location))


def _in_parts(task: Task, folder: Path | None, say: Say | None) -> Found | None:
    """What there is of a task some of whose sub-tasks may be missing; None where nothing is.

    Without `say` only what lies on this machine is taken.
    """
    there, lacking = found_files(task.source, folder, local=say is None)
    if say is not None:
        for reason in dict.fromkeys(lacking.values()):
            names = ", ".join(name for name, own in lacking.items() if own == reason)
            say(f"{task.name}: {f'without {names}: ' if there else ''}{reason}")
    if not there:
        return None
    origins = {one.origin for one in there}
    return Found(
        next(origin for origin in IN_PARTS if origin in origins),
        ", ".join(dict.fromkeys(one.location for one in there)),
        [DataPart(one.subtask, one.rows, one.name) for one in there],
        tuple(lacking),
    )


def _originals(source: Source) -> str:
    """`owner/repository@commit` of every file, each once."""
    places = []
    for file in source.files:
        original = fetch.GITHUB.fullmatch(file.github)
        if original:
            places.append(f"{original['repository']}@{original['commit']}")
    return ", ".join(dict.fromkeys(places)) or "official files"


def _split(task: Task, subtask: str, rows: list[Doc], name: str) -> list[DataPart]:
    """Rows of a sub-task; where one file a sub-task is due, by the extra key `subtask` of each.

    Raises:
        OlmesError: a row does not say its sub-task, or names one the benchmark does not have.
    """
    if not by_file(task.source):
        # The hub may split what is one file; the task tells the sub-tasks, as it does for the file.
        return [DataPart("", rows, name)]
    if subtask:
        return [DataPart(subtask, rows, name)]
    known = [file.subtask for file in task.source.files]
    known = known or [split.subtask for split in task.source.hub]
    groups: dict[str, list[Doc]] = {each: [] for each in known}
    for number, row in enumerate(rows, start=1):
        named = row.get("subtask")
        if named not in groups:
            raise OlmesError(
                f"{name}, row {number}: 'subtask' is {named!r}; write one of {', '.join(known)}."
            )
        groups[named].append(row)
    return [DataPart(each, group, name) for each, group in groups.items() if group]
