"""Scores ready to be shown: a table row a metric, grouped by task and sub-task."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from olmes.reports import numbers
from olmes.reports.links import Link, samples_link


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One metric of a task, a sub-task or a suite, as text."""

    metric: str
    help: str
    primary: bool
    honest: bool
    lower_is_better: bool
    value: str
    unit: str
    """` %` for a share, else empty."""
    interval: str
    stderr: str
    n: str
    bar: numbers.Bar | None
    link: str
    """The samples behind it, as a URL fragment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreGroup:
    """A task or a sub-task and its metrics, the primary one first."""

    title: str
    link: str
    scores: tuple[Score, ...]


def score(
    estimate: dict[str, Any],
    *,
    metric: str,
    about: dict[str, Any] | None = None,
    primary: bool = False,
    link: str = "",
) -> Score:
    """An estimate (value, stderr, ci_low, ci_high, n) as it is shown.

    Args:
        estimate: as in `run.json`; numbers may be None.
        metric: its name.
        about: what is true of the metric everywhere (help, honest, higher_is_better).
        primary: whether a suite averages it.
        link: where its samples are.
    """
    about = about or {}
    value, low, high = (estimate.get(key) for key in ("value", "ci_low", "ci_high"))
    share = numbers.is_share(value)
    return Score(
        metric=metric,
        help=about.get("help", ""),
        primary=primary,
        honest=bool(about.get("honest")),
        lower_is_better=not about.get("higher_is_better", True),
        value=numbers.plain(value, share=share),
        unit=" %" if share else "",
        interval=numbers.interval(low, high, share=share),
        stderr=numbers.plain(estimate.get("stderr"), share=share),
        n=numbers.count(estimate["n"]) if "n" in estimate else numbers.MISSING,
        bar=numbers.bar(value, low, high),
        link=link,
    )


def task_scores(
    name: str, task: dict[str, Any], browsable: Collection[str], link: Link = samples_link
) -> ScoreGroup:
    """A task's scores.

    Args:
        name: the task.
        task: its part of `run.json`.
        browsable: the metrics that samples can be filtered by.
        link: makes the links to the samples.
    """
    return _group(task.get("title") or name, task["metrics"], task, browsable, link, task=name)


def subtask_scores(
    name: str, task: dict[str, Any], browsable: Collection[str], link: Link = samples_link
) -> tuple[ScoreGroup, ...]:
    """The scores of a task's sub-tasks, which may be none; arguments as for `task_scores`."""
    return tuple(
        _group(subtask, found["metrics"], task, browsable, link, task=name, subtask=subtask)
        for subtask, found in (task.get("subtasks") or {}).items()
    )


def _group(
    title: str,
    estimates: dict[str, Any],
    described: dict[str, Any],
    browsable: Collection[str],
    link: Link,
    **place: str,
) -> ScoreGroup:
    primary = described["primary"]
    scores = (
        score(
            estimates[metric],
            metric=metric,
            about=described["metrics"].get(metric),
            primary=metric == primary,
            link=link(**place, metric=metric if metric in browsable else ""),
        )
        for metric in sorted(estimates, key=lambda metric: metric != primary)
    )
    return ScoreGroup(title=title, link=link(**place), scores=tuple(scores))
