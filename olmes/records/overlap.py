"""What the data of a model's training had in common with an evaluation, as its lineage says it.

A step of a lineage (`lineage.json`, and `model.lineage` of a record) has the key `overlap`: a list of
these objects, one a data set and task that were compared, those without a common item too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from olmes.records.schema import Count, Hex

Name = Annotated[str, Meta(min_length=1, max_length=1000)]
Share = Annotated[float, Meta(ge=0, le=1)]
KEY = "overlap"
"""Of a step of a lineage."""
MOST_ITEMS = 1_000_000
"""Of a task: what claims more is no comparison."""


class Overlap(Struct, frozen=True, kw_only=True):
    """A data set of a training beside the items of a task."""

    data_set: Name
    """Its name in the recipe."""
    data_hash: str
    """Of its content."""
    rows: Count
    """How many were compared."""
    task: Name
    task_data_hash: str
    """The content hash of the items it was compared with."""
    n: Annotated[int, Meta(ge=0, le=MOST_ITEMS)]
    """How many items were compared."""
    overlapped: Count
    """How many of them overlap with a row (Tülu 3, section 3.2)."""
    items: list[Hex] = []
    """Their `Instance.doc_hash`, by which a run knows them: a held-out item is named nowhere."""
    matched_rows: Count
    """How many rows an item overlaps with."""
    ngram: Count
    """Tokens in a row that are the same where an item is matched."""
    threshold: Share
    """The share of an item's tokens above which it overlaps."""

    def __post_init__(self) -> None:
        if self.overlapped > self.n or len(self.items) > self.overlapped:
            raise ValueError("more items overlap than were compared")

    @property
    def share(self) -> float:
        """Overlapped items of those compared, from 0 to 1."""
        return self.overlapped / self.n if self.n else 0.0


def without_overlap(lineage: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A lineage as the ledger repeats it: who a model came from, and nothing of items."""
    return [{key: value for key, value in step.items() if key != KEY} for step in lineage]


def overlaps(lineage: Iterable[Mapping[str, Any]]) -> list[Overlap]:
    """What every training of a lineage had in common with evaluations, oldest first.

    What another version wrote and this one does not understand is left out, and so is what cannot be:
    a record may come from anybody.
    """
    found = []
    for step in lineage:
        entries = step.get(KEY) if isinstance(step, Mapping) else None
        for entry in entries if isinstance(entries, list) else ():
            try:
                found.append(msgspec.convert(entry, Overlap))
            except msgspec.ValidationError:
                continue
    return found


def shown_name(data_set: str) -> str:
    """A data set as a recipe names it, without the folders of a file."""
    path = Path(data_set)
    return path.name if path.is_absolute() else data_set
