"""How often each kind of instruction is followed, of tasks that judge a response on several.

A kind is the id of a `VerdictPart`; only the parts that a metric is taken over count, not those that
are mere evidence (the tests of a program).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from olmes.records.schema import ResponseRow
from olmes.stats import Estimate, mean
from olmes.types import VerdictPart


class Judged(NamedTuple):
    """One instruction of one response."""

    item: str
    strict: bool
    loose: bool


def scored_parts(row: ResponseRow) -> list[VerdictPart]:
    """The parts of a response that a metric is taken over: it has a flag for each."""
    parts = row.get("parts")
    if not parts:  # as of most tasks, whose every row passes here
        return []
    lists = (value for value in row["values"].values() if isinstance(value, list))
    return parts if any(len(value) == len(parts) for value in lists) else []


class PartKinds:
    """Instructions by task and kind, as the rows pass (a `RowCollector`)."""

    def __init__(self) -> None:
        self.tasks: dict[str, dict[str, list[Judged]]] = {}

    def see(self, task: str, row: ResponseRow) -> None:
        """Take the verdicts on the instructions of a response."""
        item = row.get("cluster") or row["doc_hash"]
        for part in scored_parts(row):
            kinds = self.tasks.setdefault(task, {})
            kinds.setdefault(part["id"], []).append(Judged(item, part["strict"], part["loose"]))

    def of(self, task: str) -> Mapping[str, Sequence[Judged]]:
        """The instructions of a task by kind; empty where none was seen."""
        return self.tasks.get(task, {})


def kind_scores(judged: Sequence[Judged]) -> tuple[Estimate, Estimate]:
    """How often one kind was followed, strictly and loosely read, with errors clustered by item."""
    items = [one.item for one in judged]
    return mean([one.strict for one in judged], items), mean([one.loose for one in judged], items)
