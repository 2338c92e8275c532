"""The page of a training: every score over its steps, and what the best checkpoint is worth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olmes.comparison.eligibility import marks
from olmes.records.record import Record
from olmes.records.schema import HeldOut
from olmes.records.shown import (
    count_over,
    difference_interval,
    interval,
    shown,
    shown_difference,
    shown_thoughts,
)
from olmes.records.shown_repeats import RUN_SD, primary_repeats
from olmes.reports import numbers
from olmes.reports.charts import Axis
from olmes.reports.checkpoint_scores import (
    CheckpointRecords,
    CheckpointScore,
    checkpoints_of,
    series_unit,
    suite_series,
)
from olmes.reports.checkpoint_series import Series, series_of
from olmes.reports.held_out import look_line
from olmes.reports.line_charts import LineChart, Linked, log_charts, score_chart, step_axis
from olmes.reports.links import HELD_OUT, page_link, samples_link
from olmes.reports.notices import Notice, fallen, run_notices
from olmes.reports.page import render_page
from olmes.reports.scores import ScoreView, legend_of, score_view
from olmes.tools import jsonl


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One task or suite over all checkpoints."""

    title: str
    cells: tuple[Cell | None, ...]
    """One a checkpoint."""
    best: int | None
    """Which cell is the best checkpoint's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A number of one checkpoint."""

    score: ScoreView
    n: str
    """Items, with responses or parts where they are more."""
    noise: str
    """From run to run on the same items; '' where each has one response."""
    marks: tuple[str, ...]
    """Why it is no full, standard, complete number of the benchmark's own data."""
    thoughts: tuple[str, ...]
    """The share of responses whose thought never ended or that hold its marks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The best and the latest checkpoint by a suite or task."""

    title: str
    best: BestView | None
    """None for unseen tasks, by which nothing is chosen, and where samples are missing."""
    fall: FallView | None
    """The latest checkpoint against the best earlier one; None where it has no number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BestView:
    """The best checkpoint of a suite or task, in words."""

    step: str
    score: str
    corrected: str
    interval: str
    bias: str
    checkpoints: int
    note: str
    """Over which items, where not over all of the best checkpoint's own."""
    link: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FallView:
    """What has become of a score since its best, in words."""

    step: str
    """Of the earlier checkpoint that the latest is compared with."""
    score: str
    link: str
    difference: str
    interval: str
    p: str
    unpaired: bool
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
    suite, tasks, unseen = series_of(steps)
    looks = suite_series(steps, held_out=True)
    context = {
        "title": title or _name(steps),
        "steps": [f"{step.step:,g}" for step in steps],
        "stages": ", ".join(f"{name} to step {last:,g}" for name, last in stages),
        "notices": [
            *(Notice("stop", "A gamed reward?", text) for text in alarms),
            *_notices(steps, left_out, staged=bool(stages)),
            *fallen([one.title for one in (suite, *tasks, *unseen) if one and one.fallen]),
        ],
        "suite_chart": view.chart(suite, axis, looks) if suite else None,
        "logs": log_charts(axis, log),
        "charts": [view.chart(one, axis) for one in tasks],
        "unseen_charts": [
            score_chart(one.title, axis, [], unit=one.unit, looks=view.linked(one.points, one.task))
            for one in unseen
        ],
        "standings": [
            view.standing(one)
            for one in (suite, *tasks, *unseen)
            if one and (one.best or one.alarm)
        ],
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

    def chart(self, one: Series, axis: Axis, looks: Sequence[CheckpointScore] = ()) -> LineChart:
        """The chart of a series, with looks at unseen scores in the same unit."""
        caption = ""
        if one.best:
            caption = (
                f"Best at step {one.points[one.best.index].step:,g}: "
                f"{shown(one.best_score, one.unit)}, "
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

    def column(self, one: Series) -> Column:
        """A column of the table."""
        found = {point.step: point for point in one.points}
        cells = tuple(self.cell(one, found[step]) if step in found else None for step in self.steps)
        chosen = self.steps.index(one.points[one.best.index].step) if one.best else None
        return Column(title=one.title, cells=cells, best=chosen)

    def cell(self, one: Series, point: CheckpointScore) -> Cell:
        """A number with what it is over, and its marks."""
        run = point.record.run
        names = [one.task] if one.task else run.mean_tasks
        tasks = [run.tasks[name] for name in names]
        return Cell(
            score=score_view(
                point.score, metric=one.task, unit=one.unit, link=self.link(point, one.task)
            ),
            n=count_over(point.score.n, tasks),
            marks=tuple(marks(run, names)),
            thoughts=tuple(shown_thoughts(tasks)),
            noise=self.noise(point, one),
        )

    def noise(self, point: CheckpointScore, one: Series) -> str:
        """How far a task's score moves from run to run, where an item has several responses."""
        task = point.record.tasks.get(one.task)
        found = primary_repeats(task) if task else None
        return f"{RUN_SD} {shown(found.sd, one.unit)}" if found and found.sd is not None else ""

    def standing(self, one: Series) -> Standing:
        """The best and the latest checkpoint in words."""
        return Standing(title=one.title, best=self.best(one), fall=self.fall(one))

    def best(self, one: Series) -> BestView | None:
        """The best checkpoint in words."""
        if one.best is None:
            return None
        best, unit = one.best, one.unit
        point = one.points[best.index]
        return BestView(
            step=f"{point.step:,g}",
            score=shown(one.best_score, unit),
            corrected=shown(best.corrected, unit),
            interval=interval(best.ci_low, best.ci_high, unit),
            bias=shown(best.bias, unit),
            checkpoints=best.checkpoints,
            note=f"over the {best.n:,} items of all" if one.of_shared_items else "",
            link=self.link(point, one.task),
        )

    def fall(self, one: Series) -> FallView | None:
        """What the alarm says, in words: against the best, unless the one before rang alone."""
        if one.alarm is None:
            return None
        found = one.alarm.fall
        return FallView(
            step=found.since,
            score=shown(one.points[-1].score.value, one.unit),
            link=self.link(one.points[-1], one.task),
            difference=shown_difference(found.difference, one.unit),
            interval=difference_interval(found.ci_low, found.ci_high, one.unit),
            p=numbers.p_value(found.p_adjusted),
            unpaired=not found.paired,
            raised=one.alarm.raised,
        )


def _name(steps: Sequence[CheckpointRecords]) -> str:
    """The family of the models; older records have only their names."""
    models = [record.run.model for step in steps for record in (*step.dev, *step.unseen)]
    return models[0].family or models[0].name if models else "training"


def _look(step: CheckpointRecords, look: HeldOut) -> tuple[str, str, str]:
    line = f"{look_line(look)}; ledger line {look.ledger.number}"
    return f"{step.step:,g}", line, look.reason


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
