"""How often each kind of instruction is followed, of tasks that judge a response on several.

A kind is the id of a `VerdictPart`; only the parts that a metric is taken over count, not those that
are mere evidence (the tests of a program).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from olmes.records.schema import ResponseRow
from olmes.records.shown import interval, shown
from olmes.reports import numbers
from olmes.reports.links import Link
from olmes.stats import mean
from olmes.types import VerdictPart


class Judged(NamedTuple):
    """One instruction of one response."""

    item: str
    strict: bool
    loose: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class KindView:
    """One kind of instruction, ready to be shown."""

    kind: str
    n: str
    followed: str
    interval: str
    bar: numbers.Bar | None
    loose: str
    missed: str
    """How many were not followed, strictly read."""
    link: str
    missed_link: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KindTable:
    """The kinds of a task, those least followed first."""

    title: str
    kinds: tuple[KindView, ...]


def scored_parts(row: ResponseRow) -> list[VerdictPart]:
    """The parts of a response that a metric is taken over: it has a flag for each."""
    parts = row.get("parts") or []
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


def kind_table(
    name: str, title: str, kinds: Mapping[str, Sequence[Judged]], link: Link
) -> KindTable | None:
    """How often each kind is followed, with intervals clustered by item; None where there is none."""
    if not kinds:
        return None
    views = [
        (mean([one.strict for one in judged]).value or 0.0, kind_view(name, kind, judged, link))
        for kind, judged in kinds.items()
    ]
    views.sort(key=lambda pair: (pair[0], pair[1].kind))
    return KindTable(title=title, kinds=tuple(view for _, view in views))


def kind_view(name: str, kind: str, judged: Sequence[Judged], link: Link) -> KindView:
    """One kind of a task."""
    items = [one.item for one in judged]
    strict = mean([one.strict for one in judged], items)
    loose = mean([one.loose for one in judged], items)
    missed = sum(not one.strict for one in judged)
    return KindView(
        kind=kind,
        n=numbers.count(len(judged)),
        followed=shown(strict.value, "share"),
        interval=interval(strict.ci_low, strict.ci_high, "share"),
        bar=numbers.bar(strict.value, strict.ci_low, strict.ci_high, "share"),
        loose=shown(loose.value, "share"),
        missed=numbers.count(missed),
        link=link(task=name, part=kind),
        missed_link=link(task=name, part=f"!{kind}") if missed else "",
    )
