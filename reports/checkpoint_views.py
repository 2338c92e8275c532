"""What the page of a training shows of its scores: charts, the table's cells, best and latest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from olmes.comparison.eligibility import marks
from olmes.comparison.overlap import run_overlap
from olmes.comparison.overlap_words import marked_line
from olmes.records.shown import (
    count_over,
    difference_interval,
    interval,
    shown,
    shown_difference,
    shown_thoughts,
)
from olmes.records.shown_repeats import RUN_SD, primary_repeats
from olmes.reports import line_charts, numbers, training_curves
from olmes.reports.charts import Axis, frame_of
from olmes.reports.checkpoint_scores import CheckpointRecords, CheckpointScore, series_unit
from olmes.reports.checkpoint_series import Series
from olmes.reports.line_charts import FewPoints, LineChart, Linked, score_chart
from olmes.reports.links import HELD_OUT, page_link, samples_link
from olmes.reports.scores import ScoreView, score_view

Stages = Sequence[tuple[str, float, float]]
"""Name, first and last step of each stage."""


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
    verdict: str
    unpaired: bool


def n_of(point: CheckpointScore, task: str) -> str:
    """Over how many items a number is, in words."""
    run = point.record.run
    names = [task] if task else run.mean_tasks
    return count_over(point.score.n, [run.tasks[name] for name in names])


def metric_of(one: Series) -> str:
    """What a series is measured by."""
    return one.points[-1].record.tasks[one.task].primary if one.task else "mean"


class PageView:
    """What the page shows of series: links and cells."""

    def __init__(
        self, steps: Sequence[CheckpointRecords], output: Path, stages: Stages = ()
    ) -> None:
        self.steps = [step.step for step in steps]
        self.output = output
        self.stages = stages

    def link(self, point: CheckpointScore, task: str) -> str:
        """The page of the run, at the samples of a task."""
        if task and point.record.sealed(task):
            fragment = HELD_OUT
        else:
            fragment = samples_link(task=task) if task else "#main"
        return page_link(point.record.folder, self.output, fragment)

    def linked(self, points: Sequence[CheckpointScore], task: str) -> list[Linked]:
        """Step, score, link and n of each point."""
        return [
            Linked(point.step, point.score, self.link(point, task), n_of(point, task))
            for point in points
        ]

    def chart(
        self, one: Series, axis: Axis, looks: Sequence[CheckpointScore] = ()
    ) -> LineChart | FewPoints:
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
            stages=self.stages,
            metric=metric_of(one),
            frame=frame_of(
                len(self.steps), line_charts.FRAME, pitch=line_charts.PITCH, least=line_charts.LEAST
            ),
        )

    def unseen_chart(self, one: Series, axis: Axis) -> LineChart | FewPoints:
        """The chart of an unseen task: looks alone."""
        looks = self.linked(one.points, one.task)
        return score_chart(one.title, axis, [], unit=one.unit, looks=looks, metric=metric_of(one))

    def within(
        self, one: Series, before: float, last: float, axis: Axis
    ) -> LineChart | FewPoints | None:
        """The part of a series that lies in a stage, on the stage's own axis.

        From the score of the model that the stage begins with. None where there is no score.
        """
        points = [point for point in one.points if before <= point.step <= before + last]
        if not points:
            return None
        linked = [
            point._replace(step=point.step - before) for point in self.linked(points, one.task)
        ]
        frame = frame_of(
            len(linked),
            training_curves.FRAME,
            pitch=training_curves.PITCH,
            least=training_curves.LEAST,
        )
        return score_chart(
            one.title,
            axis,
            linked,
            unit=one.unit,
            frame=frame,
            metric=metric_of(one),
            x_title="step of the stage",
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
                point.score,
                metric=one.task,
                unit=one.unit,
                link=self.link(point, one.task),
                overlap=marked_line(run_overlap(point.record), one.task),
            ),
            n=n_of(point, one.task),
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

    def facts(
        self, one: Series, looks: Sequence[CheckpointScore]
    ) -> Iterator[tuple[str, str, str]]:
        """What stands beside the chart of the suite: what, in words, and its link."""
        latest = self.linked(one.points[-1:], one.task)[0]
        yield "latest", f"{latest.words(one.unit)}, at step {latest.step:,g}", latest.link
        if best := self.best(one):
            corrected = f"{best.corrected} {best.interval} corrected for the choice of"
            words = f"{best.score} at step {best.step}; {corrected} {best.checkpoints}"
            yield "best", words, best.link
        if fall := self.fall(one):
            words = f"{fall.difference} {fall.interval}: {fall.verdict}"
            yield f"since step {fall.step}", words, ""
        for look in self.linked(looks[-1:], ""):
            unit = series_unit(looks)
            yield "unseen", f"{look.words(unit)}, at step {look.step:,g}", look.link

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
            interval=difference_interval(*found.simultaneous, one.unit),
            p=numbers.p_value(found.p_adjusted),
            verdict=found.verdict,
            unpaired=not found.paired,
        )
