"""`olmes compare`: why two runs differ, then by how much."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from olmes.cli import options
from olmes.records.shown import (
    MISSING,
    difference_interval,
    shown,
    shown_difference,
    signs_of,
)

if TYPE_CHECKING:
    from rich.table import Table

    from olmes.comparison.compare import (
        Comparison,
        ScoredTwice,
        SuiteComparison,
        TaskComparison,
        UnpairedTask,
    )
    from olmes.comparison.why import Cause
    from olmes.stats import Difference, PairedDifference
    from olmes.types import Unit


@click.command("compare")
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Write a page too, or its numbers: .html, .csv, .json, .parquet.",
)
@click.option(
    "--force", is_flag=True, help="Compare numbers that are not of the same thing, marked."
)
@click.option(
    "--margin", type=click.FloatRange(min=0, max=100), default=1.0, show_default=True,
    help="Percentage points within which two scores count as tied.",
)  # fmt: skip
@options.json_option
@options.verbose_option
def command(
    a: Path, b: Path, output: Path | None, force: bool, margin: float, as_json: bool
) -> int:
    """Hold run B, the candidate, against run A, the baseline.

    First everything that differs in how the numbers came about; then, a task at a time, the paired
    difference on the same items, its 95 % interval, its p-value (Holm over the tasks) and a verdict.
    Exit status 1 when no task could be compared.
    """
    from olmes.comparison.compare import compare_runs
    from olmes.export.formats import FRAMES, format_of
    from olmes.records.record import Record
    from olmes.tools import jsonl
    from olmes.tools.as_json import as_json as json_of

    form = format_of(output, FRAMES) if output else "html"
    found = compare_runs(Record.load(a), Record.load(b), force=force, margin=margin / 100)
    if output is not None:
        if form != "html":
            from olmes.reports.difference_frame import write_found

            write_found(found, form, output)
        else:
            from olmes.reports.comparison_page import write_comparison_page

            write_comparison_page(found, output)
    if as_json:
        click.echo(jsonl.dumps(json_of(found)))
    else:
        show(found, output)
    return 0 if found.tasks or found.unpaired else 1


def show(found: Comparison, output: Path | None) -> None:
    """Print a comparison."""
    from olmes.cli.outcome import look_words
    from olmes.cli.tables import console
    from olmes.comparison.noise_words import noise_lines

    screen = console()
    for letter, run in zip("AB", found.runs, strict=True):
        demo = " (demo data)" if run.demo_data else ""
        screen.print(f"{letter}  {run.name}  {run.id}{demo}", soft_wrap=True)
        for said in run.reservations:
            screen.print(f"   {said}", style="yellow", soft_wrap=True)
        for task, thoughts in run.thoughts.items():
            screen.print(f"   {task}: {', '.join(thoughts)}", style="yellow", soft_wrap=True)
        for task, line in run.overlap.items():
            screen.print(f"   {task}: {line}", style="dim", soft_wrap=True)
        if run.held_out:
            screen.print(f"   {look_words(run.held_out)}", style="dim", soft_wrap=True)
    if found.why:
        screen.print(why_table(found.why))
    else:
        screen.print("nothing differs in how the numbers came about")
    if found.tasks or found.unpaired:
        screen.print(difference_table(found))
        for line in (*power_lines(found), *noise_lines(found), found.conditional):
            screen.print(line, style="dim", soft_wrap=True)
    for line, style in cautions(found):
        screen.print(f"! {line}", style=style, soft_wrap=True)
    if output is not None:
        screen.print(f"report  {output}", soft_wrap=True)


def cautions(found: Comparison) -> Iterator[tuple[str, str]]:
    """What must be known about a comparison, with its colour."""
    for task in found.tasks:
        if task.mismatch:
            yield f"{task.name}: {' and '.join(task.mismatch)}; compared all the same", "yellow"
        if task.only_a or task.only_b:
            alone = f"{task.only_a} only in A, {task.only_b} only in B"
            yield f"{task.name}: on the {task.n} items of both; {alone}", "yellow"
    for unpaired in found.unpaired:
        yield f"{unpaired.name}: not paired, a run lacks its samples", "yellow"
    for refused in found.refused:
        reasons = " and ".join(refused.reasons)
        words = f"not compared, because {reasons}; --force compares all the same"
        yield f"{refused.name}: {words}", "red"
    if len(found.tasks) > 1 and not found.suite:
        yield "no mean: the tasks have no unit or no direction in common", "yellow"
    if not (found.tasks or found.unpaired or found.refused):
        yield "nothing to compare: no task is in both runs", "red"
    for letter, names in zip("AB", found.only, strict=True):
        if names:
            yield f"only {letter} has {', '.join(names)}", "yellow"


def power_lines(found: Comparison) -> Iterator[str]:
    """What more items would show, for each task that has not enough."""
    from olmes.comparison.power_words import power_words

    for task in found.tasks:
        if task.difference and task.difference.verdict == "not enough data":
            yield f"{task.name}: {power_words(task.difference)}"


def why_table(why: Sequence[Cause]) -> Table:
    """What differs in how the numbers came about."""
    from olmes.cli.tables import blank_table

    table = blank_table("differs", "field", "A", "B", "task")
    for column in table.columns[2:]:
        column.justify, column.no_wrap, column.overflow = "left", False, "fold"
    for cause in why:
        table.add_row(cause.kind, cause.field, cause.a, cause.b, cause.task or "all")
    return table


def difference_table(found: Comparison) -> Table:
    """Scores, difference, interval, p-value, items won and lost, and the verdict by task."""
    from olmes.cli.tables import blank_table

    table = blank_table(
        "task", "verdict", "A", "B", "B - A", "95 % interval", "p", "won", "lost", "n"
    )
    for task in found.tasks:
        table.add_row(*paired_row(task))
    for unpaired in found.unpaired:
        table.add_row(*unpaired_row(unpaired))
    if found.suite and len(found.suite.tasks) > 1:
        table.add_section()
        table.add_row(*suite_row(found.suite))
    return table


def paired_row(task: TaskComparison) -> list[str]:
    """A task whose items were paired; its scores are on the items of both runs, so that they add up."""
    found, unit = task.difference, task.unit
    if found is None:
        return [label(task), "not paired", *scores(task), *["–"] * 6]
    return [
        label(task),
        found.verdict,
        shown(found.baseline, unit),
        shown(found.candidate, unit),
        signed(found.difference, unit),
        span(found, unit),
        p_value(found.p_adjusted),
        str(found.wins),
        str(found.losses),
        f"{found.n:,}",
    ]


def suite_row(mean: SuiteComparison) -> list[str]:
    """The mean over the tasks that were compared."""
    found = mean.difference
    unit: Unit = "share" if found.is_share else "number"
    return [
        f"mean of {len(mean.tasks)}",
        found.verdict,
        shown(mean.baseline, unit),
        shown(mean.candidate, unit),
        signed(found.value, unit),
        span(found, unit),
        p_value(found.p_value),
    ]


def p_value(p: float) -> str:
    """A p-value with three decimals."""
    return "< .001" if p < 0.001 else f"{p:.3f}"


def unpaired_row(task: UnpairedTask) -> list[str]:
    """A task whose samples one of the runs lacks."""
    value = task.difference.value if task.difference else None
    gap = [signed(value, task.unit), span(task.difference, task.unit)]
    return [label(task), "not paired", *scores(task), *gap, *["–"] * 4]


def label(task: ScoredTwice) -> str:
    """A task's name with its marks."""
    signs = signs_of(task.a)
    return " ".join([task.name + ("!" if task.mismatch else ""), *signs])


def scores(task: ScoredTwice) -> list[str]:
    """Both scores, as the records have them."""
    return [shown(task.a.value, task.unit), shown(task.b.value, task.unit)]


def signed(value: float | None, unit: Unit) -> str:
    """A difference with its sign, of shares in percentage points."""
    return shown_difference(value, unit).replace("−", "-")


def span(difference: Difference | PairedDifference | None, unit: Unit) -> str:
    """The 95 % interval of a difference."""
    if difference is None:
        return MISSING
    return difference_interval(difference.ci_low, difference.ci_high, unit).replace("−", "-")
