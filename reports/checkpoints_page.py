"""The page of a training: every score over its steps, and what the best checkpoint is worth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olmes.comparison.items import SharedItems
from olmes.records.record import Record
from olmes.reports import numbers
from olmes.reports.charts import Axis
from olmes.reports.checkpoint_scores import (
    CheckpointRecords,
    CheckpointScore,
    Shared,
    checkpoints_of,
    shared_by_suite,
    shared_by_task,
    suite_series,
    task_series,
)
from olmes.reports.held_out import look_line
from olmes.reports.line_charts import LineChart, Linked, log_charts, score_chart, step_axis
from olmes.reports.links import HELD_OUT, samples_link
from olmes.reports.notices import Notice, run_notices
from olmes.reports.page import render_page
from olmes.reports.places import page_link
from olmes.reports.scores import Score, score
from olmes.stats import Alarm, BestOf
from olmes.tools import jsonl


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One task or suite over all checkpoints."""

    title: str
    cells: tuple[Score | None, ...]
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
    """Of the earlier checkpoint that the latest is held against."""
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
        alarms: what was said of a reward that rose while scores fell.
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
    looks = view.linked(suite_series(steps, held_out=True), "")
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
            score_chart(one.title, axis, [], looks=view.linked(one.points, one.task))
            for one in unseen
        ],
        "best": [best for one in (suite, *tasks) if one and (best := view.best(one))],
        "columns": [view.column(one) for one in (suite, *tasks, *unseen) if one],
        "looks": [_look(step, record) for step in steps for record in step.unseen],
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
    if means:
        suite = _Series.of("Suite mean", "", means, shared_by_suite(means, items))
    tasks = [
        _Series.of(_title(points, name), name, points, shared_by_task(name, points, items))
        for name, points in task_series(steps, held_out=False).items()
    ]
    unseen = [
        _Series.of(f"unseen: {_title(points, name)}", name, points, None)
        for name, points in task_series(steps, held_out=True).items()
    ]
    return suite, tasks, unseen


@dataclass(frozen=True, slots=True)
class _Series:
    """One task or suite over the checkpoints that have it."""

    title: str
    task: str
    """'' for the suite."""
    points: Sequence[CheckpointScore]
    best: BestOf | None
    alarm: Alarm | None

    @classmethod
    def of(
        cls, title: str, task: str, points: Sequence[CheckpointScore], items: Shared | None
    ) -> _Series:
        """A series with what its items say of it."""
        if items is None:
            return cls(title, task, points, None, None)
        names = [f"{point.step:,g}" for point in points]
        return cls(title, task, points, items.best(), items.alarm(names))

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
        """Step, estimate and link of each point."""
        return [(point.step, point.estimate, self.link(point, task)) for point in points]

    def chart(self, one: _Series, axis: Axis, looks: Sequence[Linked] = ()) -> LineChart:
        """The chart of a series."""
        caption = ""
        if one.best:
            share = numbers.is_share(one.best.score)
            caption = (
                f"Best at step {one.points[one.best.index].step:,g}: "
                f"{numbers.plain(one.best.score, share=share)}, "
                f"corrected {numbers.plain(one.best.corrected, share=share)}"
            )
        return score_chart(
            one.title,
            axis,
            self.linked(one.points, one.task),
            looks=looks,
            best=one.best.index if one.best else None,
            caption=caption,
        )

    def column(self, one: _Series) -> Column:
        """A column of the table."""
        found = {point.step: point for point in one.points}
        cells = tuple(
            score(found[step].estimate, metric=one.task, link=self.link(found[step], one.task))
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
        best, share = one.best, numbers.is_share(one.best.score)
        return BestView(
            title=one.title,
            step=f"{one.points[best.index].step:,g}",
            score=numbers.plain(best.score, share=share),
            corrected=numbers.plain(best.corrected, share=share),
            interval=numbers.interval(best.ci_low, best.ci_high, share=share),
            bias=numbers.plain(best.bias, share=share),
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
            score=numbers.plain(found.candidate, share=found.is_share),
            link=self.link(one.points[-1], one.task),
            difference=numbers.points(found.difference),
            interval=numbers.points_interval(found.ci_low, found.ci_high),
            p=numbers.p_value(found.p_adjusted),
            raised=alarm.raised,
        )


def _title(points: Sequence[CheckpointScore], task: str) -> str:
    return str(points[-1].record.tasks[task].get("title") or task)


def _name(steps: Sequence[CheckpointRecords]) -> str:
    """The family of the models; older records have their names alone."""
    models = [record.data["model"] for step in steps for record in (*step.dev, *step.unseen)]
    return str(models[0].get("family") or models[0]["name"]) if models else "training"


def _look(step: CheckpointRecords, record: Record) -> tuple[str, str, str]:
    held = record.data["held_out"]
    line = f"{look_line(held)}; ledger line {held['ledger']['number']}"
    return f"{step.step:,g}", line, held["reason"]


def _falls(found: Sequence[_Series]) -> list[Notice]:
    """Which series the latest checkpoint has fallen on."""
    if not (titles := [one.title for one in found if one.fallen]):
        return []
    text = f"{', '.join(titles)}: the latest checkpoint is worse than an earlier one beyond chance."
    return [Notice("caution", "Fallen", text, "#best")]


def _has_family(step: CheckpointRecords) -> bool:
    return all(record.data["model"].get("family") for record in (*step.dev, *step.unseen))


def _notices(
    steps: Sequence[CheckpointRecords], left_out: Sequence[str], *, staged: bool
) -> list[Notice]:
    """What speaks against the numbers of any of the runs, each kind once."""
    found: dict[str, Notice] = {}
    runs: dict[str, list[str]] = {}
    for step in steps:
        for record in (*step.dev, *step.unseen):
            for notice in run_notices(record.data):
                found.setdefault(notice.title, Notice(notice.level, notice.title, notice.text))
                runs.setdefault(notice.title, []).append(record.id)
    said = [
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
        said.append(Notice("stop", "Several trainings", text))
    said += [Notice("stop", "Not in the ledger", text) for text in left_out]
    return sorted(said, key=lambda notice: notice.level != "stop")
