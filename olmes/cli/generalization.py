"""`olmes generalization`: development and held-out scores side by side."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import click

from olmes.cli import options


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

    records = [record for place in runs for record in records_in(place)]
    found = generalization(records)
    if output is not None:
        page = importlib.import_module("olmes.reports.generalization_page")
        page.write_generalization_page(
            found, output, {record.id: record.folder for record in records}
        )
    if as_json:
        click.echo(jsonl.dumps(found))
        return
    from olmes.cli.tables import console

    screen = console()
    for number, model in enumerate(found["models"]):
        screen.print(model["name"], style="bold", soft_wrap=True)
        for look in model["looks"]:
            screen.print(look_line(look), style="dim", soft_wrap=True)
        screen.print(pairs_table(found, number))
        screen.print(diagnosis_table(found["diagnosis"][number]))
    for line in carried_lines(found):
        screen.print(line, soft_wrap=True)
    if output is not None:
        screen.print(f"report  {output}", soft_wrap=True)


def look_line(look: dict[str, Any]) -> str:
    """How often the model's family was looked at, and what its development score was then."""
    from olmes.cli.outcome import look_words

    return f"looked at {look['time']} ({look['reason']}): {look_words(look)}"


def pairs_table(found: dict[str, Any], number: int) -> Any:
    """The pairs of one model: development score, held-out score, gap and its interval."""
    from olmes.cli.tables import blank_table, interval, percent

    table = blank_table(
        "held against", "unseen task", "dev", "unseen", "gap", "95 % interval", "left out"
    )
    named = [(", ".join(pair["dev"]), pair["unseen"], pair) for pair in found["pairs"]]
    for dev, unseen, pair in [*named, ("suite", "suite", found["suites"])]:
        row = pair["rows"][number]
        gap = row["gap"]
        table.add_row(
            dev,
            unseen,
            percent(row["dev"] and row["dev"]["value"]),
            percent(row["unseen"] and row["unseen"]["value"]),
            percent(gap and gap["value"]),
            interval(gap) if gap else "–",
            ", ".join(row["left_out"]) or "–",
        )
    return table


def diagnosis_table(tasks: dict[str, Any]) -> Any:
    """What the format cost, by task."""
    from olmes.cli.tables import blank_table, percent

    table = blank_table("task", "lost to", "n", "wrong", "lost to format", "refusal", "truncated")
    for name, found in tasks.items():
        reasons = ", ".join(f"{why} {count}" for why, count in found["lost_by"].items())
        lost = found["lost"]
        share = None if lost is None or not found["n"] else lost / found["n"]
        table.add_row(
            name,
            reasons or ("no lenient reading" if lost is None else "–"),
            str(found["n"]),
            str(found["wrong"]),
            "–" if share is None else f"{lost} ({percent(share)} %)",
            str(found["flags"]["refusal"]),
            str(found["flags"]["truncated"]),
        )
    return table


def carried_lines(found: dict[str, Any]) -> list[str]:
    """Whether development gains carry over, a line a pair."""
    lines = []
    for pair in [*found["pairs"], {**found["suites"], "dev": ["suite"], "unseen": "suite"}]:
        name = f"{', '.join(pair['dev'])} → {pair['unseen']}"
        lines.append(f"{name}: {pair['in_words']}")
    return lines
