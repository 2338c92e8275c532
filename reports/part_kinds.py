"""How often each kind of instruction is followed, ready to be shown (`olmes.records.part_kinds`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from olmes.records.part_kinds import Judged, kind_scores
from olmes.records.shown import interval, shown
from olmes.reports import numbers
from olmes.reports.links import Link


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


def kind_table(
    name: str, title: str, kinds: Mapping[str, Sequence[Judged]], link: Link
) -> KindTable | None:
    """How often each kind is followed, with intervals clustered by item; None where there is none."""
    if not kinds:
        return None
    views = [
        (kind_scores(judged)[0].value, kind_view(name, kind, judged, link))
        for kind, judged in kinds.items()
    ]
    views.sort(key=lambda pair: (pair[0], pair[1].kind))
    return KindTable(title=title, kinds=tuple(view for _, view in views))


def kind_view(name: str, kind: str, judged: Sequence[Judged], link: Link) -> KindView:
    """One kind of a task."""
    strict, loose = kind_scores(judged)
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
