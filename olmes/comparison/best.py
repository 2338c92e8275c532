"""Which of several checkpoints is best, and what its number is worth after the choosing.

The one answer for the trainers' `best.json` and for the page of a training. Items are weighed as the
task's own number weighs them: by their parts, sub-tasks of a macro average alike.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from olmes import stats
from olmes.comparison.items import SharedItems, suite_items
from olmes.records.aggregate import common_unit
from olmes.records.record import Record
from olmes.stats import Alarm, BestOf


@dataclass(frozen=True, slots=True)
class SharedValues:
    """The items that all checkpoints have a value for."""

    values: Sequence[Sequence[float]]
    """Items by checkpoints."""
    clusters: Sequence[Hashable]
    strata: Sequence[Hashable] | None
    sizes: Sequence[float] | None
    higher_is_better: bool
    is_share: bool

    def best(self) -> BestOf:
        """The best checkpoint, allowing for the choice."""
        return stats.best_of(
            self.values,
            clusters=self.clusters,
            strata=self.strata,
            sizes=self.sizes,
            higher_is_better=self.higher_is_better,
            is_share=self.is_share,
        )

    def alarm(
        self, names: Sequence[str], *, series: int = 1, planned: int | None = None
    ) -> Alarm | None:
        """Whether the latest checkpoint has fallen below an earlier one (`stats.comparisons`)."""
        return stats.regression_alarm(
            self.values,
            names,
            clusters=self.clusters,
            strata=self.strata,
            sizes=self.sizes,
            higher_is_better=self.higher_is_better,
            is_share=self.is_share,
            series=series,
            planned=planned,
        )


def shared_by_task(name: str, records: Sequence[Record], items: SharedItems) -> SharedValues | None:
    """The items of one task; None where samples are missing or there is one checkpoint."""
    if not comparable([name], records):
        return None
    task, own = records[-1].tasks[name], items.of(name, records)
    if not own.values:
        return None
    return SharedValues(
        own.values,
        own.clusters,
        own.strata(task),
        own.sizes(),
        task.score.higher_is_better,
        common_unit(record.tasks[name].score.unit for record in records) == "share",
    )


def shared_by_suite(
    names: Sequence[str], records: Sequence[Record], items: SharedItems, *, least: int = 2
) -> SharedValues | None:
    """The items of several tasks, each task weighing the same.

    None where samples are missing or there are fewer than `least` checkpoints.
    """
    if not comparable(names, records, least):
        return None
    found = suite_items(records, names, items)
    if not found.values:
        return None
    return SharedValues(
        found.values,
        found.clusters,
        found.strata,
        found.sizes,
        found.higher_is_better,
        found.is_share,
    )


def comparable(names: Sequence[str], records: Sequence[Record], least: int = 2) -> bool:
    """Whether there is a choice, and samples to judge it by."""
    return len(records) >= least and all(
        name in record.tasks and record.can_be_paired(name) for record in records for name in names
    )
