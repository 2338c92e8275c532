"""The numbers of a record, made again from its samples: a record cannot claim what they do not give.

The primary metric has to be what the rows give, of the task, of each sub-task and of each repeat, and
so has what is counted of the responses. A metric beside it must not be better than they give.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from olmes.records.aggregate import joinable, mean_of, overall, subtask_members, suite_mean
from olmes.records.items import parts_of
from olmes.records.repeats import RepeatCounter
from olmes.records.schema import BROKEN, ResponseRow, RunRecord, Score, TaskResult
from olmes.records.sums import Clusters, Sums
from olmes.server.intake.fields import refuse
from olmes.stats import Estimate

DEFAULTS = {"subtask": "", "repeat": 0, "extracted": None}
"""What a row of another program may leave out."""
RELATIVE, ABSOLUTE = 1e-6, 1e-9
"""How far a number may be from ours: other machines add up in another order."""


@dataclass(frozen=True, slots=True)
class RecordedMetric:
    """A metric as a record says it."""

    name: str
    higher_is_better: bool
    settled: bool = False
    """Whether it is of all responses to an item: then the record says nothing of its repeats."""


@dataclass(frozen=True, slots=True)
class RecordedTask:
    """A task as a record says it, for what counts its rows; the task itself may not be installed."""

    metrics: tuple[RecordedMetric, ...]
    decisive: str

    def vote(self, extracted: Any) -> str | None:  # noqa: ARG002
        """None: which answers are the same, the task alone knows."""
        return None


class Recount:
    """One task's numbers, from the rows of its samples."""

    def __init__(self, name: str, task: TaskResult) -> None:
        self.name = name
        self.task = task
        self.clusters = Clusters()
        self.sums = {metric: Sums(self.clusters) for metric in task.metrics}
        self.sizes: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.items = 0
        self.repeats: RepeatCounter | None = None
        if task.repeats:
            of = task.repeats.metrics
            metrics = [
                RecordedMetric(key, one.higher_is_better, settled=key not in of)
                for key, one in task.metrics.items()
            ]
            decisive = task.primary if task.primary in of else next(iter(of), task.primary)
            self.repeats = RepeatCounter(RecordedTask(tuple(metrics), decisive), self.clusters)

    def add(self, row: ResponseRow) -> None:
        """Count one row in."""
        if not DEFAULTS.keys() <= row.keys():
            row = cast(ResponseRow, {**DEFAULTS, **row})
        self.sizes[row["subtask"]] += 1
        self.items += row["repeat"] == 0
        self.counts.update(row["flags"])
        cluster = -1
        for metric, sums in self.sums.items():
            if (value := row["values"].get(metric)) is not None:
                cluster = self.clusters.number(row) if cluster < 0 else cluster
                sums.add(cluster, parts_of(row, metric), over_parts=isinstance(value, list))
        if self.repeats:
            self.repeats.add(row)

    def hold(self) -> None:
        """Hold the record against the rows.

        Raises:
            RefusedError: it says something else.
        """
        path, task = f"tasks.{self.name}", self.task
        rows = self.sizes.total()
        if rows != task.n:
            refuse(f"{path}.n", f"says {task.n}, and {task.samples} holds {rows} rows")
        if task.items is not None and task.items > max(self.items, len(self.clusters.subtasks)):
            refuse(f"{path}.items", f"says {task.items}, and its samples are of {self.items}")
        for flag in {*task.counts, *BROKEN}:
            if (count := task.said(flag)) != (own := self.counts[flag]):
                refuse(f"{path}.counts.{flag}", f"says {count}, and its samples have {own}")
        for metric, sums in self.sums.items():
            estimate = overall(sums, self.sizes, task.aggregate)
            self.hold_score(f"{path}.metrics.{metric}", metric, task.metrics[metric], estimate)
        members = subtask_members(self.sizes, task.aggregate)
        for subtask, said in task.subtasks.items():
            for metric, score in said.metrics.items():
                of = members.get(subtask, [])
                found = mean_of(self.sums[metric], of) if metric in self.sums else None
                self.hold_score(f"{path}.subtasks.{subtask}.metrics.{metric}", metric, score, found)
        self.hold_repeats(f"{path}.repeats")

    def hold_score(self, path: str, metric: str, said: Score, found: Estimate | None) -> None:
        """Hold one score against what the rows give."""
        value = found.value if found else None
        if metric == self.task.primary:
            if not equal(said.value, value):
                refuse(f"{path}.value", f"says {said.value}, and the samples give {value}")
            if said.n != (found.n if found else 0):
                refuse(
                    f"{path}.n", f"says {said.n}, and the samples have {found.n if found else 0}"
                )
        elif said.value is not None and (value is None or self.better(metric, said.value, value)):
            refuse(f"{path}.value", f"says {said.value}, and the samples give {value}")

    def better(self, metric: str, said: float, found: float) -> bool:
        """Whether a number is better than another, beyond rounding."""
        known = self.task.metrics.get(metric)
        higher = known is None or known.higher_is_better
        return not equal(said, found) and (said > found) == higher

    def hold_repeats(self, path: str) -> None:
        """Hold what a record says of several responses an item against the rows, votes left out."""
        said = self.task.repeats
        own = said.metrics.get(self.task.primary) if said else None
        if said is None or own is None or self.repeats is None:
            return
        counted = self.repeats.counted(
            lambda sums: overall(sums, self.sizes, self.task.aggregate), said.k
        )
        if counted is None or counted.n != said.n:
            refuse(f"{path}.n", f"says {said.n}, and no item has so many responses at most")
        found = counted.metrics.get(self.task.primary)
        path = f"{path}.metrics.{self.task.primary}"
        if found is None:
            refuse(path, "is there, and the samples have no value")
        if len(own.means) != len(found.means) or not all(map(equal, own.means, found.means)):
            refuse(f"{path}.means", "are not what the samples give")
        known = {at.k: at for at in found.at}
        for number, at in enumerate(own.at):
            for part in ("best", "worst"):
                value = getattr(known[at.k], part).value if at.k in known else None
                if not equal(getattr(at, part).value, value):
                    refuse(
                        f"{path}.at.{number}.{part}.value",
                        f"is not what the samples give ({value})",
                    )


def equal(a: float | None, b: float | None) -> bool:
    """Whether two numbers are the same, up to rounding."""
    if a is None or b is None:
        return a is b
    return math.isclose(a, b, rel_tol=RELATIVE, abs_tol=ABSOLUTE)


def hold_mean(run: RunRecord) -> None:
    """Hold a suite's mean against the numbers of its tasks.

    Raises:
        RefusedError: it is another.
    """
    suite = run.suite
    if suite is None:
        return
    tasks: Mapping[str, TaskResult] = {
        name: run.tasks[name]
        for name in run.mean_tasks
        if name in (suite.tasks or run.tasks) and run.tasks[name].score.estimate is not None
    }
    if not joinable(tasks.values()):
        return  # an older olmes made a mean of them all the same
    found = suite_mean(tasks)
    value = found.value if found else None
    if not equal(suite.value, value):
        refuse("suite.value", f"says {suite.value}, and its tasks give {value}")


def hold_complete(run: RunRecord) -> None:
    """Hold that a run is complete against what its tasks count.

    Raises:
        RefusedError: a response of it has no score.
    """
    broken = [name for name, task in run.tasks.items() if not task.whole]
    if run.complete and broken:
        refuse("complete", f"is true, and {broken[0]} counts responses that have no score")
