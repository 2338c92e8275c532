"""`olmes generalization`: development and held-out scores side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from olmes.cli import options
from olmes.records.shown import interval, shown

if TYPE_CHECKING:
    from rich.table import Table

    from olmes.comparison.generalization import Generalization, OverModels, PastLook
    from olmes.records.schema import DiagnosisCounts
    from olmes.types import Unit


@click.command("generalization")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write an HTML page too.")
@options.json_option
@options.verbose_option
def command(runs: tuple[Path, ...], output: Path | None, as_json: bool) -> None:
    """Hold the held-out scores of RUNS against the development scores of the same models.

    RUNS are folders of runs, or a folder that holds some; checkpoints in the order of training.
    """
    from olmes.comparison.generalization import generalization
    from olmes.records.record import records_in
    from olmes.tools import jsonl
    from olmes.tools.as_json import as_json as json_of

    records = [record for place in runs for record in records_in(place)]
    found = generalization(records)
    if output is not None:
        from olmes.reports.generalization_page import write_generalization_page

        write_generalization_page(found, output, {record.id: record.folder for record in records})
    if as_json:
        click.echo(jsonl.dumps(json_of(found)))
        return
    from olmes.cli.tables import console

    screen = console()
    for number, model in enumerate(found.models):
        screen.print(model.name, style="bold", soft_wrap=True)
        for look in model.looks:
            screen.print(look_line(look), style="dim", soft_wrap=True)
        screen.print(pairs_table(found, number))
        screen.print(diagnosis_table(found.diagnosis[number]))
    for line in carried_lines(found):
        screen.print(line, soft_wrap=True)
    if output is not None:
        screen.print(f"report  {output}", soft_wrap=True)


def look_line(look: PastLook) -> str:
    """How often the model's family was looked at, and what its development score was then."""
    from olmes.cli.outcome import look_words

    return f"looked at {look.time} ({look.reason}): {look_words(look)}"


def pairs_table(found: Generalization, number: int) -> Table:
    """The pairs of one model: development score, held-out score, gap and its interval."""
    from olmes.cli.tables import blank_table

    table = blank_table(
        "held against", "unseen task", "dev", "unseen", "gap", "95 % interval", "left out"
    )
    for dev, unseen, pair in named(found):
        row = pair.rows[number]
        unit: Unit = "number" if "number" in row.units else "share"
        gap = row.gap
        table.add_row(
            dev,
            unseen,
            shown(row.dev.value if row.dev else None, row.units[0]),
            shown(row.unseen.value if row.unseen else None, row.units[1]),
            shown(gap.value if gap else None, unit),
            interval(gap.ci_low, gap.ci_high, unit) if gap else "–",
            ", ".join(row.left_out) or "–",
        )
    return table


def named(found: Generalization) -> list[tuple[str, str, OverModels]]:
    """The pairs with their names, then the suites."""
    pairs: list[tuple[str, str, OverModels]] = [
        (", ".join(pair.dev), pair.unseen, pair) for pair in found.pairs
    ]
    return [*pairs, ("suite", "suite", found.suites)]


def diagnosis_table(tasks: Mapping[str, DiagnosisCounts]) -> Table:
    """What the format cost, by task."""
    from olmes.cli.tables import blank_table

    table = blank_table("task", "lost to", "n", "wrong", "lost to format", "refusal", "truncated")
    for name, found in tasks.items():
        reasons = ", ".join(f"{why} {count}" for why, count in found.lost_by.items())
        share = None if found.lost is None or not found.n else found.lost / found.n
        table.add_row(
            name,
            reasons or ("no lenient reading" if found.lost is None else "–"),
            str(found.n),
            str(found.wrong),
            "–" if share is None else f"{found.lost} ({shown(share, 'share')} %)",
            str(found.flags.get("refusal", 0)),
            str(found.flags.get("truncated", 0)),
        )
    return table


def carried_lines(found: Generalization) -> list[str]:
    """Whether development gains carry over, a line a pair."""
    return [f"{dev} → {unseen}: {pair.in_words}" for dev, unseen, pair in named(found)]
