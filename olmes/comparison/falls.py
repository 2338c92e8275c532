"""Whether a training's latest checkpoint has fallen: paired where its items can be read.

The one answer for the page of a training and for the watch of its reward. The rule is
`olmes.stats.alarm`.
"""

from __future__ import annotations

from collections.abc import Sequence

from olmes import stats
from olmes.comparison.best import shared_by_suite, shared_by_task
from olmes.comparison.items import SharedItems
from olmes.records.aggregate import common_unit, run_mean
from olmes.records.record import Record
from olmes.records.schema import MetricScore
from olmes.stats import Alarm


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
    scores = [record.tasks[name].score if name in record.tasks else None for record in records]
    return of_scores(scores, names, series=series, planned=planned)


def mean_alarm(
    records: Sequence[Record],
    names: Sequence[str],
    items: SharedItems,
    *,
    series: int = 1,
    planned: int | None = None,
) -> Alarm | None:
    """The same for the runs' mean, of the tasks that the last run's mean is of."""
    tasks = records[-1].run.mean_tasks
    if shared := shared_by_suite(tasks, records, items):
        return shared.alarm(names, series=series, planned=planned)
    return of_scores(
        [run_mean(record.run) for record in records], names, series=series, planned=planned
    )


def of_scores(
    scores: Sequence[MetricScore | None],
    names: Sequence[str],
    *,
    series: int = 1,
    planned: int | None = None,
) -> Alarm | None:
    """From numbers and their errors alone; None where one is missing, or no two share a direction."""
    known = [(score, one) for score in scores if score and (one := score.estimate)]
    if len(known) < len(names) or len({score.higher_is_better for score, _ in known}) != 1:
        return None
    is_share = common_unit(score.unit for score, _ in known) == "share"
    return stats.unpaired_alarm(
        [one for _, one in known],
        names,
        is_share=is_share,
        higher_is_better=known[0][0].higher_is_better,
        series=series,
        planned=planned,
    )
