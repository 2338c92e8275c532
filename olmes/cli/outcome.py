"""What `olmes run` prints when a run is over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from olmes.cli.cost import cost_line
from olmes.cli.tables import console, interval, legend, percent, record_table
from olmes.records.record import Record
from olmes.tools import jsonl


def show_outcome(record: Record, page: Path, *, as_json: bool) -> None:
    """Print a record's numbers, what must be known about them, and where everything lies."""
    if as_json:
        click.echo(jsonl.dumps(record.data | {"folder": str(record.folder), "report": str(page)}))
        return
    screen = console()
    screen.print(record_table(record))
    screen.print(legend(record.tasks), style="dim")
    if held := record.data["held_out"]:
        for line in look_lines(held, record):
            screen.print(line, soft_wrap=True)
    for warning in record.data["warnings"]:
        screen.print(f"! {warning}", style="yellow", soft_wrap=True)
    if cost := cost_line(record):
        screen.print(f"cost    {cost}", soft_wrap=True, style="dim")
    screen.print(f"record  {record.folder / 'run.json'}", soft_wrap=True)
    screen.print(f"report  {page}", soft_wrap=True)


def look_lines(held: dict[str, Any], record: Record) -> list[str]:
    """How many looks went before this one, what the development score was, and what is sealed."""
    lines = [f"held out  {look_words(held)} (ledger line {held['ledger']['number']})"]
    if sealed := [name for name in held["sealed"] if record.sealed(name)]:
        lines.append(
            f"sealed    samples of {', '.join(sealed)}; to open them is a look: "
            f'olmes unseal {record.folder} --reason "..."'
        )
    return lines


def look_words(held: dict[str, Any]) -> str:
    """How many looks went before one, and what the development score was then."""
    before = held["looks_before"]
    looks = f"{before} {'look' if before == 1 else 'looks'}"
    return f"the family {held['family']} had {looks} before this one; {dev_words(held['dev'])}"


def dev_words(dev: dict[str, Any] | None) -> str:
    """The development score a model had when it was looked at."""
    if dev is None or dev["value"] is None:
        return "no development score of these weights was in the store then"
    incomplete = "" if dev["complete"] else ", incomplete"
    return f"{dev['suite']} score then {percent(dev['value'])} {interval(dev)}{incomplete}"
