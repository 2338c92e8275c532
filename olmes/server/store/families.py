"""Trainings that have checkpoints here: how many, and the latest and the best score."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from olmes.client.types import Family, StepScore
from olmes.records.schema import LARGEST
from olmes.server.store.database import Database
from olmes.server.store.schema import metrics, runs
from olmes.server.store.table_rows import NumberColumns

NUMBER = tuple(field.name for field in dataclasses.fields(NumberColumns))


@dataclass(frozen=True, slots=True, kw_only=True)
class Score(NumberColumns):
    """The number of one checkpoint: its suite's mean, or that of its one task."""

    family: str
    step: float
    run: str
    moment: str
    what: str
    """The suite or the task."""
    limited: str
    item_set: str
    demo_data: bool
    standard: bool

    @property
    def kind(self) -> tuple[str, str, str, bool, bool]:
        """What has to be equal for two of them to be numbers of the same thing."""
        return self.what, self.limited, self.item_set, self.demo_data, self.standard

    @property
    def at_step(self) -> StepScore:
        """The same as the API says it."""
        return StepScore(
            run=self.run,
            step=whole(self.step),
            value=self.value,
            stderr=self.stderr,
            ci_low=self.ci_low,
            ci_high=self.ci_high,
            unit=self.unit,
            higher_is_better=self.higher_is_better,
        )


def whole(step: float) -> float:
    """A step, as an integer where it is one."""
    return int(step) if step.is_integer() and abs(step) <= LARGEST else step


def families(database: Database) -> list[Family]:
    """Families of models with at least one run that says its step, in the order of their names.

    The scores are of complete runs that are no look at held-out tasks, and of those that were asked
    the same: of what most of the family's steps were asked.
    """
    counted = (
        select(
            runs.family,
            func.count().label("runs"),
            func.count(runs.step.distinct()).label("steps"),
            func.max(runs.step).label("last_step"),
        )
        .where(runs.step.is_not(None), runs.family != "")
        .group_by(runs.family)
        .order_by(runs.family)
    )
    with database.reading() as connection:
        rows = connection.execute(counted).all()
    found = defaultdict(list)
    for score in scores(database):
        found[score.family].append(score)
    return [
        Family(
            family=row.family,
            runs=row.runs,
            steps=row.steps,
            last_step=whole(row.last_step),
            **scored(found[row.family]),  # type: ignore[typeddict-item]
        )
        for row in rows
    ]


def scores(database: Database) -> Iterable[Score]:
    """The numbers of checkpoints that stand beside each other: of whole, open runs that have one."""
    shared = (
        runs.family, runs.step, runs.id.label("run"), runs.moment, runs.limited, runs.item_set,
        runs.demo_data, runs.standard,
    )  # fmt: skip
    among = (runs.step.is_not(None), runs.family != "", runs.complete, runs.held_out.is_(False))
    of_suites = select(
        *shared, runs.suite.label("what"), *(runs.table.c[name] for name in NUMBER)
    ).where(*among, runs.suite != "", runs.value.is_not(None))
    alone = (
        select(metrics.run)
        .where(metrics.is_primary)
        .group_by(metrics.run)
        .having(func.count() == 1)
    )
    of_tasks = (
        select(*shared, metrics.task.label("what"), *(metrics.table.c[name] for name in NUMBER))
        .join(metrics.table, metrics.run == runs.seq)
        .where(*among, runs.suite == "", metrics.is_primary, metrics.value.is_not(None))
        .where(runs.seq.in_(alone))
    )
    with database.reading() as connection:
        for query in (of_suites, of_tasks):
            for row in connection.execute(query):
                yield Score(**row._mapping)


def scored(found: Sequence[Score]) -> dict[str, object]:
    """What most of a family's steps were asked, its latest and its best score there."""
    if not found:
        return {"what": "", "limited": "", "demo_data": False, "standard": True} | dict.fromkeys(
            ("latest", "best")
        )
    kinds = defaultdict(list)
    for score in found:
        kinds[score.kind].append(score)
    own = max(kinds.values(), key=lambda some: (len({one.step for one in some}), newest(some)))
    latest = max(own, key=lambda one: (one.step, one.moment))
    sign = 1 if latest.higher_is_better else -1
    best = max(own, key=lambda one: (sign * (one.value or 0.0), one.step))
    return {
        "what": latest.what,
        "limited": latest.limited,
        "demo_data": latest.demo_data,
        "standard": latest.standard,
        "latest": latest.at_step,
        "best": best.at_step,
    }


def newest(some: Sequence[Score]) -> str:
    """When the last of some runs was made."""
    return max(one.moment for one in some)
