"""From a task to its instances: a folder, the official file, the hub, or the demo data.

In that order, and never past a source the user named or past bytes that are not what they should
be. Every fallback is reported.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from msgspec import UNSET

from olmes.benchmark.source import DataFile, Source
from olmes.benchmark.task import Task
from olmes.data import demo, exemplars, fetch, files, hub
from olmes.data.network import NotFetched
from olmes.data.partial import found_files
from olmes.errors import OlmesError
from olmes.records.schema import Origin, TaskData
from olmes.tools.hashing import set_hash, sha256
from olmes.types import Doc, Instance

Say = Callable[[str], None]
IN_PARTS: tuple[Origin, ...] = ("folder", "hub", "official")
"""Of sub-tasks from several kinds of source the whole is called by the first of these."""


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
    """Whether the content is the official set's, wherever it was read."""
    notes: tuple[str, ...] = ()
    """What a reader of the numbers must know about the data."""
    gated: bool = False
    """Whether these items may not be published in plain text (`Source.gated`); never of demo items."""
    missing: tuple[str, ...] = ()
    """Sub-tasks of the benchmark whose data were not available."""

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


def resolve(task: Task, data_dir: Path | None = None, *, say: Say, prompts: bool = True) -> Dataset:
    """The task's data from the first source that has it; `say` gets a line whenever one has not.

    A task that makes its items by rule (`Task.generated`) needs no source. Exemplars that are data
    (`Source.exemplars`) are read from the same place, and put into the task.

    Args:
        task: The task.
        data_dir: A folder laid out as the tasks' `DataFile.path` say; None means `$OLMES_DATA`, and
            where that is not set either, the official files, the hub and the demo data in turn.
        say: Called with one line for each source that was tried and each note of the result.
        prompts: Whether prompts will be made; to score responses no exemplars are needed.

    Raises:
        OlmesError: a folder was named and lacks the file, a file does not parse or has another
            hash than the official one, or no source has anything.
    """
    if (made := task.generated()) is not None:
        return _dataset(
            task, Found("generated", "made by rule", _split(task, "", list(made), task.name)), say
        )
    folder = task.data_folder = data_folder(data_dir)
    if task.source.partial and (folder is None or in_folder(task.source, folder)):
        return _dataset(task, _in_parts(task, folder, say) or _from_demo(task, say), say)
    if folder is not None and task.source.files:
        if others := others_in_folder(task.source, folder, prompts=prompts):
            return _dataset(task, _from_folder(task, folder, others), say, prompts)
        if unpublished(task.source) and not in_folder(task.source, folder):
            # Nobody could have fetched it into the folder, so that its absence is not a mistake.
            say(f"{task.name}: {folder} does not hold it; looking elsewhere.")
        else:
            return _dataset(task, _from_folder(task, folder), say, prompts)
    tried: list[str] = []
    for source in (_from_github, _from_hub, _from_demo):
        try:
            found = source(task, say)
        except NotFetched as reason:
            if str(reason) not in tried:
                say(f"{task.name}: {reason}")
                tried.append(str(reason))
        else:
            return _dataset(task, found, say, prompts)
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
            return _dataset(task, found, quiet) if found else None
        if folder is not None and source.files and in_folder(source, folder):
            return _dataset(task, _from_folder(task, folder), quiet)
        if source.files and all(file.github and fetch.cached(file) for file in source.every_file):
            return _dataset(task, _from_github(task, quiet), quiet)
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


def _dataset(task: Task, found: Found, say: Say, prompts: bool = True) -> Dataset:
    """The instances, and how they differ from the official set.

    Raises:
        OlmesError: there are no rows, a row lacks a field, or the official files have another
            content hash than the task declares.
    """
    parts = [_in_known_form(task, part) for part in found.parts]
    found = replace(found, parts=_numbered(task.source, parts))
    instances = _instances(task, found.parts)
    if not instances:
        raise OlmesError(f"{task.name}: {found.location} holds no rows; give a file that has some.")
    digest = content_hash(task.source, [(part.subtask, part.rows) for part in found.parts])
    shots = exemplars.read(task, found.origin, found.location) if prompts else exemplars.NONE
    task.exemplar_rows = shots.rows
    official = digest == task.source.content_hash and shots.official
    if found.origin == "official" and not official and not found.missing:
        raise OlmesError(
            f"{task.name} declares the content hash {task.source.content_hash!r}, but its official "
            f"files have {digest}; write that into the task's source."
        )
    task.official_data = official
    notes = tuple(_notes(task.source, found, digest, len(instances), shots))
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
    )


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
    rows = f"{n} rows where the official set has {expected}" if n != expected else f"{n} rows"
    return [
        f"the content of {found.location} differs from the official set: hash {digest[:16]}, "
        f"official {source.content_hash[:16]}; {rows}."
    ]
