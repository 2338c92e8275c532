"""Scores ready to be shown: a table row a metric, grouped by task and sub-task."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from olmes.records.aggregate import run_mean
from olmes.records.record import Record
from olmes.records.schema import MetricScore, Score, TaskResult
from olmes.records.shown import MARKS, NUMBER, interval, shown, shown_count, signs_of
from olmes.reports import numbers
from olmes.reports.links import Link, samples_link
from olmes.stats import Estimate
from olmes.types import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreView:
    """One metric of a task, a sub-task or a suite, as text."""

    metric: str
    help: str
    primary: bool
    honest: bool
    signs: tuple[str, ...]
    """What stands behind the metric's name, where less is better or the value is not a share."""
    value: str
    unit: str
    """` %` for a share, else empty."""
    interval: str
    stderr: str
    n: str
    bar: numbers.Bar | None
    link: str
    """The samples behind it, as a URL fragment."""
    overlap: str = ""
    """What its items have in common with the training data, where they have anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreGroup:
    """A task or a sub-task and its metrics, the primary one first."""

    title: str
    link: str
    scores: tuple[ScoreView, ...]


def score_view(
    found: Score | Estimate,
    *,
    metric: str,
    unit: Unit,
    about: MetricScore | None = None,
    primary: bool = False,
    count: str = "",
    link: str = "",
    overlap: str = "",
) -> ScoreView:
    """A number with its error and interval as it is shown.

    Args:
        found: the number.
        metric: its name.
        unit: in which it is written.
        about: what is true of the metric everywhere (help, honest, direction).
        primary: whether a suite averages it.
        count: of how many items it is, in words; by default the number of its values.
        link: where its samples are.
        overlap: what its items have in common with the training data (`overlap_words.marked_line`).
    """
    return ScoreView(
        metric=metric,
        help=about.help if about else "",
        primary=primary,
        honest=bool(about and about.honest),
        signs=_signs(unit, about),
        value=shown(found.value, unit),
        unit=" %" if unit == "share" else "",
        interval=interval(found.ci_low, found.ci_high, unit),
        stderr=shown(found.stderr, unit),
        n=count or numbers.count(found.n),
        bar=numbers.bar(found.value, found.ci_low, found.ci_high, unit),
        link=link,
        overlap=overlap,
    )


def _signs(unit: Unit, about: MetricScore | None) -> tuple[str, ...]:
    """The signs of a metric; of a bare number its unit's alone."""
    if about:
        return tuple(signs_of(about))
    return (NUMBER,) if unit == "number" else ()


def suite_score(record: Record) -> MetricScore | None:
    """The mean of a run's suite; None for a run of single tasks and for a suite without a mean."""
    return run_mean(record.run) if record.run.suite else None


def legend_of(metrics: Iterable[MetricScore]) -> str:
    """What the signs behind the names of some metrics mean; '' where none has any."""
    used = {sign for metric in metrics for sign in signs_of(metric)}
    return "; ".join(f"{sign} {meaning}" for sign, meaning in MARKS.items() if sign in used)


def task_scores(
    name: str,
    task: TaskResult,
    browsable: Collection[str],
    link: Link = samples_link,
    overlap: str = "",
) -> ScoreGroup:
    """A task's scores.

    Args:
        name: the task.
        task: its result.
        browsable: the metrics that samples can be filtered by.
        link: makes the links to the samples.
        overlap: what stands behind the mark of its primary metric.
    """
    found = _group(task.title or name, task.n, task.metrics, task, browsable, link, task=name)
    scores = (replace(one, overlap=overlap if one.primary else "") for one in found.scores)
    return replace(found, scores=tuple(scores))


def subtask_scores(
    name: str, task: TaskResult, browsable: Collection[str], link: Link = samples_link
) -> tuple[ScoreGroup, ...]:
    """The scores of a task's sub-tasks, which may be none; arguments as for `task_scores`."""
    return tuple(
        _group(subtask, found.n, found.metrics, task, browsable, link, task=name, subtask=subtask)
        for subtask, found in task.subtasks.items()
    )


def _group(
    title: str,
    responses: int,
    found: Mapping[str, Score],
    described: TaskResult,
    browsable: Collection[str],
    link: Link,
    **filters: str,
) -> ScoreGroup:
    primary, about = described.primary, described.metrics
    # An item has as many responses in every sub-task.
    items = described.items and round(responses * described.items / max(1, described.n))
    scores = (
        score_view(
            found[metric],
            metric=metric,
            unit=about[metric].unit if metric in about else described.score.unit,
            about=about.get(metric),
            primary=metric == primary,
            count=shown_count(found[metric].n, responses, items),
            link=link(**filters, metric=metric if metric in browsable else ""),
        )
        for metric in sorted(found, key=lambda metric: metric != primary)
    )
    return ScoreGroup(title=title, link=link(**filters), scores=tuple(scores))
