"""Tables and numbers on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

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
    signs_of,
)
from olmes.records.shown_repeats import RUN_SD, Repeating, RepeatView, repeat_views
from olmes.tools.visible_text import visible

COUNTED = ("failed", "crashed", "unjudged", "timeout", "empty", "refusal")
"""Counts that get a place only where they are not zero."""
NO_MEAN = "no mean of these tasks"


class PlainConsole(Console):
    """A terminal on which text is text: what a model or a data set wrote steers nothing."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Text with its control characters made visible."""
        return super().render_str(visible(text), **options)


def console(*, stderr: bool = False) -> Console:
    """A terminal that leaves words as they are: no highlighting, no markup in what a model said."""
    return PlainConsole(stderr=stderr, highlight=False, markup=False)


def blank_table(*columns: str) -> Table:
    """A plain table whose first two columns are words and whose others are numbers."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for position, column in enumerate(columns):
        if position < 2:
            # A narrow terminal folds long names; numbers are never cut.
            table.add_column(column, overflow="fold")
        else:
            table.add_column(column, justify="right", no_wrap=True, min_width=len(column))
    return table


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


def metrics_table(tasks: Mapping[str, TaskNumbers]) -> Table:
    """Metric, value, 95 % interval, n, truncated and unparsed counts by task."""
    table = blank_table("task", "metric", "value", "95 % interval", "n", "trunc.", "unparsed")
    for name, task in tasks.items():
        label = name if task.standard else f"{name}!"
        for metric, score in sorted(task.metrics.items(), key=lambda one: one[0] != task.primary):
            primary = metric == task.primary
            table.add_row(
                label if primary else "",
                metric_label(metric + ("*" if score.honest else ""), score),
                shown(score.value, score.unit),
                shown_interval(score, score.unit),
                shown_count(score.n, task.n, task.items),
                str(task.counts.get("truncated", 0)) if primary else "",
                str(task.counts.get("unparsed", 0)) if primary else "",
                style="bold" if primary else None,
            )
        others = ", ".join(
            f"{task.counts[flag]} {flag}" for flag in COUNTED if task.counts.get(flag)
        )
        if others:
            table.add_row("", others, style="red")
    return table


def print_repeats(screen: Console, tasks: Mapping[str, Repeating]) -> None:
    """Print what several responses an item say of the primary metrics; the page has the others."""
    views = [view for name, task in tasks.items() for view in repeat_views(name, task)[:1]]
    for names in dict.fromkeys(view.names for view in views):
        own = [view for view in views if view.names == names]
        screen.print(repeats_table(own))
        least = min(own, key=lambda view: view.complete)
        screen.print(least.legend, style="dim", soft_wrap=True)


def repeats_table(views: Sequence[RepeatView]) -> Table:
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


def legend(tasks: Mapping[str, TaskNumbers]) -> str:
    """What the signs in the table mean, as far as it holds them."""
    scores = [score for task in tasks.values() for score in task.metrics.values()]
    words = []
    if any(score.honest for score in scores):
        words.append("* without the protocol metric's known faults")
    if not all(task.standard for task in tasks.values()):
        words.append("! not the standard formulation")
    signs = {sign for score in scores for sign in signs_of(score)}
    words += [f"{sign} {meaning}" for sign, meaning in MARKS.items() if sign in signs]
    return "   ".join([*words, "trunc. cut at the token limit"])


def record_table(record: Record) -> Table:
    """The numbers of a run, with the suite's mean below."""
    table = metrics_table(record.tasks)
    if suite := record.run.suite:
        table.add_section()
        missing = ", ".join(suite.missing)
        mean = f"mean without {missing}" if missing else "mean of primaries"
        mean += "" if suite.complete else " (incomplete)"
        found = run_mean(record.run)
        if found is None:
            table.add_row(suite.name, NO_MEAN, MISSING, "", "", style="bold")
        else:
            numbers = shown(found.value, found.unit), shown_interval(found, found.unit)
            count = count_over(found.n, [record.tasks[name] for name in record.run.mean_tasks])
            table.add_row(suite.name, mean, *numbers, count, style="bold")
    return table
