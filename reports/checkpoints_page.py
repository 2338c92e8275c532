"""The page of a training: every score over its steps, and what the best checkpoint is worth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olmes.comparison.best import SharedValues, shared_by_suite, shared_by_task
from olmes.comparison.items import SharedItems
from olmes.records.record import Record
from olmes.records.schema import HeldOut, MetricScore
from olmes.records.shown import difference_interval, interval, metric_label, shown, shown_difference
from olmes.reports import numbers
from olmes.reports.charts import Axis
from olmes.reports.checkpoint_scores import (
    CheckpointRecords,
    CheckpointScore,
    checkpoints_of,
    series_unit,
    suite_series,
    task_series,
)
from olmes.reports.held_out import look_line
from olmes.reports.line_charts import LineChart, Linked, log_charts, score_chart, step_axis
from olmes.reports.links import HELD_OUT, page_link, samples_link
from olmes.reports.notices import Notice, run_notices
from olmes.reports.page import render_page
from olmes.reports.scores import ScoreView, legend_of, score_view, suite_score
from olmes.stats import Alarm, BestOf
from olmes.tools import jsonl
from olmes.types import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One task or suite over all checkpoints."""

    title: str
    cells: tuple[ScoreView | None, ...]
    """One a checkpoint."""
    best: int | None
    """Which cell is the best checkpoint's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BestView:
    """The best checkpoint of a suite or task, in words."""

    title: str
    step: str
    score: str
    corrected: str
    interval: str
    bias: str
    checkpoints: int
    link: str
    fall: Fall | None
    """The latest checkpoint against the best earlier one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fall:
    """What has become of a score since its best, in words."""

    step: str
    """Of the earlier checkpoint that the latest is compared with."""
    score: str
    link: str
    difference: str
    interval: str
    p: str
    raised: bool


def write_checkpoints_page(
    checkpoints: Iterable[tuple[float, Record]],
    output: Path,
    *,
    log: Sequence[Mapping[str, Any]] = (),
    alarms: Sequence[str] = (),
    title: str = "",
    stages: Sequence[tuple[str, float]] = (),
) -> Path:
    """Write the page of a training.

    Args:
        checkpoints: step and record of every run of it, development and held-out ones.
        output: the HTML file to write.
        log: rows of the training's log: `step`, and numbers, of which losses, rewards and what
            betrays a gamed reward are drawn.
        alarms: warnings of a reward that rose while scores fell.
        title: name of the training; the family of its looks or the first model's name if empty.
        stages: of a training in several stages, each one's name and last step, steps counted on.

    Returns:
        `output`.

    Raises:
        OlmesError: samples are damaged.
    """
    steps, left_out = checkpoints_of(checkpoints)
    axis = step_axis([step.step for step in steps] + [row["step"] for row in log if "step" in row])
    view = _View(steps, output)
    suite, tasks, unseen = _series(steps)
    looks = suite_series(steps, held_out=True)
    context = {
        "title": title or _name(steps),
        "steps": [f"{step.step:,g}" for step in steps],
        "stages": ", ".join(f"{name} to step {last:,g}" for name, last in stages),
        "notices": [
            *(Notice("stop", "A gamed reward?", text) for text in alarms),
            *_notices(steps, left_out, staged=bool(stages)),
            *_falls([one for one in (suite, *tasks) if one]),
        ],
        "suite_chart": view.chart(suite, axis, looks) if suite else None,
        "logs": log_charts(axis, log),
        "charts": [view.chart(one, axis) for one in tasks],
        "unseen_charts": [
            score_chart(one.title, axis, [], unit=one.unit, looks=view.linked(one.points, one.task))
            for one in unseen
        ],
        "best": [best for one in (suite, *tasks) if one and (best := view.best(one))],
        "columns": [view.column(one) for one in (suite, *tasks, *unseen) if one],
        "legend": legend_of(one.metric for one in (suite, *tasks, *unseen) if one),
        "looks": [
            _look(step, look)
            for step in steps
            for record in step.unseen
            if (look := record.run.held_out)
        ],
    }
    jsonl.write_atomically(output, render_page("checkpoints.html.jinja", context))
    return output


def _series(
    steps: Sequence[CheckpointRecords],
) -> tuple[_Series | None, list[_Series], list[_Series]]:
    """The suite, its tasks and the unseen tasks over all checkpoints."""
    items = SharedItems()
    means = suite_series(steps, held_out=False)
    suite = None
    if means and (mean := suite_score(means[-1].record)):
        found = shared_by_suite(list(means[-1].record.tasks), _records(means), items)
        suite = _Series.of("Suite mean", "", means, mean, found)
    tasks = [
        _task_series("", name, points, shared_by_task(name, _records(points), items))
        for name, points in task_series(steps, held_out=False).items()
    ]
    unseen = [
        _task_series("unseen: ", name, points, None)
        for name, points in task_series(steps, held_out=True).items()
    ]
    return suite, tasks, unseen


def _records(points: Sequence[CheckpointScore]) -> list[Record]:
    return [point.record for point in points]


def _task_series(
    prefix: str, name: str, points: Sequence[CheckpointScore], found: SharedValues | None
) -> _Series:
    run = points[-1].record.run
    return _Series.of(f"{prefix}{run.title(name)}", name, points, run.tasks[name].score, found)


@dataclass(frozen=True, slots=True)
class _Series:
    """One task or suite over the checkpoints that have it."""

    title: str
    """With the signs of its metric."""
    task: str
    """'' for the suite."""
    points: Sequence[CheckpointScore]
    metric: MetricScore
    unit: Unit
    best: BestOf | None
    alarm: Alarm | None

    @classmethod
    def of(
        cls,
        title: str,
        task: str,
        points: Sequence[CheckpointScore],
        metric: MetricScore,
        items: SharedValues | None,
    ) -> _Series:
        """A series with what its items say of it; `metric` is the latest checkpoint's."""
        names = [f"{point.step:,g}" for point in points]
        return cls(
            metric_label(title, metric),
            task,
            points,
            metric,
            series_unit(points),
            items.best() if items else None,
            items.alarm(names) if items else None,
        )

    @property
    def fallen(self) -> bool:
        """Whether the latest checkpoint is below an earlier one beyond chance."""
        return self.alarm is not None and self.alarm.raised


class _View:
    """What the page shows of series: links and cells."""

    def __init__(self, steps: Sequence[CheckpointRecords], output: Path) -> None:
        self.steps = [step.step for step in steps]
        self.output = output

    def link(self, point: CheckpointScore, task: str) -> str:
        """The page of the run, at the samples of a task."""
        if task and point.record.sealed(task):
            fragment = HELD_OUT
        else:
            fragment = samples_link(task=task) if task else "#main"
        return page_link(point.record.folder, self.output, fragment)

    def linked(self, points: Sequence[CheckpointScore], task: str) -> list[Linked]:
        """Step, score and link of each point."""
        return [(point.step, point.score, self.link(point, task)) for point in points]

    def chart(self, one: _Series, axis: Axis, looks: Sequence[CheckpointScore] = ()) -> LineChart:
        """The chart of a series, with looks at unseen scores in the same unit."""
        caption = ""
        if one.best:
            caption = (
                f"Best at step {one.points[one.best.index].step:,g}: "
                f"{shown(one.best.score, one.unit)}, "
                f"corrected {shown(one.best.corrected, one.unit)}"
            )
        same_unit = one.unit == series_unit(looks)
        return score_chart(
            one.title,
            axis,
            self.linked(one.points, one.task),
            unit=one.unit,
            looks=self.linked(looks, "") if same_unit else (),
            best=one.best.index if one.best else None,
            caption=caption,
        )

    def column(self, one: _Series) -> Column:
        """A column of the table."""
        found = {point.step: point for point in one.points}
        cells = tuple(
            score_view(
                found[step].score,
                metric=one.task,
                unit=one.unit,
                link=self.link(found[step], one.task),
            )
            if step in found
            else None
            for step in self.steps
        )
        chosen = self.steps.index(one.points[one.best.index].step) if one.best else None
        return Column(title=one.title, cells=cells, best=chosen)

    def best(self, one: _Series) -> BestView | None:
        """The best checkpoint in words."""
        if one.best is None:
            return None
        best, unit = one.best, one.unit
        return BestView(
            title=one.title,
            step=f"{one.points[best.index].step:,g}",
            score=shown(best.score, unit),
            corrected=shown(best.corrected, unit),
            interval=interval(best.ci_low, best.ci_high, unit),
            bias=shown(best.bias, unit),
            checkpoints=best.checkpoints,
            link=self.link(one.points[best.index], one.task),
            fall=self.fall(one, one.alarm) if one.alarm else None,
        )

    def fall(self, one: _Series, alarm: Alarm) -> Fall:
        """What the alarm says, in words: against the best, unless the one before rang alone."""
        best = alarm.against_best
        alone = alarm.raised and best.verdict != "worse"
        found, name = (alarm.against_previous, alarm.previous) if alone else (best, alarm.best)
        return Fall(
            step=name,
            score=shown(found.candidate, one.unit),
            link=self.link(one.points[-1], one.task),
            difference=shown_difference(found.difference, one.unit),
            interval=difference_interval(found.ci_low, found.ci_high, one.unit),
            p=numbers.p_value(found.p_adjusted),
            raised=alarm.raised,
        )


def _name(steps: Sequence[CheckpointRecords]) -> str:
    """The family of the models; older records have only their names."""
    models = [record.run.model for step in steps for record in (*step.dev, *step.unseen)]
    return models[0].family or models[0].name if models else "training"


def _look(step: CheckpointRecords, look: HeldOut) -> tuple[str, str, str]:
    line = f"{look_line(look)}; ledger line {look.ledger.number}"
    return f"{step.step:,g}", line, look.reason


def _falls(found: Sequence[_Series]) -> list[Notice]:
    """Which series the latest checkpoint has fallen on."""
    if not (titles := [one.title for one in found if one.fallen]):
        return []
    text = f"{', '.join(titles)}: the latest checkpoint is worse than an earlier one beyond chance."
    return [Notice("caution", "Fallen", text, "#best")]


def _has_family(step: CheckpointRecords) -> bool:
    return all(record.run.model.family for record in (*step.dev, *step.unseen))


def _notices(
    steps: Sequence[CheckpointRecords], left_out: Sequence[str], *, staged: bool
) -> list[Notice]:
    """What speaks against the numbers of any of the runs, each kind once."""
    found: dict[str, Notice] = {}
    runs: dict[str, list[str]] = {}
    for step in steps:
        for record in (*step.dev, *step.unseen):
            for notice in run_notices(record.run):
                found.setdefault(notice.title, Notice(notice.level, notice.title, notice.text))
                runs.setdefault(notice.title, []).append(record.id)
    notices = [
        Notice(
            notice.level,
            title,
            f"{notice.text} (In {len(runs[title])} of the runs, {runs[title][0]} first.)",
        )
        for title, notice in found.items()
    ]
    families = dict.fromkeys(_name([step]) for step in steps)
    if len(families) > 1 and not staged and all(map(_has_family, steps)):
        text = (
            f"{', '.join(families)}: one line through them says nothing; give one training's runs."
        )
        notices.append(Notice("stop", "Several trainings", text))
    notices += [Notice("stop", "Not in the ledger", text) for text in left_out]
    return sorted(notices, key=lambda notice: notice.level != "stop")
