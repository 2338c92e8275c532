"""From rows to numbers: metrics with their errors, sub-tasks, counts, and the suite's mean."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from olmes import stats
from olmes.metrics import Metric
from olmes.record import Row
from olmes.sheet import FLAGS
from olmes.stats import Estimate
from olmes.task import Task

NOTHING = {"value": None, "stderr": None, "ci_low": None, "ci_high": None, "n": 0}


def task_numbers(task: Task, rows: Sequence[Row]) -> dict[str, Any]:
    """The numbers of one task: `n`, `metrics`, `subtasks`, `counts`, `tokens`.

    A row without a value for a metric (its request failed, its scorer broke) is not in that metric's
    `n`; it is in the counts.
    """
    subtasks: dict[str, list[Row]] = {}
    for row in rows:
        subtasks.setdefault(row["subtask"], []).append(row)
    counts = Counter(flag for row in rows for flag in row["flags"])
    metrics = {
        metric.name: overall(metric, rows, subtasks, macro=task.formulation.aggregate == "macro")
        | {
            "help": metric.help,
            "honest": metric.honest,
            "higher_is_better": metric.higher_is_better,
        }
        for metric in task.metrics
    }
    return {
        "n": len(rows),
        "metrics": metrics,
        "subtasks": {
            name: {
                "n": len(group),
                "metrics": {metric.name: estimate(metric, group) for metric in task.metrics},
            }
            for name, group in sorted(subtasks.items())
            if name
        },
        "counts": {flag: counts[flag] for flag in FLAGS},
        "tokens": {
            kind: sum(row["response"][f"{kind}_tokens"] for row in rows if row["response"])
            for kind in ("prompt", "completion")
        },
    }


def overall(
    metric: Metric, rows: Sequence[Row], subtasks: Mapping[str, Sequence[Row]], *, macro: bool
) -> dict[str, Any]:
    """A metric over a task: over all items, or the mean of its sub-tasks' values."""
    pooled = estimated(metric, rows)
    if not macro or len(subtasks) < 2 or pooled is None:
        return NOTHING if pooled is None else pooled.to_json()
    found = {name: estimated(metric, group) for name, group in subtasks.items()}
    groups = {name: group for name, group in found.items() if group is not None}
    return stats.macro(groups, pooled, is_share=is_share(metric, rows)).to_json()


def estimate(metric: Metric, rows: Sequence[Row]) -> dict[str, Any]:
    """A metric over some rows, as JSON."""
    found = estimated(metric, rows)
    return NOTHING if found is None else found.to_json()


def estimated(metric: Metric, rows: Sequence[Row]) -> Estimate | None:
    """A metric over some rows, its error clustered by what items share (`cluster_of`)."""
    totals: dict[tuple[str, ...], float] = {}
    sizes: dict[tuple[str, ...], float] = {}
    for row in rows:
        if (value := row["values"].get(metric.name)) is None:
            continue
        flags = value if isinstance(value, list) else [value]
        cluster = cluster_of(row)
        totals[cluster] = totals.get(cluster, 0.0) + math.fsum(flags)
        sizes[cluster] = sizes.get(cluster, 0.0) + len(flags)
    if not sum(sizes.values()):
        return None
    return stats.ratio(list(totals.values()), list(sizes.values()), is_share=is_share(metric, rows))


def cluster_of(row: Row) -> tuple[str, ...]:
    """What the row's error is clustered by, told apart by sub-task.

    The label the task gave the item (`Task.cluster`: a passage, a template); without one the item
    itself, so that its responses (repeats, parts) are one cluster either way. A sub-task that is
    averaged over (DeepMind Mathematics' categories) is a stratum, not a cluster: `stats.macro`.
    """
    if label := row.get("cluster"):
        return row["subtask"], label
    return row["subtask"], str(row["doc_id"]), row["doc_hash"]


def is_share(metric: Metric, rows: Iterable[Row]) -> bool:
    """Whether every value lies between 0 and 1, so that the mean is a share."""
    values = (row["values"].get(metric.name) for row in rows)
    return all(isinstance(value, list) or 0 <= value <= 1 for value in values if value is not None)


def suite_numbers(tasks: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The unweighted mean of the tasks' primary metrics; its error is sqrt(Σ SE²)/T.

    `tasks` have a number each; the caller says which members of the suite are missing.
    """
    primaries = {
        name: Estimate.from_json(task["metrics"][task["primary"]]) for name, task in tasks.items()
    }
    mean = stats.suite_mean(primaries)
    return NOTHING if mean is None else mean.to_json()
