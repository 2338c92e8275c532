"""Published overlaps of training sets with evaluations, beside ours for the sets that a user has."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePath

from olmes.decontamination.evaluations import Evaluation
from olmes.decontamination.findings import DataSet
from olmes.reproduction.paper import PERCENT, plain
from olmes.rows.sources import HubRows
from olmes.tools.toml_tables import build, read_toml

TABLE = Path(__file__).parent / "published/tulu3.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedEvaluation:
    """An evaluation of the tables, as it is called here."""

    task: str = ""
    subtask: str = ""
    """Where it is a part of a task of ours."""

    @property
    def name(self) -> str:
        """As its findings are called."""
        return f"{self.task}/{self.subtask}" if self.subtask else self.task


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedSet:
    """A training set of the tables."""

    hub: tuple[str, ...] = ()
    """Its names on the hub, before anything was removed."""
    config: str = ""
    split: str = "train"
    fields: tuple[str, ...] = ()
    """Where its rows have what a person says, which other sets have elsewhere."""
    released: str = ""
    """The name of its decontaminated form."""
    removed: float = 0.0
    """Percent of its rows that are not in that form; 0 where there is none."""
    overlaps: Mapping[str, float] = field(default_factory=dict)
    """Percent of an evaluation's items that overlap with it."""
    note: str = ""
    """What differs from the paper's set."""

    @property
    def wanted(self) -> HubRows:
        """Which rows of the hub's."""
        return HubRows(split=self.split, config=self.config)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedOverlaps:
    """The tables."""

    source: str = ""
    evaluations: Mapping[str, PublishedEvaluation] = field(default_factory=dict)
    sets: Mapping[str, PublishedSet] = field(default_factory=dict)

    def of(self, title: str, evaluations: Iterable[Evaluation]) -> tuple[Evaluation, ...]:
        """Those of some evaluations, or their parts, that a set has published numbers of."""
        wanted = [self.evaluations[name] for name in self.sets[title].overlaps]
        return tuple(
            part(one, each) for each in wanted for one in evaluations if one.task == each.task
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """A published number with ours, in percent."""

    training_set: str
    evaluation: str
    """'' for the rows that were removed from the released set."""
    published: float
    ours: float | None = None
    n: int = 0
    """Items, or rows, that ours is of."""
    why_missing: str = ""
    note: str = ""


@cache
def published_overlaps() -> PublishedOverlaps:
    """Tables 8 and 37 of Tülu 3."""
    return build(PublishedOverlaps(), read_toml(TABLE), TABLE.name)


def part(evaluation: Evaluation, wanted: PublishedEvaluation) -> Evaluation:
    """An evaluation, or the part of it that is one of a paper's."""
    if not wanted.subtask:
        return evaluation
    items = tuple(one for one in evaluation.items if one.id.startswith(f"{wanted.name}/"))
    return dataclasses.replace(evaluation, task=wanted.name, items=items)


def set_of(name: str, sets: Mapping[str, PublishedSet]) -> str:
    """The title of the published set that a file, a folder or a name of the hub is; '' for none.

    Known is a part of the path that reads like the set's title or its name on the hub, whatever
    signs and capitals.
    """
    parts = {plain(one.partition(".")[0]) for one in PurePath(name).parts}
    for title, one in sets.items():
        if parts & {plain(title), *(plain(hub.rpartition("/")[2]) for hub in one.hub)}:
            return title
    return ""


def cached_name(one: PublishedSet) -> str:
    """The name of a set that lies in a cache of the hub's libraries; '' where none does."""
    import datasets
    from huggingface_hub import constants

    for name in one.hub:
        owner, _, rest = name.partition("/")
        places = (
            Path(constants.HF_HUB_CACHE) / f"datasets--{owner}--{rest}",
            Path(datasets.config.HF_DATASETS_CACHE) / f"{owner}___{rest.lower()}",
            Path(datasets.config.HF_DATASETS_CACHE) / f"{owner}___{rest}",
        )
        if any(place.is_dir() for place in places):
            return name
    return ""


def beside(title: str, found: DataSet | None, why: str = "") -> list[Beside]:
    """The published numbers of a set with ours.

    Args:
        title: of the set.
        found: what ours has in common with the evaluations; None where it is not here.
        why: why it, or an evaluation, is not.
    """
    table = published_overlaps()
    one = table.sets[title]
    by_task = {each.evaluation.task: each for each in found.findings} if found else {}
    rows = []
    for name, number in one.overlaps.items():
        finding = by_task.get(table.evaluations[name].name)
        rows.append(
            Beside(
                training_set=title,
                evaluation=name,
                published=number,
                ours=finding.share * PERCENT if finding else None,
                n=finding.n if finding else 0,
                why_missing="" if finding else why or "the evaluation has no real data here",
                note=one.note,
            )
        )
    if one.removed:
        rows.append(removed_row(title, one, found, why))
    return rows


def removed_row(title: str, one: PublishedSet, found: DataSet | None, why: str) -> Beside:
    """Rows removed from a released set, beside those of ours that overlap with an open evaluation."""
    ours = len(found.open_rows) / found.rows * PERCENT if found and found.findings else None
    return Beside(
        training_set=title,
        evaluation="",
        published=one.removed,
        ours=ours,
        n=found.rows if found else 0,
        why_missing="" if ours is not None else why or "no evaluation of it has data here",
        note=one.note,
    )


def needed_tasks(titles: Sequence[str]) -> list[str]:
    """Our names of the tasks that sets have published numbers of, each once."""
    table = published_overlaps()
    names = (name for title in titles for name in table.sets[title].overlaps)
    return list(dict.fromkeys(table.evaluations[name].task for name in names))
