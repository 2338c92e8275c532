"""From rows to numbers: metrics with their errors, sub-tasks, counts, and the suite's mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from olmes import stats
from olmes.benchmark.metrics import Metric
from olmes.benchmark.task import Task
from olmes.records.items import parts_of, stratum_of
from olmes.records.repeats import RepeatCounter, several
from olmes.records.schema import (
    FLAGS,
    MetricScore,
    ResponseRow,
    RunRecord,
    Score,
    SubtaskResult,
    TaskRepeats,
    TaskResult,
)
from olmes.records.sums import Clusters as Clusters
from olmes.records.sums import Sums as Sums
from olmes.stats import Estimate
from olmes.types import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """The numbers of one task's rows, as `TaskResult` holds them."""

    n: int
    items: int
    metrics: dict[str, MetricScore]
    subtasks: dict[str, SubtaskResult]
    counts: dict[str, int]
    tokens: dict[str, int]
    repeats: TaskRepeats | None


def task_numbers(task: Task, rows: Sequence[ResponseRow], *, k: Sequence[int] = ()) -> Numbers:
    """The numbers of one task's rows; `k` says which of pass@k and its like are shown."""
    numbers = TaskNumbers(task, repeats=several(rows))
    for row in rows:
        numbers.add(row)
    return numbers.counted(k)


class TaskNumbers:
    """The numbers of one task, from rows that are added one by one, in their order, and not kept.

    A row without a value for a metric (its request failed, its scorer broke) is not in that metric's
    `n`; it is in the counts.
    """

    def __init__(self, task: Task, *, repeats: bool | None = None) -> None:
        """Of a task; `repeats` says whether items have several responses, else the formulation."""
        self.task = task
        self.clusters = Clusters()
        if repeats is None:
            repeats = task.formulation.generation.n > 1
        self.repeats = RepeatCounter(task, self.clusters) if repeats else None
        self.sums = {metric.name: Sums(self.clusters) for metric in task.metrics}
        self.sizes: Counter[str] = Counter()
        """Rows by sub-task."""
        self.items = 0
        """First responses, one an item."""
        self.counts: Counter[str] = Counter()
        self.tokens = {"prompt": 0, "completion": 0}
        self.reasoning = 0
        """Of the completion's tokens, those that are known to be thought."""

    def add(self, row: ResponseRow) -> None:
        """Count one row in."""
        self.sizes[row["subtask"]] += 1
        self.items += row["repeat"] == 0
        for flag in row["flags"]:
            self.counts[flag] += 1
        if response := row["response"]:
            self.tokens["prompt"] += response["prompt_tokens"]
            self.tokens["completion"] += response["completion_tokens"]
            self.reasoning += response.get("reasoning_tokens", 0)
        cluster = -1
        for name, sums in self.sums.items():
            if (value := row["values"].get(name)) is not None:
                if cluster < 0:
                    cluster = self.clusters.number(row)
                # A response without parts adds nothing, and is a cluster of its own all the same.
                sums.add(cluster, parts_of(row, name), over_parts=isinstance(value, list))
        if self.repeats:
            self.repeats.add(row)

    def counted(self, k: Sequence[int] = ()) -> Numbers:
        """The numbers of the rows so far; `k` says which of pass@k and its like are shown."""
        aggregate = self.task.formulation.aggregate
        return Numbers(
            n=self.sizes.total(),
            items=self.items,
            metrics={
                metric.name: MetricScore.of(
                    self.overall(self.sums[metric.name]),
                    help=metric.help,
                    honest=metric.honest,
                    higher_is_better=metric.higher_is_better,
                    unit=self.unit(metric),
                )
                for metric in self.task.metrics
            },
            subtasks={
                name: SubtaskResult(
                    n=sum(self.sizes[member] for member in members),
                    metrics={
                        metric: Score.of(mean_of(sums, members))
                        for metric, sums in self.sums.items()
                    },
                )
                for name, members in subtask_members(self.sizes, aggregate).items()
            },
            counts={flag: self.counts[flag] for flag in FLAGS},
            tokens=self.tokens | ({"reasoning": self.reasoning} if self.reasoning else {}),
            repeats=self.repeats.counted(self.overall, k) if self.repeats else None,
        )

    def unit(self, metric: Metric) -> Unit:
        """The metric's unit; what has a value outside 0 to 1 is a number, whatever it was declared."""
        return metric.unit if self.sums[metric.name].is_share() else "number"

    def overall(self, sums: Sums) -> Estimate | None:
        """A number over the task: over all items, or the mean of its sub-tasks' values."""
        return overall(sums, self.sizes, self.task.formulation.aggregate)


def overall(sums: Sums, subtasks: Collection[str], aggregate: str) -> Estimate | None:
    """A metric over a task.

    Args:
        sums: of the metric.
        subtasks: the names of those that the task's rows are of, '' for none.
        aggregate: how the formulation averages: over items (`micro`) or over sub-tasks (`stratum_of`).
    """
    pooled = sums.estimated()
    if aggregate == "micro" or len(subtasks) < 2 or pooled is None:
        return pooled
    found = {name: sums.estimated(name) for name in subtasks}
    groups = {name: group for name, group in found.items() if group is not None}
    weights = stats.stratum_weights([stratum_of(name, aggregate) for name in groups])
    return stats.macro(groups, pooled, is_share=sums.is_share(), weights=weights)


def subtask_members(subtasks: Collection[str], aggregate: str) -> dict[str, list[str]]:
    """Each sub-task that has numbers of its own, with the sub-tasks whose mean they are.

    That is itself alone, and of a nested average the group that some are averaged in first too.
    """
    found: dict[str, list[str]] = {name: [name] for name in subtasks if name}
    for name in sorted(found):
        if isinstance(label := stratum_of(name, aggregate), stats.Grouped):
            group = found.setdefault(str(label.whole), [])
            group += [] if name in group else [name]
    return dict(sorted(found.items()))


def mean_of(sums: Sums, subtasks: Sequence[str]) -> Estimate | None:
    """A metric's unweighted mean over some sub-tasks; of one, its own."""
    if len(subtasks) == 1:
        return sums.estimated(subtasks[0])
    found = {name: sums.estimated(name) for name in subtasks}
    groups = {name: group for name, group in found.items() if group is not None}
    pooled = sums.estimated()
    if not groups or pooled is None:
        return None
    mean = stats.macro(groups, pooled, is_share=all(map(sums.is_share, groups)))
    return replace(mean, n=sum(group.n for group in groups.values()))


def run_mean(run: RunRecord) -> MetricScore | None:
    """A run's one number: its suite's mean, without a suite the mean of its tasks.

    None where there can be none: the suite has no mean, or the tasks differ in unit or direction, as
    in records of an olmes that did not refuse such suites. Without a value where a task has no number.
    """
    tasks = {name: run.tasks[name] for name in run.mean_tasks}
    if not tasks or not joinable(tasks.values()):
        return None
    found = run.suite.estimate if run.suite else suite_mean(tasks)
    unit = run.suite.unit if run.suite else suite_unit(tasks.values())
    return MetricScore.of(found, unit=unit, higher_is_better=run.higher_is_better)


def suite_mean(tasks: Mapping[str, TaskResult]) -> Estimate | None:
    """The unweighted mean of the tasks' primary metrics; its error is sqrt(Σ SE²)/T.

    Tasks without a number are left out; the caller says which members of a suite are missing. None
    where no task has one, or they differ in unit or direction.
    """
    primaries = {name: task.score.estimate for name, task in tasks.items()}
    if not joinable(tasks.values()):
        return None
    return stats.suite_mean(
        {name: one for name, one in primaries.items() if one is not None},
        is_share=suite_unit(tasks.values()) == "share",
    )


def joinable(tasks: Iterable[TaskResult]) -> bool:
    """Whether tasks' primary metrics have one unit and one direction, so that they have a mean."""
    return len({(task.score.unit, task.score.higher_is_better) for task in tasks}) <= 1


def items_over(tasks: Iterable[TaskResult]) -> int | None:
    """How many items some tasks were asked; None where an older record does not say of one."""
    counts = [task.items for task in tasks]
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def suite_unit(tasks: Iterable[TaskResult]) -> Unit:
    """The unit of the mean of some tasks: shares where all of them are."""
    return common_unit(task.score.unit for task in tasks)


def common_unit(units: Iterable[Unit]) -> Unit:
    """The unit of what several tasks or runs have in common: a share where each of them is one.

    Two runs of one task can differ: a metric is a number where one of its values is no share.
    """
    return "share" if all(unit == "share" for unit in units) else "number"
