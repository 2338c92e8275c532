"""Tables and numbers on the terminal."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from rich.console import Console
from rich.text import Text

from olmes.cli.numbers_table import RED, Line, NumbersTable
from olmes.cli.wide_table import WideTable
from olmes.cli.wide_table import blank_table as blank_table
from olmes.comparison.eligibility import NOT_STANDARD
from olmes.comparison.overlap import run_overlap
from olmes.comparison.overlap_words import OVERLAPS
from olmes.records.aggregate import run_mean
from olmes.records.record import Record
from olmes.records.schema import MetricScore
from olmes.records.shown import (
    MARKS,
    MISSING,
    count_over,
    metric_label,
    shown,
    shown_count,
    shown_interval,
    shown_share,
    signs_of,
)
from olmes.records.shown_repeats import RUN_SD, Repeating, RepeatView, repeat_views
from olmes.tools.visible_text import visible

COUNTED = ("failed", "crashed", "unjudged", "timeout", "empty", "refusal")
"""Counts that get a place only where they are not zero."""
THOUGHTS_MEANT = {
    "unfinished_thinking": "unfin. no answer: the thought never ended",
    "thought_marks": "marks answers that hold marks of a thought",
}
MEANT = {
    "truncated": "trunc. cut at the token limit",
    "unparsed": "unparsed no answer could be read",
    **THOUGHTS_MEANT,
}
"""What stands below the table of counts that it has a column for."""
NO_MEAN = "no mean of these tasks"


class PlainConsole(Console):
    """A terminal on which text is text: what a model or a data set wrote steers nothing."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Text with its control characters made visible."""
        return super().render_str(visible(text), **options)

    def on_broken_pipe(self) -> None:
        """Nobody reads any more: an error as any other, where rich would end the process."""
        raise BrokenPipeError


def console(*, stderr: bool = False) -> Console:
    """A terminal that leaves words as they are: no highlighting, no markup in what a model said."""
    return PlainConsole(stderr=stderr, highlight=False, markup=False)


class TaskNumbers(Protocol):
    """A task's numbers: of a record, or of recorded responses that were scored."""

    @property
    def primary(self) -> str:
        """Name of the metric a suite averages."""

    @property
    def standard(self) -> bool:
        """Whether the formulation is the published one."""

    @property
    def metrics(self) -> Mapping[str, MetricScore]:
        """By name."""

    @property
    def counts(self) -> Mapping[str, int]:
        """Responses by what happened beside the score."""

    @property
    def n(self) -> int:
        """Responses."""

    @property
    def items(self) -> int | None:
        """Items that these are of; None where an older record does not say."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """What the table has of one model."""

    tasks: Mapping[str, TaskNumbers]
    model: str = ""
    """Its label; '' where the table is of one model."""
    step: str = ""
    marked: Collection[str] = ()
    """Tasks with items that overlap with the training data."""
    mean: MeanLine | None = None
    """Of its suite."""


@dataclass(frozen=True, slots=True)
class MeanLine:
    """The mean of a suite."""

    suite: str
    score: MetricScore | None
    """None where its tasks have no mean."""
    count: str
    missing: Sequence[str]
    """Members of the suite that are not in it."""
    complete: bool
    marked: bool

    @property
    def remark(self) -> str:
        """What it lacks: `without href (incomplete)`; '' for nothing."""
        without = f"without {', '.join(self.missing)}" if self.missing else ""
        return " ".join(filter(None, [without, "" if self.complete else "(incomplete)"]))


def metrics_table(
    tasks: Mapping[str, TaskNumbers], marked: Collection[str] = frozenset()
) -> NumbersTable:
    """Metric, value, 95 % interval and n by task, and what happened to responses where it did.

    Args:
        tasks: their numbers.
        marked: those with items that overlap with the training data.
    """
    return one_model_table(Numbers(tasks, marked=marked))


def one_model_table(found: Numbers) -> NumbersTable:
    """Every metric of one model, task by task, and the suite's mean."""
    table = NumbersTable("task", "metric")
    for name, task in found.tasks.items():
        for metric, score in sorted(task.metrics.items(), key=lambda one: one[0] != task.primary):
            primary = metric == task.primary
            label = metric_label(metric + ("*" if score.honest else ""), score)
            numbers = numbers_of(found, name, score, primary=primary)
            head = task_label(name, task) if primary else ""
            style = "bold" if primary else None
            table.lines.append(
                Line(group=name, head=head, name=label, numbers=numbers, style=style)
            )
        if others := remark_of(task):
            table.lines.append(Line(group=name, name=others, numbers={}, style=RED))
    if mean := found.mean:
        name = NO_MEAN if mean.score is None else mean.remark and f"mean {mean.remark}"
        table.lines.append(
            Line(
                group=f"{mean.suite} mean",
                head=mean.suite,
                name=name or "mean of primaries",
                numbers=mean_numbers(found, mean),
                style="bold",
            )
        )
    return table


def models_table(models: Sequence[Numbers]) -> NumbersTable:
    """The primary metrics of several models, task by task, and their suite's mean: the same numbers."""
    table = NumbersTable("task", "model")
    tasks = {name: task for found in models for name, task in found.tasks.items()}
    for name, task in tasks.items():
        metric = metric_label(task.primary, task.metrics[task.primary])
        lines = []
        for found in models:
            own = found.tasks.get(name)
            if own is None:
                lines.append(Line(group=name, name=found.model, numbers={"value": MISSING}))
                continue
            numbers = numbers_of(found, name, own.metrics[own.primary], primary=True)
            lines.append(Line(group=name, name=found.model, numbers=numbers))
            if others := remark_of(own):
                lines.append(Line(group=name, name=others, numbers={}, style=RED))
        table.lines += headed(lines, task_label(name, task), metric)
    means = [(found, found.mean) for found in models if found.mean]
    lines = []
    for found, mean in means:
        group = f"{mean.suite} mean"
        numbers = mean_numbers(found, mean)
        lines.append(Line(group=group, name=found.model, numbers=numbers, style="bold"))
        if said := NO_MEAN if mean.score is None else mean.remark:
            lines.append(Line(group=group, name=said, numbers={}, style=RED))
    table.lines += headed(lines, means[0][1].suite, "mean of primaries") if means else []
    return table


def headed(lines: Sequence[Line], *heads: str) -> list[Line]:
    """The lines of a group with its heads before them, one a line."""
    spare = [Line(group=lines[0].group, name="", numbers={})] * (len(heads) - len(lines))
    rows = [*lines, *spare]
    return [
        replace(line, head=head)
        for line, head in zip(rows, [*heads, *[""] * len(rows)], strict=False)
    ]


def task_label(name: str, task: TaskNumbers) -> str:
    """A task's name, marked where its formulation is not the published one."""
    return name if task.standard else f"{name}{NOT_STANDARD}"


def numbers_of(found: Numbers, name: str, score: MetricScore, *, primary: bool) -> dict[str, str]:
    """One metric's numbers; with the primary one stands what happened to responses, where it did."""
    task = found.tasks[name]
    numbers = {
        "value": shown(score.value, score.unit),
        "interval": shown_interval(score, score.unit),
        "n": shown_count(score.n, task.n, task.items),
    }
    if not primary:
        return numbers
    numbers["step"] = found.step
    numbers["value"] += f" {OVERLAPS}" if name in found.marked else ""
    for flag in ("truncated", "unparsed"):
        if count := task.counts.get(flag):
            numbers[flag] = f"{count:,}"
    for flag in THOUGHTS_MEANT:
        if count := task.counts.get(flag):
            numbers[flag] = shown_share(count, task.n)
    return numbers


def mean_numbers(found: Numbers, mean: MeanLine) -> dict[str, str]:
    """A suite's mean."""
    if mean.score is None:
        return {"value": MISSING, "step": found.step}
    return {
        "step": found.step,
        "value": shown(mean.score.value, mean.score.unit) + (f" {OVERLAPS}" if mean.marked else ""),
        "interval": shown_interval(mean.score, mean.score.unit),
        "n": mean.count,
    }


def remark_of(task: TaskNumbers) -> str:
    """What else happened to a task's responses: `879 failed`; '' for nothing."""
    return ", ".join(f"{task.counts[flag]:,} {flag}" for flag in COUNTED if task.counts.get(flag))


def print_repeats(screen: Console, tasks: Mapping[str, Repeating]) -> None:
    """Print what several responses an item say of the primary metrics; the page has the others."""
    views = [view for name, task in tasks.items() for view in repeat_views(name, task)[:1]]
    for names in dict.fromkeys(view.names for view in views):
        own = [view for view in views if view.names == names]
        screen.print(repeats_table(own))
        least = min(own, key=lambda view: view.complete)
        screen.print(least.legend, style="dim", soft_wrap=True)


def repeats_table(views: Sequence[RepeatView]) -> WideTable:
    """The best, the worst and the commonest of k responses, and the noise from run to run."""
    table = blank_table("task", "of k responses", "value", "95 % interval", "n")
    for view in views:
        name = view.name + ("" if view.complete else " (incomplete)")
        runs = f"{len(view.means)} runs"
        table.add_row(name, f"{view.metric}, {RUN_SD}", view.noise, "", runs)
        for row in view.rows:
            if row.k == 1 and len(view.rows) > 1:
                continue  # one response: the score itself
            for reading, cell in zip(view.names, row.cells, strict=True):
                if cell.value != MISSING:
                    table.add_row("", f"{reading}{row.k}", cell.value, cell.interval, cell.n)
    return table


def legend(*models: Mapping[str, TaskNumbers], primary: bool = False) -> str:
    """What the signs in the table mean, as far as it holds them.

    Args:
        models: the tasks of each.
        primary: whether the table has primary metrics alone.
    """
    tasks = [task for found in models for task in found.values()]
    scores = [
        score
        for task in tasks
        for name, score in task.metrics.items()
        if name == task.primary or not primary
    ]
    words = []
    if any(score.honest for score in scores) and not primary:
        words.append("* without the protocol metric's known faults")
    if not all(task.standard for task in tasks):
        words.append(f"{NOT_STANDARD} not the standard formulation")
    signs = {sign for score in scores for sign in signs_of(score)}
    words += [f"{sign} {meaning}" for sign, meaning in MARKS.items() if sign in signs]
    words += [
        meaning for flag, meaning in MEANT.items() if any(task.counts.get(flag) for task in tasks)
    ]
    return "   ".join(words)


def record_table(record: Record) -> NumbersTable:
    """The numbers of a run, with the suite's mean below."""
    return one_model_table(recorded_numbers(record))


def recorded_numbers(record: Record, model: str = "") -> Numbers:
    """What the table has of a run; `model` is its label among several."""
    marked = run_overlap(record).marked
    step = record.run.model.step
    mean = None
    if suite := record.run.suite:
        names = record.run.mean_tasks
        found = run_mean(record.run)
        mean = MeanLine(
            suite.name,
            found,
            count_over(found.n, [record.tasks[name] for name in names]) if found else "",
            suite.missing,
            suite.complete,
            bool(marked & set(names)),
        )
    return Numbers(
        record.tasks, model, shown_step(step) if model and step is not None else "", marked, mean
    )


def shown_step(step: float) -> str:
    """A training step: `2,000`, without the point of a whole number."""
    return f"{step:,.0f}" if step == int(step) else f"{step:,}"
