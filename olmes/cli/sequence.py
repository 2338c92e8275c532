"""What `olmes run` prints of several models: one table, a row a model."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click
from rich.table import Table

from olmes.cli.cost import cost_line
from olmes.cli.outcome import tell_altered
from olmes.cli.tables import blank_table, console
from olmes.records.reasons import why_incomplete
from olmes.records.record import Record
from olmes.records.shown import shown, shown_interval
from olmes.sequence import Member
from olmes.tools import jsonl
from olmes.types import JsonObject


def tell(member: Member) -> None:
    """Say on standard error that a model is done with, or why it has no record."""
    if member.record is None:
        click.echo(f"{member.model}: {member.trouble}", err=True)
    elif member.record.run.cost:
        click.echo(f"{member.model}: {cost_line(member.record)}", err=True)
    if member.trace:
        print(member.trace, file=sys.stderr)


def show_members(members: Sequence[Member], pages: dict[str, Path], *, as_json: bool) -> None:
    """Print every model's numbers by training step, and where the records lie."""
    tell_altered(member.record for member in members if member.record)
    if as_json:
        click.echo(jsonl.dumps([as_row(member, pages) for member in members]))
        return
    screen = console()
    screen.print(members_table(members))
    for member in members:
        if member.record is None:
            screen.print(f"! {member.model}: {member.trouble}", style="yellow", soft_wrap=True)
        else:
            for line in why_incomplete(member.record.run):
                screen.print(f"! {member.model}: {line}.", style="yellow", soft_wrap=True)
            screen.print(f"record  {member.record.folder / 'run.json'}", soft_wrap=True)


def as_row(member: Member, pages: dict[str, Path]) -> JsonObject:
    """A model's record with its place, or its name and what its trouble is."""
    if member.record is None:
        return {"model": {"name": member.model}, "record": None, "error": member.trouble}
    page = str(pages.get(member.model, ""))
    return member.record.to_json() | {
        "folder": str(member.record.folder),
        "report": page,
        "error": "",
    }


def members_table(members: Sequence[Member]) -> Table:
    """Primary metrics in percent by model, with the suite's mean where there is a suite."""
    records = [member.record for member in members if member.record]
    tasks = list(dict.fromkeys(name for record in records for name in record.tasks))
    suite = next((record.run.suite.name for record in records if record.run.suite), "")
    mean = (suite, "95 % interval") if suite else ()
    table = blank_table("model", "", "step", *mean, *tasks, "n")
    for member in members:
        if member.record is None:
            table.add_row(short(member.model), "failed", style="red")
            continue
        table.add_row(
            short(member.model),
            "" if member.complete else "incomplete",
            step(member.record),
            *suite_cells(member.record, wanted=bool(suite)),
            *(value(member.record, task) for task in tasks),
            str(sum(task.n for task in member.record.tasks.values())),
        )
    return table


def short(model: str) -> str:
    """The last two folders of a path, which tell checkpoints apart."""
    return "/".join(model.split("/")[-2:])


def step(record: Record) -> str:
    """The training step of a record's model."""
    found = record.run.model.step
    return "" if found is None else str(found)


def suite_cells(record: Record, *, wanted: bool) -> list[str]:
    """Mean and interval of a record's suite."""
    suite = record.run.suite
    if not wanted:
        return []
    if suite is None:
        return ["", ""]
    return [shown(suite.value, suite.unit), shown_interval(suite, suite.unit)]


def value(record: Record, task: str) -> str:
    """A task's primary metric."""
    found = record.tasks.get(task)
    return shown(found.score.value, found.score.unit) if found else ""
