"""The head of a run's page: what was run, and the number to read first."""

from __future__ import annotations

from olmes.records.schema import RunRecord
from olmes.reports.scores import ScoreGroup, ScoreView

NAMED = 3
"""Tasks that a title names; of more it names fewer and counts the others."""


def what_was_run(run: RunRecord) -> str:
    """The suite's title, or the tasks': `GSM8K`, `GSM8K, MATH and 4 more tasks`."""
    if run.suite:
        return run.suite.title
    titles = [run.title(name) for name in run.tasks]
    if len(titles) > NAMED:
        return f"{', '.join(titles[: NAMED - 1])} and {len(titles) - NAMED + 1} more tasks"
    *first, last = titles or ["no task"]
    return f"{', '.join(first)} and {last}" if first else last


def only_score(run: RunRecord, group: ScoreGroup | None) -> ScoreView | None:
    """The number of a run of a single task; None where there are several, or a suite's mean."""
    if run.suite or len(run.tasks) != 1 or group is None:
        return None
    return next((score for score in group.scores if score.primary), None)
