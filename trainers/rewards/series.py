"""What the watch of a reward follows over a training's checkpoints, and whether it has fallen.

The mean score, the score of every task, and the share met of the constraints that no reward is given
for. The rule is the one of `olmes.stats.alarm`: paired by item where the records can be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from olmes import stats
from olmes.comparison.falls import mean_alarm, of_scores, task_alarm
from olmes.comparison.items import SharedItems, TaskValues, item_values, joined
from olmes.errors import OlmesError
from olmes.records.record import Record
from olmes.records.schema import MetricScore, ResponseRow
from olmes.stats import Alarm, Estimate
from olmes.stats.estimates import cluster_sums
from olmes.trainers.checkpoints.results import ScoreRow, TaskScore

MEAN = "the score"
HELD_OUT = "the share of held-out constraints met"


@dataclass(slots=True)
class WatchedSeries:
    """Reads the records of a training that grows, each once.

    Args:
        trained: the kinds of instructions that rewards are given for; empty where no reward is for a
            constraint, so that none is held out.
    """

    trained: frozenset[str]
    records: dict[str, Record | None] = field(default_factory=dict)
    """By folder; None where it cannot be read any more."""
    met: dict[str, TaskValues] = field(default_factory=dict)
    """Of held-out constraints, by folder."""
    items: SharedItems = field(default_factory=lambda: SharedItems(each=True))

    def alarms(self, rows: Iterable[ScoreRow], planned: int | None = None) -> dict[str, Alarm]:
        """By series, the latest checkpoint against the earlier ones, corrected for all of them.

        Args:
            rows: of `scores.jsonl`, of one evaluation request.
            planned: how many checkpoints the training will have; None where that is not known.
        """
        ordered = sorted(rows, key=step_of_row)
        means = [row for row in ordered if row.get("value") is not None]
        tasks = list(dict.fromkeys(name for row in ordered for name in row.get("tasks") or {}))
        by_task = {
            name: [row for row in ordered if task_of(row, name)] for name in tasks if len(tasks) > 1
        }
        met = [(row, held) for row in ordered if (held := self.constraints(row)) is not None]
        lengths = [len(means), *map(len, by_task.values()), len(met)]
        count = sum(length > 1 for length in lengths)
        found = {MEAN: self.of_mean(means, count, planned)}
        for name, own in by_task.items():
            found[name] = self.of_task(name, own, count, planned)
        found[HELD_OUT] = held_out_alarm(
            [held for _, held in met], [label(row) for row, _ in met], count, planned
        )
        return {name: alarm for name, alarm in found.items() if alarm is not None}

    def of_mean(self, rows: Sequence[ScoreRow], series: int, planned: int | None) -> Alarm | None:
        """Whether the mean has fallen."""
        if len(rows) < 2:
            return None
        names = [label(row) for row in rows]
        if (records := self.readable(rows)) is not None:
            return mean_alarm(records, names, self.items, series=series, planned=planned)
        return of_scores([score_of(row) for row in rows], names, series=series, planned=planned)

    def of_task(
        self, name: str, rows: Sequence[ScoreRow], series: int, planned: int | None
    ) -> Alarm | None:
        """Whether a task's score has fallen."""
        if len(rows) < 2:
            return None
        names = [label(row) for row in rows]
        if (records := self.readable(rows)) is not None:
            return task_alarm(name, records, names, self.items, series=series, planned=planned)
        own = [score_of(one) for row in rows if (one := task_of(row, name))]
        return of_scores(own, names, series=series, planned=planned)

    def readable(self, rows: Sequence[ScoreRow]) -> list[Record] | None:
        """The records of some checkpoints; None where one of them is gone."""
        found = [self.record(row["folder"]) for row in rows]
        known = [record for record in found if record is not None]
        return known if len(known) == len(rows) else None

    def record(self, folder: str) -> Record | None:
        """A record, read once."""
        if folder not in self.records:
            try:
                self.records[folder] = Record.load(Path(folder))
            except OlmesError:
                self.records[folder] = None
        return self.records[folder]

    def constraints(self, row: ScoreRow) -> TaskValues | None:
        """The held-out constraints in a checkpoint's responses; None where there are none."""
        if not self.trained:
            return None
        folder = row["folder"]
        if folder not in self.met:
            record = self.record(folder)
            self.met[folder] = (
                TaskValues() if record is None else constraints_met(record, self.trained)
            )
        found = self.met[folder]
        return found if found.values else None

    def shares(self, rows: Iterable[ScoreRow]) -> list[tuple[int, Estimate]]:
        """Step, and the share of the held-out constraints met, of each checkpoint that has some."""
        return [
            (step_of_row(row), share_met(held))
            for row in sorted(rows, key=step_of_row)
            if (held := self.constraints(row)) is not None
        ]


def step_of_row(row: ScoreRow) -> int:
    """The checkpoint's step."""
    return row["step"] or 0


def label(row: ScoreRow) -> str:
    """The name of a checkpoint in an alarm: its step."""
    return str(step_of_row(row))


def task_of(row: ScoreRow, name: str) -> TaskScore | None:
    """A task's number in a row; None where it has none."""
    found = (row.get("tasks") or {}).get(name)
    return found if found and found["value"] is not None else None


def score_of(row: ScoreRow | TaskScore) -> MetricScore:
    """The number of a row as a record would have it, for one whose record is gone."""
    return MetricScore(
        value=row["value"],
        stderr=row["stderr"],
        ci_low=row["ci_low"],
        ci_high=row["ci_high"],
        n=row["n"],
        unit=row.get("unit", "share"),
        higher_is_better=row.get("higher_is_better", True),
    )


def constraints_met(record: Record, trained: frozenset[str]) -> TaskValues:
    """The constraints no reward is for, by item: the share met, loosely, and how many they are."""
    return item_values(held_out_rows(record, trained), HELD_OUT)


def held_out_rows(record: Record, trained: frozenset[str]) -> Iterator[ResponseRow]:
    """The responses that were scored on such constraints, these as their only metric."""
    for name in record.tasks:
        if not record.has_samples(name):
            continue
        for row in record.samples(name):
            met = [part["loose"] for part in row.get("parts") or () if part["id"] not in trained]
            if met:
                yield {
                    **row,
                    "subtask": f"{name}/{row.get('subtask', '')}",
                    "values": {HELD_OUT: met},
                }


def share_met(held: TaskValues) -> Estimate:
    """The share of constraints met, its error clustered by item."""
    found = joined([held])
    values = [row[0] for row in found.values]
    totals, sizes = cluster_sums(values, found.clusters, [float(parts) for parts in found.parts])
    return stats.ratio(totals, sizes, is_share=True)


def held_out_alarm(
    checkpoints: Sequence[TaskValues], names: Sequence[str], series: int, planned: int | None
) -> Alarm | None:
    """Whether the share of held-out constraints met has fallen, on the items all checkpoints have."""
    if len(checkpoints) < 2 or not (shared := joined(checkpoints)).values:
        return None
    return stats.regression_alarm(
        shared.values,
        names,
        clusters=shared.clusters,
        sizes=shared.sizes(),
        is_share=True,
        series=series,
        planned=planned,
    )
