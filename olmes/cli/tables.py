"""Tables and numbers on the terminal."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

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
THOUGHTS = {"unfinished_thinking": "unfin.", "thought_marks": "marks"}
"""Counts that get a column with their share only where there are any: what it is called."""
THOUGHTS_MEANT = {
    "unfinished_thinking": "no answer: the thought never ended",
    "thought_marks": "answers that hold marks of a thought",
}
NO_MEAN = "no mean of these tasks"
WORDS = 2
"""Columns of words at the beginning of a table."""
MOST_OF_A_WORD = 24
"""Letters of a word that are kept together."""


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


class WideTable(Table):
    """A table that a narrow terminal gets in parts, each with its first two columns.

    rich would shrink those until they are gone; words may fold between their letters' groups alone.
    """

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The table, or its parts one below the other."""
        for part in self.parts(console, options):
            yield from super(WideTable, part).__rich_console__(console, options)

    def parts(self, console: Console, options: ConsoleOptions) -> list[WideTable]:
        """As few tables as have room for whole words and whole numbers."""
        room = options.max_width
        wide = options.update(max_width=10_000)
        words = list(range(min(WORDS, len(self.columns))))
        found: list[list[int]] = []
        for number in range(len(words), len(self.columns)):
            if not found or self.needs(console, wide, [*found[-1], number]) > room:
                found.append([*words])
            found[-1].append(number)
        return [self.of(chosen) for chosen in found or [words]]

    def needs(self, console: Console, wide: ConsoleOptions, chosen: list[int]) -> int:
        """The width of some columns where words are folded as far as they can be."""
        part = self.of(chosen)
        whole = super(WideTable, part).__rich_measure__(console, wide).maximum
        spare = 0
        for column in part.columns[:WORDS]:
            cells = [
                Measurement.get(console, wide, cell) for cell in (*column.cells, column.header)
            ]
            widest = max(cell.maximum for cell in cells)
            spare += widest - min(widest, MOST_OF_A_WORD, max(cell.minimum for cell in cells))
        return whole - spare

    def of(self, chosen: list[int]) -> WideTable:
        """The table with some of its columns alone."""
        part = copy.copy(self)
        part.columns = [
            dataclasses.replace(self.columns[number], _index=place)
            for place, number in enumerate(chosen)
        ]
        return part


def blank_table(*columns: str) -> Table:
    """A plain table whose first two columns are words and whose others are numbers."""
    table = WideTable(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for position, column in enumerate(columns):
        if position < WORDS:
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


def metrics_table(tasks: Mapping[str, TaskNumbers], marked: Collection[str] = frozenset()) -> Table:
    """Metric, value, 95 % interval, n, truncated and unparsed counts by task.

    Of thoughts that never ended, and of their marks in answers, the shares: where there are any.

    Args:
        tasks: their numbers.
        marked: those with items that overlap with the training data.
    """
    thoughts = thought_columns(tasks)
    columns = ["value", "95 % interval", "n", "trunc.", "unparsed", *thoughts.values()]
    table = blank_table("task", "metric", *columns)
    for name, task in tasks.items():
        label = name if task.standard else f"{name}!"
        for metric, score in sorted(task.metrics.items(), key=lambda one: one[0] != task.primary):
            primary = metric == task.primary
            table.add_row(
                label if primary else "",
                metric_label(metric + ("*" if score.honest else ""), score),
                shown(score.value, score.unit)
                + (f" {OVERLAPS}" if primary and name in marked else ""),
                shown_interval(score, score.unit),
                shown_count(score.n, task.n, task.items),
                str(task.counts.get("truncated", 0)) if primary else "",
                str(task.counts.get("unparsed", 0)) if primary else "",
                *(
                    shown_share(task.counts.get(flag, 0), task.n) if primary else ""
                    for flag in thoughts
                ),
                style="bold" if primary else None,
            )
        others = ", ".join(
            f"{task.counts[flag]} {flag}" for flag in COUNTED if task.counts.get(flag)
        )
        if others:
            table.add_row("", others, style="red")
    return table


def thought_columns(tasks: Mapping[str, TaskNumbers]) -> dict[str, str]:
    """The columns of what went wrong with thoughts, by flag; none where nothing did."""
    return {
        flag: head
        for flag, head in THOUGHTS.items()
        if any(task.counts.get(flag) for task in tasks.values())
    }


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
    words.append("trunc. cut at the token limit")
    thoughts = thought_columns(tasks)
    words += [f"{head} {THOUGHTS_MEANT[flag]}" for flag, head in thoughts.items()]
    return "   ".join(words)


def record_table(record: Record) -> Table:
    """The numbers of a run, with the suite's mean below."""
    marked = run_overlap(record).marked
    table = metrics_table(record.tasks, marked)
    if suite := record.run.suite:
        table.add_section()
        missing = ", ".join(suite.missing)
        mean = f"mean without {missing}" if missing else "mean of primaries"
        mean += "" if suite.complete else " (incomplete)"
        found = run_mean(record.run)
        if found is None:
            table.add_row(suite.name, NO_MEAN, MISSING, "", "", style="bold")
        else:
            value = shown(found.value, found.unit)
            value += f" {OVERLAPS}" if marked & set(record.run.mean_tasks) else ""
            numbers = value, shown_interval(found, found.unit)
            count = count_over(found.n, [record.tasks[name] for name in record.run.mean_tasks])
            table.add_row(suite.name, mean, *numbers, count, style="bold")
    return table
