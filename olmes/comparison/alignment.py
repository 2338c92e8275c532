"""Bringing the items of two runs together, or saying why they cannot be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from olmes.records.items import ItemResponses, Key, cluster_of
from olmes.records.record import Record


@dataclass(frozen=True, slots=True)
class Aligned:
    """The items that both runs have a value for."""

    keys: list[Key]
    a: list[ItemResponses]
    b: list[ItemResponses]
    only_a: int
    only_b: int
    """Items that one run alone has a value for."""
    prompts_differ: int
    """Items whose prompts are not the same."""

    def cluster(self, position: int) -> tuple[str, str]:
        """What an item's error is clustered by."""
        return cluster_of(self.a[position].rows[0])


def align(a: Mapping[Key, ItemResponses], b: Mapping[Key, ItemResponses], metric: str) -> Aligned:
    """The items of two runs that have a value of a metric in both, in the order of the first."""
    scored_a = {key for key, item in a.items() if item.value(metric) is not None}
    scored_b = {key for key, item in b.items() if item.value(metric) is not None}
    keys = [key for key in a if key in scored_a and key in scored_b]
    first, second = [a[key] for key in keys], [b[key] for key in keys]
    differ = sum(
        one.rows[0].get("prompt_hash") != other.rows[0].get("prompt_hash")
        for one, other in zip(first, second, strict=True)
    )
    common = set(keys)
    return Aligned(keys, first, second, len(scored_a - common), len(scored_b - common), differ)


def mismatch(name: str, a: Record, b: Record) -> list[str]:
    """Why a task's numbers in two runs are not numbers of the same thing; empty where they are."""
    ours, theirs = a.tasks[name], b.tasks[name]
    said = []
    if ours.formulation_hash != theirs.formulation_hash:
        said.append("the formulations differ")
    if ours.data.content_hash != theirs.data.content_hash:
        said.append("the data differ")
    if ours.primary != theirs.primary:
        said.append("the primary metrics differ")
    return said
