"""The evaluation's side: the items of tasks, as tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from olmes.benchmark.task import Task
from olmes.data.dataset import Dataset
from olmes.decontamination.tokens import tokens

Field = Literal["question", "answer"]


@dataclass(frozen=True, slots=True)
class Item:
    """An item of an evaluation."""

    id: str
    """`Instance.id`."""
    doc_hash: str
    """`Instance.doc_hash`, by which an item is known that may not be shown."""
    texts: tuple[str, ...]
    """What is compared, each text by itself: no n-gram spans two."""
    tokens: tuple[tuple[str, ...], ...]
    """Of each text."""

    @property
    def length(self) -> int:
        """Its tokens in all."""
        return sum(map(len, self.tokens))


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A task's items, to be compared."""

    task: str
    title: str
    data_hash: str
    """The content hash of its data."""
    held_out: tuple[str, ...]
    """The suites that hold it out; of such a task counts alone are told."""
    items: tuple[Item, ...]
    origin: str = ""
    """What kind of source its data came from (`Dataset.origin`)."""
    gated: bool = False
    """Whether its items may not be published in plain text."""

    @property
    def closed(self) -> bool:
        """Whether counts alone may be shown: no item, no row that overlaps with one."""
        return bool(self.held_out) or self.gated

    @property
    def without_tokens(self) -> int:
        """Items that can overlap with nothing."""
        return sum(not item.length for item in self.items)


def evaluation(
    task: Task,
    dataset: Dataset,
    held_out: Sequence[str] = (),
    fields: Sequence[Field] = ("question",),
) -> Evaluation:
    """The items of a task, as they are compared.

    Args:
        task: it.
        dataset: its items.
        held_out: the suites that hold it out.
        fields: what of an item is compared.
    """
    items = []
    for instance in dataset.instances:
        texts = tuple(
            text
            for field in fields
            for text in task.item_texts(instance.doc, answers=field == "answer")
        )
        items.append(
            Item(
                instance.id, instance.doc_hash, texts, tuple(tuple(tokens(text)) for text in texts)
            )
        )
    return Evaluation(
        task=task.name,
        title=task.title,
        data_hash=dataset.content_hash,
        held_out=tuple(held_out),
        items=tuple(items),
        origin=dataset.origin,
        gated=dataset.gated,
    )
