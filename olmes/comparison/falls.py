"""Whether a training's latest checkpoint has fallen: paired where its items can be read, else by scores.

The one answer for the page of a training and for the watch of its reward. The rule is
`olmes.stats.alarm`.
"""

from __future__ import annotations

from collections.abc import Sequence

from olmes import stats
from olmes.comparison.best import shared_by_suite, shared_by_task
from olmes.comparison.items import SharedItems
from olmes.records.aggregate import common_unit
from olmes.records.record import Record
from olmes.records.schema import MetricScore
from olmes.stats import Alarm, Estimate


def task_alarm(
    name: str,
    records: Sequence[Record],
    names: Sequence[str],
    items: SharedItems,
    *,
    series: int = 1,
    planned: int | None = None,
) -> Alarm | None:
    """Whether the last of some checkpoints has fallen on a task; None where one has no number.

    Args:
        name: the task, on the same data and formulation in all records.
        records: of the checkpoints in order of training, (k,).
        names: of the checkpoints, (k,).
        items: what was read of the samples before.
        series: how many series are shown together.
        planned: how many checkpoints the training will have; None where that is not known.
    """
    if shared := shared_by_task(name, records, items):
        return shared.alarm(names, series=series, planned=planned)
    scores = [record.tasks[name].score for record in records if name in record.tasks]
    found = [score.estimate for score in scores]
    known = [estimate for estimate in found if estimate is not None]
    if len(known) < len(records):
        return None
    return stats.unpaired_alarm(
        known,
        names,
        is_share=common_unit(score.unit for score in scores) == "share",
        higher_is_better=scores[-1].higher_is_better,
        series=series,
        planned=planned,
    )


def suite_alarm(
    tasks: Sequence[str],
    records: Sequence[Record],
    names: Sequence[str],
    items: SharedItems,
    *,
    series: int = 1,
    planned: int | None = None,
) -> Alarm | None:
    """The same for the mean of several tasks, each weighing the same; None where a number is missing.

    Of tasks on some of which more is better and on others less, the latter count with their sign
    changed.
    """
    if shared := shared_by_suite(tasks, records, items):
        return shared.alarm(names, series=series, planned=planned)
    if not all(name in record.tasks for record in records for name in tasks):
        return None
    scores = [record.tasks[name].score for record in records for name in tasks]
    if any(score.estimate is None for score in scores):
        return None
    higher = any(score.higher_is_better for score in scores)
    alike = all(score.higher_is_better == higher for score in scores)
    means = [signed_mean([record.tasks[name].score for name in tasks], higher) for record in records]
    return stats.unpaired_alarm(
        means,
        names,
        # A mean with changed signs may lie below 0.
        is_share=alike and common_unit(score.unit for score in scores) == "share",
        higher_is_better=higher,
        series=series,
        planned=planned,
    )


def signed_mean(scores: Sequence[MetricScore], higher: bool) -> Estimate:
    """The mean of scores that all have a number, in one direction."""
    found = {}
    for place, score in enumerate(scores):
        one = score.estimate
        assert one is not None
        if score.higher_is_better != higher:
            one = negative(one)
        found[str(place)] = one
    mean = stats.suite_mean(found)
    assert mean is not None
    return mean


def negative(score: Estimate) -> Estimate:
    """A score with its sign changed."""
    low, high = (None if end is None else -end for end in (score.ci_high, score.ci_low))
    return Estimate(-score.value, score.stderr, low, high, score.n)
