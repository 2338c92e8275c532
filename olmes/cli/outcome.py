"""What `olmes run` prints when a run is over."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from olmes.cli.cost import cost_line
from olmes.cli.tables import console, legend, print_repeats, record_table
from olmes.comparison.eligibility import Kind, reservations
from olmes.comparison.overlap import run_overlap
from olmes.comparison.overlap_words import overlap_lines
from olmes.records.record import Record
from olmes.records.schema import DevScore, HeldOut
from olmes.records.shown import shown, shown_interval
from olmes.seal.ledger import Ledger
from olmes.seal.look import look_of
from olmes.tools import jsonl
from olmes.tools.notices import SAID

if TYPE_CHECKING:
    from olmes.comparison.model_scores import PastLook


UNSAID: frozenset[Kind] = frozenset(("demo data", "limited"))
"""What the table and the warnings of a run do not say of its numbers."""


def show_outcome(record: Record, page: Path | None, *, as_json: bool) -> None:
    """Print a record's numbers, what must be known about them, and where everything lies."""
    tell_altered([record])
    if as_json:
        click.echo(
            jsonl.dumps(
                record.to_json() | {"folder": str(record.folder), "report": str(page or "")}
            )
        )
        return
    screen = console()
    screen.print(record_table(record))
    screen.print(legend(record.tasks), style="dim")
    print_repeats(screen, record.tasks)
    for remark in remarks(record):
        screen.print(remark.line(), style=remark.style, soft_wrap=True)
    if cost := cost_line(record):
        screen.print(f"cost    {cost}", soft_wrap=True, style="dim")
    screen.print(f"record  {record.folder / 'run.json'}", soft_wrap=True)
    if page is not None:
        screen.print(f"report  {page}", soft_wrap=True)


@dataclass(frozen=True, slots=True)
class Remark:
    """A line below the table that a reader of its numbers must see."""

    mark: str
    """What it begins with."""
    sentence: str
    style: str | None = None

    def line(self, model: str = "") -> str:
        """As it is printed; of one of several models with its label."""
        return f"{self.mark} {f'{model}: ' if model else ''}{self.sentence}"


def remarks(record: Record) -> list[Remark]:
    """What must be known of a record's numbers: overlap, looks, what they are not, warnings."""
    overlap = run_overlap(record)
    found = [
        Remark("overlap  ", line, None if overlap.marked else "dim")
        for line in overlap_lines(overlap)
    ]
    if held := record.run.held_out:
        found += look_lines(held, record)
    if record.run.gated:
        names = ", ".join(record.run.gated)
        found.append(Remark("gated    ", f"samples of {names} stay packed, in no report or export"))
    found += [
        Remark("!", one.sentence, "yellow")
        for one in reservations(record.run)
        if one.kind in UNSAID
    ]
    warnings = [one for one in record.run.warnings if one not in SAID]  # else when it happened
    return found + [Remark("!", warning, "yellow") for warning in warnings]


def tell_altered(records: Iterable[Record]) -> None:
    """Say of each record that it was changed, where a person who reads its numbers sees it."""
    for record in records:
        if record.altered:
            click.echo(f"! {record.altered}", err=True)


def look_lines(held: HeldOut, record: Record) -> list[Remark]:
    """How many looks went before this one, what the development score was, and what is sealed."""
    where = f"ledger line {held.ledger.number}"
    entry = look_of(held, Ledger(record.folder.resolve().parent).entries()) or {}
    if elsewhere := entry.get("elsewhere"):
        where += f"; {elsewhere} of them in other stores"
    lines = [Remark("held out ", f"{look_words(held)} ({where})")]
    to_open = [name for name in held.sealed if name not in record.run.gated]
    if sealed := [name for name in to_open if record.sealed(name)]:
        samples = f"samples of {', '.join(sealed)}; to open them is a look"
        command = f'olmes unseal {record.folder} --reason "..."'
        lines.append(Remark("sealed   ", f"{samples}: {command}"))
    return lines


def look_words(look: HeldOut | PastLook) -> str:
    """How many looks went before one, and what the development score was then."""
    before = look.looks_before
    looks = f"{before} {'look' if before == 1 else 'looks'}"
    return f"the family {look.family} had {looks} before this one; {dev_words(look.dev)}"


def dev_words(dev: DevScore | None) -> str:
    """The development score a model had when it was looked at."""
    if dev is None or dev.value is None:
        return "no development score of these weights was in the store then"
    incomplete = "" if dev.complete else ", incomplete"
    score = f"{shown(dev.value, dev.unit)} {shown_interval(dev, dev.unit)}"
    return f"{dev.suite} score then {score}{incomplete}"
