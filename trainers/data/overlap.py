"""What the rows of a mixture have in common with evaluations, counted once and kept on disk.

What is compared are the rows that are learned from, as they were read and before any template: each
once, those that were left out or not drawn not at all. The counts lie in the cache as
`training-data/overlap/KEY.json`, one file a data set and evaluation, under a key of the content of
both, so that a training that is resumed, or another one on the same data, compares nothing again.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from olmes import __version__
from olmes.benchmark.registry import load_suite, load_task, members, suite_names
from olmes.benchmark.suite import Suite
from olmes.benchmark.task import Task
from olmes.data.places import DataFolders
from olmes.data.resolve import at_hand
from olmes.decontamination.against import held_out
from olmes.decontamination.evaluations import Evaluation, evaluation
from olmes.decontamination.findings import DataSet, Tally
from olmes.decontamination.matches import CONTAMINATED, MATCHED, NGRAM
from olmes.decontamination.processes import compare
from olmes.decontamination.scan import Index
from olmes.errors import OlmesError
from olmes.records.overlap import Overlap, shown_name
from olmes.records.shown import shown_share
from olmes.rows.sources import Hub
from olmes.seal.counted_overlap import EVENT, count_overlap
from olmes.seal.ledger import Ledger
from olmes.tools.cache_folder import cache_folder
from olmes.tools.hashing import content_hash
from olmes.tools.jsonl import write_atomically
from olmes.tools.places import writing
from olmes.trainers.data.mixture import DrawnRows, Mixture
from olmes.trainers.recipes.stages import Recipe

Say = Callable[[str], None]
PLACE = ("training-data", "overlap")
"""In the cache folder."""
COMPARED = 1
"""Another number where rows are compared otherwise than before."""
FIRST_LINE, NEXT_LINE = 5.0, 30.0
"""Seconds before anything is said of how far it is, and between two lines."""


def overlap_of_mixture(
    recipe: Recipe, mixture: Mixture, store: Path, *, say: Say
) -> tuple[Overlap, ...] | None:
    """What the data of a training have in common with the evaluations its recipe names.

    Args:
        recipe: its `decontamination` is read.
        mixture: its data.
        store: of the records of its checkpoints; into its ledger go the counts of held-out tasks.
        say: gets a line for each data set that is contaminated, and for tasks whose items are not
            on this machine.

    Returns:
        One a data set and task; None where nothing was compared.

    Raises:
        OlmesError: a name in `against` is unknown; a data set is contaminated, and the recipe says
            to stop then; or the ledger cannot be written.
    """
    wanted = recipe.decontamination
    if not wanted.against:
        return None
    evaluations = evaluations_here(wanted.against, wanted.data or recipe.scoring.data, say)
    if not evaluations:
        return None
    found: list[Overlap] = []
    for drawn in mixture.drawn:
        found += overlap_of_part(drawn, evaluations, recipe, say)
    write_counts(store, found, evaluations)
    tell(found, evaluations, stop=wanted.on_contaminated == "stop", say=say)
    return tuple(found)


def tasks_against(names: Iterable[str]) -> dict[str, tuple[Task, Suite | None]]:
    """The tasks of some suites, tasks and files, by name, each with the suite it was named by.

    Raises:
        OlmesError: there is no such suite or task.
    """
    found: dict[str, tuple[Task, Suite | None]] = {}
    for name in names:
        if name.endswith(".toml") or name in suite_names():
            suite, tasks = members(load_suite(name))
            for task in tasks:
                found.setdefault(task.name, (task, suite))
        else:
            try:
                task = load_task(name)
            except OlmesError as error:
                raise OlmesError(f"decontamination.against: {error}") from None
            found.setdefault(task.name, (task, None))
    return found


def evaluations_here(names: Iterable[str], data: DataFolders, say: Say) -> list[Evaluation]:
    """The evaluations whose items lie on this machine; nothing is fetched, and it is said once."""
    named = tasks_against(names)
    found = {name: at_hand(task, data) for name, (task, _) in named.items()}
    there = {name: dataset for name, dataset in found.items() if dataset is not None}
    if missing := [name for name in named if name not in there]:
        say(
            f"data: not compared with {', '.join(missing)}, whose items are not on this machine; "
            "`olmes data pull` fetches those that are public"
        )
    tasks = [named[name][0] for name in there]
    suites = {suite.name: suite for _, suite in named.values() if suite}
    held = held_out(list(suites.values()), tasks, there, ())
    return [evaluation(task, there[task.name], held.get(task.name, ())) for task in tasks]


def overlap_of_part(
    drawn: DrawnRows, evaluations: Sequence[Evaluation], recipe: Recipe, say: Say
) -> list[Overlap]:
    """One data set against evaluations; those that it was compared with before are read."""
    places = {
        one.task: cache_folder(*PLACE, f"{key_of(drawn.key, one)}.json") for one in evaluations
    }
    there = {task: known for task, place in places.items() if (known := read(place))}
    new = [one for one in evaluations if one.task not in there]
    if new:
        counted = counts(drawn, new, recipe, say)
        with writing(cache_folder(*PLACE), "name another folder with $OLMES_CACHE"):
            for task, one in counted.items():
                places[task].parent.mkdir(parents=True, exist_ok=True)
                write_atomically(places[task], msgspec.json.encode(one).decode() + "\n")
        there |= counted
    return [
        msgspec.structs.replace(
            there[one.task], data_set=shown_name(drawn.part.name), task=one.task
        )
        for one in evaluations
    ]


def key_of(rows: str, one: Evaluation) -> str:
    """64 hex digits over all that the counts of a data set and an evaluation come from."""
    items = content_hash([item.texts for item in one.items])  # a task may read its items otherwise
    about = [COMPARED, __version__, NGRAM, MATCHED, rows, one.task, one.data_hash, items]
    return content_hash(about)


def read(place: Path) -> Overlap | None:
    """Counts that are kept; None where there are none that can be read."""
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode(place.read_bytes(), type=Overlap)
    return None


def counts(
    drawn: DrawnRows, evaluations: Sequence[Evaluation], recipe: Recipe, say: Say
) -> dict[str, Overlap]:
    """One data set against evaluations, row by row."""
    part, tally = drawn.part, Tally(evaluations)
    began = spoken = time.monotonic()

    def progress(done: int) -> None:
        nonlocal spoken
        now = time.monotonic()
        if now - began >= FIRST_LINE and (spoken == began or now - spoken >= NEXT_LINE):
            spoken = now
            say(f"data: {part.name}: {done:,} rows compared with evaluations ...")

    compared = compare(
        Hub(part.name, drawn.rows),
        Index.of(evaluations),
        processes=recipe.hardware.data_processes,
        progress=progress,
    )
    for _ in tally.counted(compared):
        pass
    found = DataSet(
        name=shown_name(part.name),
        data_hash=part.content,
        commit=part.revision,
        rows=compared.rows,
        without_text=compared.without_text,
        findings=tally.findings(),
        open_rows=(),
    )
    return {one.task: one for one in found.overlaps()}


def write_counts(store: Path, found: Sequence[Overlap], evaluations: Sequence[Evaluation]) -> None:
    """Write the counts of held-out tasks into a ledger before they are said; the same ones once.

    Raises:
        OlmesError: it cannot be written, or was tampered with.
    """
    closed = {one.task: one.data_hash for one in evaluations if one.held_out}
    counts = [
        {
            "data_set": one.data_set, "data_hash": one.data_hash, "rows": one.rows,
            "task": one.task, "n": one.n, "overlapped": one.overlapped,
        }
        for one in found
        if one.task in closed
    ]  # fmt: skip
    known = (
        entry.get("overlaps") for entry in Ledger(store).entries() if entry.get("event") == EVENT
    )
    if counts and counts not in known:
        count_overlap(store, closed, counts, demo=False)


def tell(
    found: Sequence[Overlap], evaluations: Sequence[Evaluation], *, stop: bool, say: Say
) -> None:
    """Say which data sets are contaminated, of held-out tasks by counts alone, as of all others.

    Raises:
        OlmesError: one is, and `stop`.
    """
    suites = {one.task: one.held_out for one in evaluations}
    said = [sentence(one, suites[one.task]) for one in found if one.share > CONTAMINATED]
    if said and stop:
        raise OlmesError(
            f"{'; '.join(said)}: above {100 * CONTAMINATED:.0f} %, and decontamination.on_contaminated "
            'is "stop"; take the data set out, or its rows by `olmes decontaminate`, or say "say".'
        )
    for line in said:
        say(f"data: {line}: contaminated, above {100 * CONTAMINATED:.0f} %")
    some = sum(one.overlapped > 0 for one in found)
    sets = len({one.data_set for one in found})
    say(
        f"data: {sets} data set{'' if sets == 1 else 's'} compared with {len(evaluations)} "
        f"task{'' if len(evaluations) == 1 else 's'}: {some or 'no'} "
        f"overlap{'' if some == 1 else 's'}"
    )


def sentence(one: Overlap, suites: Sequence[str]) -> str:
    """How many items of a task overlap with a data set."""
    kept = f", held out by {', '.join(suites)}," if suites else ""
    return (
        f"{one.data_set} overlaps with {one.overlapped:,} of {one.n:,} items of {one.task}{kept} "
        f"({shown_share(one.overlapped, one.n)})"
    )
