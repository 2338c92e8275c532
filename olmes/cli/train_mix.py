"""`olmes train mix`: a round of ablations of a mixture, its table, and the next mix proposed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from olmes.errors import OlmesError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from olmes.cli.train import Printed
    from olmes.comparison.ablations import Ablations
    from olmes.comparison.mix_rounds import MixReport, PairTable
    from olmes.trainers.mixing.recipe import Mix


def mix(
    recipe: str,
    out: Path | None,
    settings: Mapping[str, str],
    *,
    accept: bool,
    printed: Printed,
) -> None:
    """Do a round and print it; or print what it would train.

    Raises:
        OlmesError: as `read_mix` and `run_mix`.
    """
    from olmes.tools import jsonl
    from olmes.tools.as_json import as_json
    from olmes.trainers.mixing.recipe import read_mix
    from olmes.trainers.mixing.results import report_of
    from olmes.trainers.mixing.rounds import run_mix
    from olmes.trainers.stage import say_aloud

    if printed.launch_line:
        raise OlmesError("a mix is many trainings; its launch lines are printed as it runs them.")
    found = read_mix(recipe, settings)
    if printed.show:
        click.echo(resolved(found))
        return
    folder = out or Path("trained") / found.name
    run_mix(found, folder, accept=accept, settings=dict(settings), say=say_aloud)
    report = report_of(found, folder)
    if printed.as_json:
        click.echo(jsonl.dumps(as_json(report)))
    else:
        print_report(report)


def resolved(found: Mix) -> str:
    """The variants and their rows, and the recipe of the full mixture, as JSON."""
    import json

    from olmes.trainers.recipes.identity import to_json

    shown = {
        "name": found.name,
        "round": found.mixing.round,
        "rounds": found.mixing.rounds,
        "seeds": found.mixing.seeds,
        "trainings": found.mixing.seeds * len(found.variants),
        "variants": {one.variant.name: dict(one.variant.rows) for one in found.variants},
        "recipe": to_json(found.recipe),
    }
    return json.dumps(shown, indent=1, ensure_ascii=False)


def print_report(report: MixReport) -> None:
    """The newest round, and how the full mixes of the rounds compare."""
    from olmes.cli.tables import console
    from olmes.comparison.mix_rounds import (
        DEV_ALONE,
        DEV_DECIDES,
        advice_line,
        notes_of,
        pair_table,
        rows_text,
    )

    screen, last = console(), report.rounds[-1]
    screen.print(f"{report.name}, {report.stage}, round {last.number}", style="bold")
    screen.print(ablation_table(last.dev))
    print_notes(screen, [f"rows of the full mix: {rows_text(last.dev.rows[0])}"])
    print_notes(screen, notes_of(last.dev))
    if last.unseen:
        if pairs := pair_table(last):
            screen.print("dev beside unseen", style="bold")
            screen.print(pairs_table(pairs))
        screen.print("unseen", style="bold")
        screen.print(ablation_table(last.unseen))
        print_notes(screen, notes_of(last.unseen))
    if report.over_rounds:
        screen.print("from round to round", style="bold")
        screen.print(ablation_table(report.over_rounds))
    screen.print(
        f"proposed; {DEV_DECIDES if last.unseen else DEV_ALONE}", style="bold", soft_wrap=True
    )
    for advice in last.advice:
        screen.print(
            f"  {advice_line(advice)}", style="yellow" if advice.changes else None, soft_wrap=True
        )
    screen.print(f"next    {report.proposed}", soft_wrap=True)


def print_notes(screen: Console, notes: list[str]) -> None:
    """What must be known of a table."""
    for note in notes:
        screen.print(note, style="dim", soft_wrap=True)


def ablation_table(found: Ablations) -> Table:
    """A row a variant, a column a task."""
    from olmes.cli.tables import blank_table
    from olmes.comparison.mix_rounds import cell_of, head_of

    kinds = {"leave_one_out": "without", "double_one": "doubled"}
    table = blank_table("mix", "source", *map(head_of, found.columns))
    for row in found.rows:
        cells = [cell_of(row, column).line for column in found.columns]
        variant = row.variant
        table.add_row(kinds.get(variant.kind, variant.name), variant.source, *cells)
    table.add_section()
    table.add_row("n", "", *(f"{column.n:,}" for column in found.columns))
    return table


def pairs_table(pairs: PairTable) -> Table:
    """Development beside unseen."""
    from olmes.cli.tables import blank_table

    first, *others = pairs.heads
    table = blank_table(first, "", *others)
    for name, *cells in pairs.rows:
        table.add_row(name, "", *cells)
    return table
