"""A mixture of training data and its ablations: what each source is worth to each task.

Tülu 3 prints it as a row a mixture and a column a task (Tables 9, 10 and 32). Here each row also has
its difference from the full mixture, item by item and seed by seed, corrected for every test of the
round.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from olmes import stats
from olmes.comparison.alignment import mismatch
from olmes.comparison.eligibility import reservations
from olmes.comparison.items import SharedItems
from olmes.records.aggregate import common_unit, joinable
from olmes.records.record import Record
from olmes.stats import PairedDifference, TrainingNoise
from olmes.types import Unit

Kind = Literal["full", "leave_one_out", "double_one"]
MEAN = ""
"""The column of the tasks' mean."""
Test = tuple[int, str]
"""A row's place and a column's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A mixture: the full one, or one of its ablations."""

    name: str
    """`full mix`, `without chats`, `chats doubled`."""
    kind: Kind
    source: str = ""
    """The source that is left out or doubled."""
    rows: Mapping[str, int] = field(default_factory=dict)
    """How many rows of each source it trains on; their sum is the same for all variants."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationColumn:
    """A task, or the mean of all."""

    name: str
    """`MEAN` for the mean."""
    title: str
    unit: Unit
    higher_is_better: bool
    n: int
    """Items that every variant has a value for with every seed."""
    noise: TrainingNoise | None
    """How far one training's score moves with its seed; None of a single seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationRow:
    """A variant's scores, and how they differ from those of the full mixture."""

    variant: Variant
    scores: Mapping[str, float]
    """By column, the mean over the seeds."""
    by_seed: Mapping[str, tuple[float, ...]]
    differences: Mapping[str, PairedDifference]
    """By column, variant less full; none in the full mixture's row. p-values corrected by Holm over
    all rows and columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ablations:
    """The table of one round."""

    columns: tuple[AblationColumn, ...]
    """The mean first, where there is one."""
    rows: tuple[AblationRow, ...]
    """The full mixture first."""
    seeds: int
    tests: int
    """How many p-values Holm's correction is over."""
    not_compared: Mapping[str, str]
    """Tasks that are in no column, and why."""
    demo_data: tuple[str, ...]
    """Tasks that ran on built-in demo data."""
    reservations: tuple[str, ...]
    """What else keeps the numbers from being standard and over all items, each once."""


def ablations(
    variants: Sequence[Variant], runs: Sequence[Sequence[Record]], items: SharedItems | None = None
) -> Ablations:
    """Hold every variant against the first one, the full mixture.

    A task is compared on the items that all variants have a value for with every seed; an item's value
    is its mean over the seeds. With several seeds the interval and the p-value also hold for other
    seeds (`stats.over_seeds`).

    Args:
        variants: the full mixture first.
        runs: of each variant, one record a seed, in the same order of seeds.
        items: what was read of the samples before, each run's values by themselves.

    Raises:
        ValueError: a variant lacks a seed.
    """
    seeds = len(runs[0])
    if any(len(own) != seeds for own in runs):
        raise ValueError("each variant needs a record with each seed")
    items = items or SharedItems(each=True)
    everything = [record for own in runs for record in own]
    first = everything[0]
    not_compared = {
        name: why for name in first.tasks if (why := why_not_compared(name, everything, items))
    }
    names = [name for name in first.tasks if name not in not_compared]
    columns = [column_of(name, everything, seeds, items) for name in names]
    values = {name: seed_scores(name, everything, seeds, items) for name in names}
    plain: dict[Test, PairedDifference] = {
        (place, name): paired(name, everything, (0, place), seeds, items)
        for place in range(1, len(variants))
        for name in names
    }
    averaged = [name for name in names if name in first.run.mean_tasks]
    if len(averaged) > 1 and joinable(first.tasks[name] for name in averaged):
        values[MEAN] = [
            tuple(math.fsum(own) / len(averaged) for own in zip(*of_tasks, strict=True))
            for of_tasks in zip(*(values[name] for name in averaged), strict=True)
        ]
        of_first = [column for column in columns if column.name in averaged]
        columns.insert(0, mean_column(of_first, values[MEAN]))
        for place in range(1, len(variants)):
            mean = stats.paired_mean({name: plain[place, name] for name in averaged})
            if mean is not None:
                plain[place, MEAN] = mean
    noise = {column.name: column.noise for column in columns}
    found = stats.with_holm(
        {test: stats.over_seeds(one, noise[test[1]]) for test, one in plain.items()}
    )
    return Ablations(
        columns=tuple(columns),
        rows=tuple(
            AblationRow(
                variant=variant,
                scores={name: math.fsum(own[place]) / seeds for name, own in values.items()},
                by_seed={name: own[place] for name, own in values.items()},
                differences={
                    column.name: found[place, column.name]
                    for column in columns
                    if (place, column.name) in found
                },
            )
            for place, variant in enumerate(variants)
        ),
        seeds=seeds,
        tests=len(found),
        not_compared=not_compared,
        demo_data=tuple(dict.fromkeys(n for one in everything for n in sorted(one.run.demo_tasks))),
        reservations=tuple(
            dict.fromkeys(
                said
                for one in everything
                for said in ([one.altered] if one.altered else [])
                + [why.sentence for why in reservations(one.run) if why.kind != "demo data"]
            )
        ),
    )


def why_not_compared(name: str, runs: Sequence[Record], items: SharedItems) -> str:
    """Why some runs' numbers of a task cannot be held against each other; '' where they can."""
    for record in runs:
        if name not in record.tasks:
            return f"{record.id} has no number for it"
        if reasons := mismatch(name, runs[0], record):
            return f"{' and '.join(reasons)} in {record.id}"
        if not record.can_be_paired(name):
            return f"the samples of {record.id} are missing"
    return "" if items.of(name, runs).values else "the runs have no items in common"


def column_of(name: str, runs: Sequence[Record], seeds: int, items: SharedItems) -> AblationColumn:
    """A task."""
    task = runs[0].tasks[name]
    return AblationColumn(
        name=name,
        title=runs[0].run.title(name),
        unit=common_unit(record.tasks[name].score.unit for record in runs),
        higher_is_better=task.score.higher_is_better,
        n=len(items.of(name, runs).values),
        noise=stats.training_noise(seed_scores(name, runs, seeds, items)),
    )


def mean_column(
    tasks: Sequence[AblationColumn], scores: Sequence[Sequence[float]]
) -> AblationColumn:
    """The mean of some tasks."""
    return AblationColumn(
        name=MEAN,
        title="Mean",
        unit=common_unit(task.unit for task in tasks),
        higher_is_better=tasks[0].higher_is_better,
        n=sum(task.n for task in tasks),
        noise=stats.training_noise(scores),
    )


def seed_scores(
    name: str, runs: Sequence[Record], seeds: int, items: SharedItems
) -> list[tuple[float, ...]]:
    """A task's score of each variant with each seed, over the items that all runs have."""
    own = items.of(name, runs)
    strata, sizes = own.strata(runs[0].tasks[name]), own.sizes()
    found = [
        stats.stratified_mean(
            [row[place] for row in own.values], clusters=own.clusters, strata=strata, sizes=sizes
        ).value
        for place in range(len(runs))
    ]
    return [tuple(found[at : at + seeds]) for at in range(0, len(found), seeds)]


def paired(
    name: str, runs: Sequence[Record], places: tuple[int, int], seeds: int, items: SharedItems
) -> PairedDifference:
    """Two variants on one task: the difference of each item's means over the seeds.

    Args:
        name: of the task.
        runs: of all variants, so many seeds each.
        places: of the baseline and of the candidate among the variants.
        seeds: of each.
        items: what was read of the samples before.
    """
    own, task = items.of(name, runs), runs[0].tasks[name]
    columns = [
        [math.fsum(row[at * seeds : (at + 1) * seeds]) / seeds for row in own.values]
        for at in places
    ]
    return stats.compare(
        *columns,
        clusters=own.clusters,
        strata=own.strata(task),
        sizes=own.sizes(),
        higher_is_better=task.score.higher_is_better,
        is_share=common_unit(record.tasks[name].score.unit for record in runs) == "share",
        test="t",
    )
