"""The items of held-out tasks, as far as their data lie on this machine: to know them elsewhere.

A task's name and its data's hash say nothing of a file with half of the items in it, of rows of a
training, or of items that stand in a recording. These are held against the items themselves: an item
is known by its fields, and by each long text that no other item of its task has.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from olmes.benchmark.item_texts import prompt_of
from olmes.benchmark.registry import load_task
from olmes.benchmark.task import Task
from olmes.data.dataset import Dataset
from olmes.data.places import DataFolders, as_folders
from olmes.data.resolve import at_hand
from olmes.errors import OlmesError
from olmes.tools.hashing import content_hash
from olmes.types import Doc

LONG = 60
"""Characters from which on a text that two items have in common is no chance."""


@dataclass(frozen=True, slots=True)
class ExamItems:
    """The items of one held-out task."""

    task: str
    fields: tuple[str, ...]
    docs: frozenset[str]
    """Content hashes of the items, reduced to `fields`."""
    texts: frozenset[bytes]
    """Digests of long texts that one item alone has, and of the prompts it is asked with."""

    @classmethod
    def of(cls, task: Task, dataset: Dataset) -> ExamItems:
        """The items of a task."""
        docs = [reduced(instance.doc, task.source.fields) for instance in dataset.instances]
        count = Counter(digest for doc in docs for digest in set(digests(doc)))
        texts = {digest for digest, items in count.items() if items == 1}
        for instance in dataset.instances:
            texts.update(digests(prompt_of(task, instance.doc)))
        hashes = (content_hash(doc) for doc in docs if doc is not None)
        return cls(task.name, task.source.fields, frozenset(hashes), frozenset(texts))

    def has(self, doc: Any, texts: frozenset[bytes]) -> bool:
        """Whether an item of some task, or a text, is one of these.

        Args:
            doc: it.
            texts: its `digests`.
        """
        if not texts.isdisjoint(self.texts):
            return True
        own = reduced(doc, self.fields)
        return own is not None and content_hash(own) in self.docs


def exam_of_docs(docs: Iterable[Any], tasks: Sequence[str], data: DataFolders = None) -> str:
    """The held-out task that one of some items (or texts) is of; '' for none that is known here.

    Args:
        docs: items of any task, as its files have them, or texts.
        tasks: the names of the held-out tasks.
        data: the folders of benchmark files that were named.
    """
    if not (docs := list(docs)):  # what all held-out tasks ask is read for a reason alone
        return ""
    places = (os.environ.get("OLMES_DATA", ""), os.environ.get("OLMES_CACHE", ""))
    exams = known_items(tuple(tasks), as_folders(data), places)
    for doc in docs if exams else ():
        texts = frozenset(digests(doc))
        for exam in exams:
            if exam.has(doc, texts):
                return exam.task
    return ""


@cache
def known_items(
    tasks: tuple[str, ...],
    folders: tuple[Path, ...],
    places: tuple[str, ...],  # noqa: ARG001 (what is found depends on it)
) -> list[ExamItems]:
    """The items of some tasks whose data lie here, read once.

    Args:
        tasks: their names.
        folders: that were named.
        places: what else says where data are looked for.
    """
    found: dict[str, ExamItems] = {}
    for name in tasks:
        try:
            task = load_task(name)
        except OlmesError:  # it is not installed here
            continue
        if task.name not in found and (dataset := items_at_hand(task, folders)) is not None:
            found[task.name] = ExamItems.of(task, dataset)
    return list(found.values())


def items_at_hand(task: Task, folders: Sequence[Path]) -> Dataset | None:
    """A task's items from folders, or else from where they are looked for without any."""
    there = tuple(folder for folder in folders if folder.is_dir())
    for data in (there, None) if there else (None,):
        try:
            if (dataset := at_hand(task, data)) is not None:
                return dataset
        except OlmesError:  # $OLMES_DATA names no folder, which whoever reads data is told
            continue
    return None


def reduced(doc: Any, fields: Sequence[str]) -> Doc | None:
    """An item's fields; None where it lacks one, as items of other tasks do."""
    if not isinstance(doc, dict) or not fields or not all(field in doc for field in fields):
        return None
    return {field: doc[field] for field in fields}


def digests(value: Any) -> Iterator[bytes]:
    """Of each long text in a value, whatever its spaces and capitals."""
    left = [value]
    while left:  # and no recursion: how deep an item is, is its author's choice
        one = left.pop()
        if isinstance(one, dict):
            left += one.values()
        elif isinstance(one, list | tuple):
            left += one
        elif isinstance(one, str) and len(text := " ".join(one.split()).casefold()) >= LONG:
            yield hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
