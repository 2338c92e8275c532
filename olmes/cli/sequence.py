"""What `olmes run` prints of several models: one table, and what must be known of its numbers."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
from rich.console import Console

from olmes.cli.cost import cost_line
from olmes.cli.outcome import remarks, tell_altered
from olmes.cli.tables import console, legend, models_table, print_repeats, recorded_numbers
from olmes.records.record import Record
from olmes.records.schema import TaskResult
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
    """Print every model's numbers by training step, what they are not, and where the records lie."""
    tell_altered(member.record for member in members if member.record)
    if as_json:
        click.echo(jsonl.dumps([as_row(member, pages) for member in members]))
        return
    screen = console()
    records = dict(zip(labels(members), (member.record for member in members), strict=True))
    there = {label: record for label, record in records.items() if record}
    if there:
        print_scores(screen, there)
        print_repeats(screen, {f"{name}: {task}": one for name, task, one in repeating(there)})
    for line, style in said(there):
        screen.print(line, style=style, soft_wrap=True)
    for label, member in zip(records, members, strict=True):
        if member.record is None:
            screen.print(f"! {label}: {member.trouble}", style="yellow", soft_wrap=True)
        else:
            screen.print(f"record  {member.record.folder / 'run.json'}", soft_wrap=True)


def print_scores(screen: Console, records: Mapping[str, Record]) -> None:
    """Print the table of some records, by what each is called, and what its signs mean."""
    screen.print(models_table([recorded_numbers(one, name) for name, one in records.items()]))
    words = legend(*(record.tasks for record in records.values()), primary=True)
    if words:
        screen.print(words, style="dim")


def said(records: Mapping[str, Record]) -> list[tuple[str, str | None]]:
    """The remarks on some records, each with its style; what is said of all of them once."""
    found = {label: remarks(record) for label, record in records.items()}
    everywhere = Counter(remark for own in found.values() for remark in own)
    lines = [
        (remark.line("" if everywhere[remark] == len(records) else label), remark.style)
        for label, own in found.items()
        for remark in own
    ]
    return list(dict.fromkeys(lines))


def repeating(records: Mapping[str, Record]) -> list[tuple[str, str, TaskResult]]:
    """Label, task and numbers of the tasks whose items have several responses."""
    return [
        (label, name, task)
        for label, record in records.items()
        for name, task in record.tasks.items()
        if task.repeats
    ]


def labels(members: Sequence[Member]) -> list[str]:
    """What tables call each model: its name, without the folders that all of them lie in.

    Models of one name are told apart by what the command said.
    """
    names = [member.record.run.model.name if member.record else member.model for member in members]
    times = Counter(names)
    names = [
        member.model if times[name] > 1 else name
        for name, member in zip(names, members, strict=True)
    ]
    split = [name.split("/") for name in names]
    shared = 0
    for parts in zip(*(one[:-1] for one in split), strict=False):
        if len(set(parts)) > 1:
            break
        shared += 1
    return ["/".join(one[shared:]) for one in split] if len(names) > 1 else names


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
