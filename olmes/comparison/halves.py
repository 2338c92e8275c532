"""A model's number on one half of a pair, and all that must stand beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from olmes import stats
from olmes.comparison.eligibility import (
    UNRANKED,
    Kind,
    Reservation,
    asked,
    is_limited,
    item_set,
    reservations,
)
from olmes.comparison.model_scores import ModelScores
from olmes.comparison.overlap import run_overlap
from olmes.comparison.overlap_words import overlap_line
from olmes.records.aggregate import common_unit, joinable, run_mean
from olmes.records.record import Record
from olmes.records.schema import TaskResult
from olmes.records.shown import count_over
from olmes.stats import Estimate
from olmes.tools.hashing import content_hash
from olmes.types import Unit

NOT_COMPARED: frozenset[Kind] = UNRANKED | {"demo data", "limited"}
"""A number of which one is said is shown with its mark, and no line is drawn through it."""


@dataclass(frozen=True, slots=True)
class Corrected:
    """The score of a checkpoint that is the best of several, less what choosing it added."""

    value: float
    ci_low: float | None
    ci_high: float | None
    checkpoints: int
    """It was the best of so many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfScore(Estimate):
    """A model's number on one half of a pair, with all that must stand beside it."""

    unit: Unit
    higher_is_better: bool
    metrics: list[str]
    """The primary metrics it is of, each once."""
    count: str
    """Over how many items, with responses or parts where they are more."""
    limit: int | None
    """Items a task it was limited to; None where no item was left out."""
    standard: bool
    marks: list[str]
    """What stands beside it: `!`, `limited`, ..."""
    reservations: list[str]
    """The same in sentences."""
    comparable: bool
    """Whether it is complete and over all items of real data."""
    runs: dict[str, str]
    """The run that it is from, by task."""
    version: str
    """The same in two models: numbers of the same formulations, data and items."""
    corrected: Corrected | None = None
    overlap: list[str] = field(default_factory=list)
    """What its items have in common with the data of the model's trainings, a sentence each."""
    overlaps: bool = False
    """Whether any has."""

    @property
    def best_known(self) -> Estimate:
        """The number that a gap or a change is taken of: the corrected one where there is one."""
        if (found := self.corrected) is None:
            return self
        return Estimate(found.value, self.stderr, found.ci_low, found.ci_high, self.n)


def on_one_scale(first: HalfScore, second: HalfScore) -> bool:
    """Whether the difference of two numbers is one: both are shares, or values of the same metric."""
    if first.unit != second.unit:
        return False
    return first.unit == "share" or first.metrics == second.metrics


@dataclass(frozen=True, slots=True)
class Half:
    """The tasks of one half of a pair in a model's records."""

    names: tuple[str, ...]
    records: Mapping[str, Record]
    """Of the tasks that have a number."""
    score: HalfScore | None
    why_not: str = ""
    """Why there is no number; '' where there is one, and where nothing was run."""

    @property
    def left_out(self) -> list[str]:
        """The tasks without a number."""
        return [name for name in self.names if name not in self.records]


def half_of(model: ModelScores, names: Sequence[str]) -> Half:
    """The mean of some tasks of a model."""
    records = {
        name: record
        for name in names
        if (record := model.record_of(name)) and record.tasks[name].score.estimate
    }
    tasks = {name: record.tasks[name] for name, record in records.items()}
    if not tasks:
        return Half(tuple(names), {}, None)
    if not joinable(tasks.values()):
        return Half(tuple(names), records, None, "the units or directions of its tasks differ")
    estimate = stats.suite_mean(
        {name: one for name, task in tasks.items() if (one := task.score.estimate)},
        is_share=common_unit(task.score.unit for task in tasks.values()) == "share",
    )
    said = [one for name, record in records.items() for one in reservations(record.run, [name])]
    return Half(tuple(names), records, half_score(estimate, tasks, records, said))


def suite_half(model: ModelScores, group: Sequence[Record], names: Iterable[str]) -> Half:
    """The mean of a model's suite."""
    record = model.suite_record(group, names)
    if record is None or record.run.suite is None:
        return Half((), {}, None)
    run, mean = record.run, run_mean(record.run)
    tasks = {name: run.tasks[name] for name in run.mean_tasks}
    records = dict.fromkeys(tasks, record)
    wanted = (*tasks, *(name for name in record.run.suite.missing if name not in tasks))
    if mean is None or mean.estimate is None:
        return Half(wanted, records, None, "the suite has no mean")
    return Half(wanted, records, half_score(mean.estimate, tasks, records, reservations(run)))


def half_score(
    estimate: Estimate | None,
    tasks: Mapping[str, TaskResult],
    records: Mapping[str, Record],
    said: Sequence[Reservation],
) -> HalfScore | None:
    """A number with what must stand beside it."""
    if estimate is None:
        return None
    own = list(tasks.values())
    limits = [
        asked(records[name].run, task)
        for name, task in tasks.items()
        if is_limited(records[name].run, task)
    ]
    found = {name: run_overlap(record) for name, record in records.items()}
    versions = {
        name: [
            task.formulation_hash,
            task.data.content_hash,
            task.primary,
            item_set(records[name].run, [name]),
        ]
        for name, task in sorted(tasks.items())
    }
    return HalfScore(
        estimate.value,
        estimate.stderr,
        estimate.ci_low,
        estimate.ci_high,
        estimate.n,
        unit=common_unit(task.score.unit for task in own),
        higher_is_better=own[0].score.higher_is_better,
        metrics=list(dict.fromkeys(task.primary for task in own)),
        count=count_over(sum(task.score.n for task in own), own),
        limit=max(limits, default=None),
        standard=all(task.standard for task in own),
        marks=list(dict.fromkeys(one.mark for one in said)),
        reservations=list(dict.fromkeys(one.sentence for one in said)),
        comparable=not any(one.kind in NOT_COMPARED for one in said),
        runs={name: record.id for name, record in records.items()},
        version=content_hash(versions)[:16],
        overlap=[
            f"{one.tasks[name].title}: {overlap_line(one.tasks[name])}"
            for name, one in found.items()
            if name in one.tasks
        ],
        overlaps=any(name in one.marked for name, one in found.items()),
    )
