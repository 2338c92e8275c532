"""Tables and numbers on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from olmes.records.record import Record
from olmes.tools.visible_text import visible

COUNTED = ("failed", "crashed", "unjudged", "timeout", "empty", "refusal")
"""Counts that get a place only where they are not zero."""


class PlainConsole(Console):
    """A terminal on which text is text: what a model or a data set wrote steers nothing."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Text with its control characters made visible."""
        return super().render_str(visible(text), **options)


def console(*, stderr: bool = False) -> Console:
    """A terminal that leaves words as they are: no highlighting, no markup in what a model said."""
    return PlainConsole(stderr=stderr, highlight=False, markup=False)


def percent(value: float | None) -> str:
    """A share in percent with one decimal; a dash where there is none."""
    return "–" if value is None else f"{100 * value:.1f}"


def interval(numbers: Mapping[str, Any]) -> str:
    """A 95 % interval in percent."""
    if numbers["ci_low"] is None:
        return "–"
    return f"[{percent(numbers['ci_low'])}, {percent(numbers['ci_high'])}]"


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


def metrics_table(tasks: Mapping[str, Mapping[str, Any]]) -> Table:
    """Metric, value, 95 % interval, n, truncated and unparsed counts by task."""
    table = blank_table("task", "metric", "value", "95 % interval", "n", "trunc.", "unparsed")
    for name, task in tasks.items():
        counts = task["counts"]
        label = name if task["standard"] else f"{name}!"
        ordered = sorted(task["metrics"].items(), key=lambda entry: entry[0] != task["primary"])
        for metric, numbers in ordered:
            primary = metric == task["primary"]
            table.add_row(
                label if primary else "",
                metric + ("*" if numbers["honest"] else ""),
                percent(numbers["value"]),
                interval(numbers),
                str(numbers["n"]),
                str(counts["truncated"]) if primary else "",
                str(counts["unparsed"]) if primary else "",
                style="bold" if primary else None,
            )
        others = ", ".join(f"{counts[flag]} {flag}" for flag in COUNTED if counts[flag])
        if others:
            table.add_row("", others, style="red")
    return table


def legend(tasks: Mapping[str, Mapping[str, Any]]) -> str:
    """What the signs in the table mean, as far as it holds them."""
    words = []
    if any(numbers["honest"] for task in tasks.values() for numbers in task["metrics"].values()):
        words.append("* without the protocol metric's known faults")
    if not all(task["standard"] for task in tasks.values()):
        words.append("! not the standard formulation")
    return "   ".join([*words, "trunc. cut at the token limit"])


def record_table(record: Record) -> Table:
    """The numbers of a run, with the suite's mean below."""
    table = metrics_table(record.tasks)
    if suite := record.data["suite"]:
        table.add_section()
        missing = ", ".join(suite.get("missing") or ())
        mean = f"mean without {missing}" if missing else "mean of primaries"
        mean += "" if suite["complete"] else " (incomplete)"
        numbers = (percent(suite["value"]), interval(suite), str(suite["n"]))
        table.add_row(suite["name"], mean, *numbers, style="bold")
    return table
