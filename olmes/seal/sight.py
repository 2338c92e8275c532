"""Looks without a run: items that are shown or checked, recorded responses that are scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from olmes.benchmark.task import Task
from olmes.data import demo
from olmes.data.dataset import Dataset
from olmes.data.places import DataFolders
from olmes.errors import OlmesError
from olmes.models.base import Model
from olmes.models.checkpoint.lineage import family, lineage
from olmes.records.overlap import without_overlap
from olmes.records.record import readable_records
from olmes.seal.counting import count_looks
from olmes.seal.exam_items import exam_of_docs
from olmes.seal.held_out import exams, foreign_docs, held_out_tasks, members_of
from olmes.seal.known_stores import remember
from olmes.seal.ledger import Entry, Ledger
from olmes.seal.look import Look, allowed, check_all_are_there, check_none_is_hidden, who
from olmes.tools.hashing import content_hash
from olmes.types import Doc


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What is about to be seen of one task."""

    event: Literal["show", "check", "score"]
    """Items, findings about items, or what recorded responses are worth."""
    task: Task
    items: int
    """How many."""
    dataset: Dataset | None
    """What was loaded; None where the items came with the responses."""
    docs: Sequence[Doc] = ()
    """The items that came with the responses."""
    data: DataFolders = None
    """The folders that were named."""
    model: Model | None = None
    """Whose responses are scored."""


def check_sight(sight: Sight, store: Path, look: Look | None) -> None:
    """Refuse at once what `take_sight` would refuse, before a model is loaded.

    Raises:
        OlmesError: something held out would be seen, and no reason is given.
    """
    if held := held_out_in(sight, store):
        allowed(look, held)


def take_sight(sight: Sight, store: Path, look: Look | None) -> Entry | None:
    """Write a look without a run into a store's ledger; None where nothing held out is seen.

    Demo data are nobody's secret.

    Raises:
        OlmesError: no reason is given, or the ledger cannot be written, was tampered with or lacks a
            look that a run of the store was.
    """
    held = held_out_in(sight, store)
    if not held:
        return None
    ledger = Ledger(store)
    entries = ledger.entries()
    look = allowed(look, held)
    records, unreadable = readable_records(store)
    check_all_are_there(records, entries, ledger)
    check_none_is_hidden(unreadable, entries, ledger)
    model = sight.model
    name = look.family or (family(model) if model else "")
    fingerprint, descent = ("", [])
    if model:
        fingerprint, descent = model.fingerprint, without_overlap(lineage(model))
    entry = ledger.append(
        sight.event,
        "",
        {
            "who": who(),
            "asked_by": look.asked_by,
            "reason": look.reason.strip(),
            "tasks": sorted(held),
            "data": {sight.task.name: sight.dataset.content_hash} if sight.dataset else {},
            "items": sight.items,
            "sample_data": False,
            "model": model.name if model else "",
            "fingerprint": fingerprint,
            "family": name,
            "lineage": descent,
            **count_looks(store, entries, name, fingerprint, descent).fields,
        },
    )
    remember(store, [*entries, entry])
    return entry


def held_out_in(sight: Sight, store: Path) -> dict[str, list[str]]:
    """What of a sight is held out where it is taken, with the suites that hold it out."""
    return {} if of_demo_data(sight) else held_out_of(sight, Ledger(store).entries())


def held_out_of(sight: Sight, entries: Sequence[Entry]) -> dict[str, list[str]]:
    """The task, if it is held out, with the suites that hold it out.

    Besides those that are installed that is a suite of one's own which was run in this store: its
    looks are in the ledger.
    """
    task, dataset = sight.task, sight.dataset
    datasets = {task.name: dataset} if dataset else {}
    if held := held_out_tasks([task], None, datasets):
        return held
    found = exams()
    docs = foreign_docs(task, sight.docs, sight.data)
    if exam := exam_of_docs(docs, members_of(found), sight.data):
        return {task.name: [one.suite for one in found if exam in one.names]}
    if any(seen(entry, task.name, dataset) for entry in entries):
        return {task.name: ["that was run in this store"]}
    return {}


def gated_in(sight: Sight) -> bool:
    """Whether items of a sight may not be published in plain text; demo items may."""
    return sight.task.source.gated and not of_demo_data(sight)


def seen(entry: Entry, name: str, dataset: Dataset | None) -> bool:
    """Whether a line was a look at a task or at its data, and no demo data."""
    tasks, data = entry.get("tasks"), entry.get("data")
    if entry.get("sample_data") or not isinstance(tasks, list):
        return False
    hashes = data.values() if isinstance(data, dict) else ()
    return name in tasks or (dataset is not None and dataset.content_hash in hashes)


def of_demo_data(sight: Sight) -> bool:
    """Whether everything that is seen is demo data."""
    if sight.dataset is not None and sight.dataset.origin != "demo":
        return False
    if not sight.docs:
        return sight.dataset is not None
    own = demo_items(sight.task)
    return all(item_hash(sight.task, doc) in own for doc in sight.docs)


def demo_items(task: Task) -> frozenset[str]:
    """Hashes of a task's demo items; none where it has none that can be read."""
    try:
        place = demo.find(task)
        rows = demo.load(place) if place else []
    except OlmesError:
        return frozenset()
    return frozenset(item_hash(task, row) for row in rows)


def item_hash(task: Task, doc: Any) -> str:
    """Of the fields that a task reads of an item."""
    return content_hash({field: doc.get(field) for field in task.source.fields})
