"""From a task to its instances: its own folder or a named one, the official file, the hub, demo data.

In that order, and never past a source the user named or past bytes that are not what they should
be. Every fallback is reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from olmes.benchmark.source import DataFile, Source
from olmes.benchmark.task import Task
from olmes.data import demo, fetch, files, hub
from olmes.data.absent import lies_beside, missing, named, nowhere, say_of_two
from olmes.data.dataset import DataPart, Dataset, Found, Say, by_file, made_dataset
from olmes.data.network import NotFetched
from olmes.data.partial import found_files
from olmes.data.places import (
    DataFolders,
    any_in,
    as_folders,
    data_folders,
    find_in,
    others_in,
    places_of,
    unpublished,
)
from olmes.errors import OlmesError
from olmes.records.schema import Origin
from olmes.types import Doc

DEMO = Path("demo data")
"""In place of a folder: the demo data, whatever else there is. No source is asked before it."""
IN_PARTS: tuple[Origin, ...] = ("folder", "hub", "official")
"""Of sub-tasks from several kinds of source the whole is called by the first of these."""


def resolve(task: Task, data: DataFolders = None, *, say: Say, prompts: bool = True) -> Dataset:
    """The task's data from the first source that has it; `say` gets a line whenever one has not.

    A task that makes its items by rule (`Task.generated`) needs no source. Exemplars that are data
    (`Source.exemplars`) are read from the same place, and put into the task.

    Args:
        task: The task.
        data: Folders laid out as the tasks' `DataFile.path` say, each file from the first that has it;
            without any those of `$OLMES_DATA`, and where that is not set either, the official files,
            the hub and the demo data in turn. What lies beside the task's own file comes first. `DEMO`
            is the demo data alone.
        say: Called with one line for each source that was tried and each note of the result.
        prompts: Whether prompts will be made; to score responses no exemplars are needed.

    Raises:
        OlmesError: a folder was named and lacks the file, a file does not parse or has another
            hash than the official one, or no source has anything.
    """
    if (own := _without_source(task)) is not None:
        return made_dataset(task, own, say)
    if as_folders(data) == (DEMO,):
        return made_dataset(task, _from_demo(task, say), say, prompts)
    folders = task.data_folders = data_folders(data)
    places = places_of(task, folders)
    here = any_in(task.source, places)
    if task.source.partial and (here or not folders):
        return made_dataset(task, _in_parts(task, folders, say) or _from_demo(task, say), say)
    if here:
        say_of_two(task, folders, say)
        return made_dataset(task, _from_places(task, places), say, prompts)
    if others := others_in(task.source, places, prompts=prompts):
        return made_dataset(task, _from_places(task, places, others), say, prompts)
    if folders and task.source.files:
        if not unpublished(task.source):
            raise missing(task, task.source.files[0], places)
        # Nobody could have fetched it into the folder, so that its absence is not a mistake.
        say(f"{task.name}: {named(folders)} does not hold it; looking elsewhere.")
    return made_dataset(task, _elsewhere(task, say), say, prompts)


def at_hand(task: Task, data: DataFolders = None) -> Dataset | None:
    """The task's own items where they lie on this machine already; nothing is fetched or said.

    Demo data are not its own items. What the hub's library keeps in its cache is not looked for.

    Args:
        task: The task.
        data: As for `resolve`.

    Raises:
        OlmesError: a folder was named that does not exist.
    """
    folders = data_folders(data)
    try:
        found = found_here(task, folders)
        return made_dataset(task, found, quiet) if found else None
    except OlmesError:  # it lacks a file, or does not parse: whoever runs the task is told
        return None


def found_here(task: Task, data: DataFolders = None, *, others: bool = False) -> Found | None:
    """The task's own rows as far as they lie on this machine; None where they do not.

    Args:
        task: The task.
        data: As for `resolve`.
        others: Whether `Source.other_files` are taken where the set's own files are not in a folder.

    Raises:
        OlmesError: a folder was named that does not exist, some files of the set are missing, or one
            does not parse.
    """
    if (made := _without_source(task)) is not None:
        return made
    folders, source = data_folders(data), task.source
    places = places_of(task, folders)
    if source.partial:
        return _in_parts(task, folders, None)
    if any_in(source, places):
        return _from_places(task, places)
    if others and (there := others_in(source, places)):
        return _from_places(task, places, there)
    if source.files and all(file.github and fetch.cached(file) for file in source.every_file):
        return _from_github(task, quiet)
    return None


def _without_source(task: Task) -> Found | None:
    """Items made by rule, or those of the file that the task was made from; else None."""
    if (made := task.generated()) is not None:
        return Found("generated", "made by rule", _split(task, "", list(made), task.name))
    if (own := task.items_file) is not None:
        return Found("folder", str(own), [DataPart("", files.rows(own), str(own))])
    return None


def quiet(line: str) -> None:
    """Say nothing of where data come from."""


def _from_places(task: Task, places: Sequence[Path], others: Sequence[DataFile] = ()) -> Found:
    parts, roots = [], []
    for file in others or task.source.files:
        there = find_in(places, file.path)
        if there is None:
            raise missing(task, file, places)
        root, path = there
        roots.append(str(root))
        parts.append(DataPart(file.subtask, files.rows(path), str(path)))
    location = ", ".join(dict.fromkeys(roots))
    return Found("folder", location, parts, folders=tuple(places))


def _elsewhere(task: Task, say: Say) -> Found:
    """What the first source that is no folder has.

    Raises:
        OlmesError: none has anything.
    """
    # Of files that nobody publishes there is nothing to say but where they belong.
    own = lies_beside(task)
    tried: list[str] = []
    for source in (_from_github, _from_hub, _from_demo):
        try:
            return source(task, say)
        except NotFetched as reason:
            if str(reason) not in tried:
                if not own:
                    say(f"{task.name}: {reason}")
                tried.append(str(reason))
    raise nowhere(task, tried)


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


def _in_parts(task: Task, folders: Sequence[Path], say: Say | None) -> Found | None:
    """What there is of a task some of whose sub-tasks may be missing; None where nothing is.

    Without `say` only what lies on this machine is taken.
    """
    places = places_of(task, folders)
    there, lacking = found_files(task.source, places, folders, local=say is None)
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
        places,
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
