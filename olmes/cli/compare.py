"""`olmes compare`: why two runs differ, then by how much."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from olmes.cli import options


@click.command("compare")
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write an HTML page too.")
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
    from olmes.comparison import compare_runs
    from olmes.records.record import Record
    from olmes.tools import jsonl

    found = compare_runs(Record.load(a), Record.load(b), force=force, margin=margin / 100)
    if output is not None:
        page = importlib.import_module("olmes.reports.comparison_page")
        page.write_comparison_page(found, output)
    if as_json:
        click.echo(jsonl.dumps(found))
    else:
        show(found, output)
    return 0 if found["tasks"] or found["unpaired"] else 1


def show(found: dict[str, Any], output: Path | None) -> None:
    """Print a comparison."""
    from olmes.cli.outcome import look_words
    from olmes.cli.tables import console

    screen = console()
    for letter, run in zip("AB", found["runs"], strict=True):
        sample = " (sample data)" if run["sample_data"] else ""
        screen.print(f"{letter}  {run['name']}  {run['id']}{sample}", soft_wrap=True)
        if run["held_out"]:
            screen.print(f"   {look_words(run['held_out'])}", style="dim", soft_wrap=True)
    if found["why"]:
        screen.print(why_table(found["why"]))
    else:
        screen.print("nothing differs in how the numbers came about")
    if found["tasks"] or found["unpaired"]:
        screen.print(difference_table(found))
        for line in power_lines(found):
            screen.print(line, style="dim", soft_wrap=True)
    for line, style in cautions(found):
        screen.print(f"! {line}", style=style, soft_wrap=True)
    if output is not None:
        screen.print(f"report  {output}", soft_wrap=True)


def cautions(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What a reader of the differences must know, each with its colour."""
    for entry in found["tasks"]:
        if entry["mismatch"]:
            yield f"{entry['name']}: forced: {', '.join(entry['mismatch'])}", "red"
        if entry["only_a"] or entry["only_b"]:
            alone = f"A alone has {entry['only_a']}, B alone {entry['only_b']}"
            yield f"{entry['name']}: on the {entry['n']} items of both; {alone}", "yellow"
    for entry in found["unpaired"]:
        yield f"{entry['name']}: not paired, its samples are under seal", "yellow"
    for entry in found["refused"]:
        reasons = " and ".join(entry["reasons"])
        words = f"not compared, because {reasons}; --force compares all the same"
        yield f"{entry['name']}: {words}", "red"
    if not (found["tasks"] or found["unpaired"] or found["refused"]):
        yield "nothing to compare: no task is in both runs", "red"
    for letter, names in zip("AB", found["only"], strict=True):
        if names:
            yield f"only {letter} has {', '.join(names)}", "yellow"


def power_lines(found: dict[str, Any]) -> Iterator[str]:
    """What more items would show, for each task that has not enough."""
    from olmes.comparison.power_words import power_words

    for entry in found["tasks"]:
        difference = entry["difference"]
        if difference and difference["verdict"] == "not enough data":
            yield f"{entry['name']}: {power_words(difference)}"


def why_table(why: list[dict[str, Any]]) -> Any:
    """What differs in how the numbers came about."""
    from olmes.cli.tables import blank_table

    table = blank_table("differs", "field", "A", "B", "task")
    for column in table.columns[2:]:
        column.justify, column.no_wrap, column.overflow = "left", False, "fold"
    for cause in why:
        table.add_row(cause["kind"], cause["field"], cause["a"], cause["b"], cause["task"] or "all")
    return table


def difference_table(found: dict[str, Any]) -> Any:
    """Scores, difference, interval, p-value, items won and lost, and the verdict by task."""
    from olmes.cli.tables import blank_table, percent

    table = blank_table("task", "verdict", "A", "B", "B - A", "95 % interval", "p", "won", "lost")
    for entry in [*found["tasks"], *found["unpaired"]]:
        difference = entry["difference"]
        value = difference and difference.get("difference", difference.get("value"))
        p = difference and difference.get("p_adjusted")
        # On the items of both runs, so that the columns add up.
        before = (difference or {}).get("baseline", entry["a"]["value"])
        after = (difference or {}).get("candidate", entry["b"]["value"])
        table.add_row(
            entry["name"] + ("!" if entry["mismatch"] else ""),
            (difference or {}).get("verdict", "not paired"),
            percent(before),
            percent(after),
            signed(value),
            span(difference),
            "–" if p is None else ("< .001" if p < 0.001 else f"{p:.3f}"),
            str((difference or {}).get("wins", "–")),
            str((difference or {}).get("losses", "–")),
        )
    suite = found["suite"]
    if suite and len(suite["tasks"]) > 1:
        table.add_section()
        difference = suite["difference"]
        words = f"mean of {len(suite['tasks'])}"
        table.add_row("mean", words, "", "", signed(difference["value"]), span(difference), "")
    return table


def signed(value: float | None) -> str:
    """A difference of shares in percentage points, with its sign."""
    return "–" if value is None else f"{100 * value:+.1f}"


def span(difference: dict[str, Any] | None) -> str:
    """The 95 % interval of a difference in percentage points."""
    if difference is None or difference["ci_low"] is None:
        return "–"
    return f"[{signed(difference['ci_low'])}, {signed(difference['ci_high'])}]"
