"""`olmes ledger`: every look at held-out tasks, and whether the ledger is whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from olmes.cli import options

if TYPE_CHECKING:
    from rich.table import Table

    from olmes.records.schema import DevScore
    from olmes.seal.ledger import Entry

LOOKED = {
    "run": "scores",
    "unseal": "samples",
    "show": "items",
    "check": "items",
    "score": "scores of recorded responses",
}
"""What each kind of look showed."""


@click.command("ledger")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"),
    show_default=True, help="Folder of the runs' folders.",
)  # fmt: skip
@options.json_option
@options.verbose_option
def command(out: Path, as_json: bool) -> int:
    """Print the looks at held-out tasks and check the ledger and every run under seal.

    Exit status 1 when something is not as it was written. That a line is dated before the one it
    follows is said: a clock was wrong then.
    """
    from olmes.seal.ledger import Ledger
    from olmes.seal.verify import backward_steps, verify
    from olmes.tools import jsonl

    entries = Ledger(out).entries()
    problems, notes = verify(out), backward_steps(entries)
    if as_json:
        head = entries[-1].get("hash") if entries else None
        found = {"entries": entries, "head": head, "problems": problems, "notes": notes}
        click.echo(jsonl.dumps(found))
        return 1 if problems else 0
    from olmes.cli.tables import console

    screen = console()
    if entries:
        table = looks_table(entries)
        screen.print(table if table.row_count else "no looks")
        for said in overlap_lines(entries):
            screen.print(said, soft_wrap=True)
        screen.print(f"head  {entries[-1].get('hash')}", style="dim", soft_wrap=True)
    else:
        screen.print(f"no looks: {out} has no ledger", soft_wrap=True)
    for problem in problems:
        screen.print(f"! {problem}", style="bold red", soft_wrap=True)
    for note in notes:
        screen.print(f"! {note}", style="yellow", soft_wrap=True)
    if entries and not problems:
        whole = "" if notes else "whole: "
        screen.print(f"{whole}every line follows the one before, every run is as it was written")
    return 1 if problems else 0


def looks_table(entries: Sequence[Entry]) -> Table:
    """A table of the looks; results are not looks and are left out."""
    from olmes.cli.tables import blank_table
    from olmes.records.check import FieldError
    from olmes.seal.look import LOOKS

    table = blank_table("line", "time (UTC)", "look", "by", "family", "before", "reason", "then")
    for column in table.columns[2:]:
        column.justify, column.no_wrap = "left", False
    for entry in entries:
        if entry.get("event") in LOOKS:
            try:
                row = look_row(entry)
            except (KeyError, TypeError, AttributeError, FieldError):
                row = (str(entry.get("number", "?")), "?", "not as it was written")
            table.add_row(*row)
    return table


def overlap_lines(entries: Sequence[Entry]) -> Iterator[str]:
    """A sentence for each count of held-out items in training data, which is no look."""
    from olmes.seal.counted_overlap import EVENT, overlap_words

    for entry in entries:
        if entry.get("event") == EVENT:
            demo = " (demo data)" if entry.get("sample_data") else ""
            yield (
                f"line {entry.get('number')}, {entry.get('time')}, {entry.get('who')}: "
                f"{overlap_words(entry)}{demo}"
            )


def look_row(entry: Entry) -> tuple[str, ...]:
    """A look's row of the table."""
    from olmes.cli.outcome import dev_words

    looked = LOOKED[entry["event"]]
    asker = "" if entry["asked_by"] == "person" else f" ({entry['asked_by']})"
    demo = " (demo data)" if entry["sample_data"] else ""
    return (
        str(entry["number"]),
        entry["time"].replace("T", " ").removesuffix("Z"),
        f"{looked} of {', '.join(entry['tasks'])}{demo}",
        entry["who"] + asker,
        entry["family"] or "any",
        before(entry),
        entry["reason"],
        dev_words(dev_score(entry)) if "dev" in entry else entry["run"],
    )


def before(entry: Entry) -> str:
    """How many looks went before, and how many of them in other stores."""
    elsewhere = entry.get("elsewhere")
    return str(entry["looks_before"]) + (f" ({elsewhere} elsewhere)" if elsewhere else "")


def dev_score(entry: Entry) -> DevScore | None:
    """The development score that a line of the ledger names.

    Raises:
        FieldError: it is not as it was written.
    """
    from olmes.records.check import converted
    from olmes.records.schema import DevScore

    return converted(entry["dev"], DevScore) if entry["dev"] else None
