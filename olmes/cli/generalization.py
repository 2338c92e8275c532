"""`olmes generalization`: development and held-out scores side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from olmes.cli import options
from olmes.records.shown import shown

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from olmes.comparison.generalization import Generalization, OverModels
    from olmes.comparison.model_scores import PastLook
    from olmes.records.record import Record
    from olmes.records.schema import DiagnosisCounts


@click.command("generalization")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--base",
    metavar="RUN_OR_MODEL",
    help="What changes are counted from; by default the model that the others came from.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Write a page too, or its numbers: .html, .csv, .json, .parquet.",
)
@options.json_option
@options.verbose_option
def command(runs: tuple[Path, ...], base: str | None, output: Path | None, as_json: bool) -> None:
    """Hold the held-out scores of RUNS against the development scores of the same models.

    RUNS are folders of runs, or a folder that holds some; checkpoints in the order of training.
    """
    from olmes.cli.outcome import tell_altered
    from olmes.comparison.generalization import generalization
    from olmes.export.formats import FRAMES, format_of
    from olmes.tools import jsonl
    from olmes.tools.as_json import as_json as json_of

    form = format_of(output, FRAMES) if output else "html"
    records = records_of(runs, base)
    tell_altered(records)
    found = generalization(records, base=base)
    if output is not None:
        if form != "html":
            from olmes.reports.difference_frame import write_found

            write_found(found, form, output)
        else:
            from olmes.reports.generalization_page import write_generalization_page

            folders = {record.id: record.folder for record in records}
            write_generalization_page(found, output, folders)
    if as_json:
        click.echo(jsonl.dumps(json_of(found)))
        return
    from olmes.cli.tables import console

    print_found(found, console())
    if output is not None:
        console().print(f"report  {output}", soft_wrap=True)


def records_of(places: tuple[Path, ...], base: str | None) -> list[Record]:
    """The records in some places, and those of a base that is a place of its own."""
    from olmes.records.record import records_in

    records = [record for place in places for record in records_in(place)]
    if base is not None and (place := Path(base)).exists():
        there = {record.folder.resolve() for record in records}
        records += [one for one in records_in(place) if one.folder.resolve() not in there]
    return records


def print_found(found: Generalization, screen: Console) -> None:
    """Everything that is said of the models."""
    for model in found.models:
        screen.print(model.name, style="bold", soft_wrap=True)
        for look in model.looks:
            screen.print(look_line(look), style="dim", soft_wrap=True)
    base = found.models[found.base.index].name
    screen.print(f"base  {base} ({found.base.why})", soft_wrap=True)
    for pair in [*found.pairs, found.suites]:
        if pair.anything:
            print_pair(found, pair, screen)
    if found.not_run:
        screen.print(f"not run: {'; '.join(found.not_run)}", soft_wrap=True)
    if any(found.diagnosis):
        for model, tasks in zip(found.models, found.diagnosis, strict=True):
            if tasks:
                screen.print(f"what the format cost {model.name}", soft_wrap=True)
                screen.print(diagnosis_table(tasks))
    screen.print(found.no_zero, style="dim", soft_wrap=True)
    screen.print(found.conditional, style="dim", soft_wrap=True)


def look_line(look: PastLook) -> str:
    """How often the model's family was looked at, and what its development score was then."""
    from olmes.cli.outcome import look_words

    return f"looked at {look.time} ({look.reason}): {look_words(look)}"


def print_pair(found: Generalization, pair: OverModels, screen: Console) -> None:
    """One pair: a row a model, then what there is to say."""
    from olmes.comparison.pair_texts import line_sentences, row_texts, title_of

    screen.print()
    screen.print(title_of(pair), style="bold", soft_wrap=True)
    screen.print(scores_table(found, pair))
    if any(row.change for row in pair.rows):
        screen.print(f"moved from {found.models[found.base.index].name}", soft_wrap=True)
        screen.print(changes_table(found, pair))
    for model, row in zip(found.models, pair.rows, strict=True):
        for sentence in row_texts(row).sentences:
            screen.print(f"{model.name}: {sentence}", soft_wrap=True)
    for sentence in line_sentences(pair):
        screen.print(sentence, soft_wrap=True)


def scores_table(found: Generalization, pair: OverModels) -> Table:
    """The scores of both halves, and of a rewritten exam."""
    from olmes.cli.tables import blank_table
    from olmes.comparison.pair_texts import row_texts

    rewritten = any(row.rewritten for row in pair.rows)
    columns = ["dev", "unseen", *(["rewritten", "unseen less rewritten"] if rewritten else [])]
    table = blank_table("", "model", *columns)
    for number, (model, row) in enumerate(zip(found.models, pair.rows, strict=True)):
        texts = row_texts(row)
        cells = [texts.dev, texts.unseen]
        cells += [texts.rewritten, texts.remembered] if rewritten else []
        base = "base" if number == found.base.index else ""
        table.add_row(base, model.name, *(cell.lines for cell in cells))
    return table


def changes_table(found: Generalization, pair: OverModels) -> Table:
    """How far both halves moved from the base, the difference of these, and the gap beside it."""
    from olmes.cli.tables import blank_table
    from olmes.comparison.pair_texts import row_texts

    columns = ("dev moved", "unseen moved", "dev less unseen", "in log-odds", "gap")
    table = blank_table("", "model", *columns)
    for number, (model, row) in enumerate(zip(found.models, pair.rows, strict=True)):
        texts = row_texts(row)
        cells = [texts.dev_change, texts.unseen_change, texts.difference, texts.log_odds, texts.gap]
        base = "base" if number == found.base.index else ""
        table.add_row(base, model.name, *(cell.lines for cell in cells))
    return table


def diagnosis_table(tasks: Mapping[str, DiagnosisCounts]) -> Table:
    """What the format cost, by task."""
    from olmes.cli.tables import blank_table

    flags = ["refusal", "truncated"]
    if any(found.flags.get("unfinished_thinking") for found in tasks.values()):
        flags.append("unfinished_thinking")
    heads = [flag.replace("_thinking", "") for flag in flags]
    table = blank_table("task", "lost to", "n", "wrong", "lost to format", *heads)
    for name, found in tasks.items():
        reasons = ", ".join(f"{why} {count}" for why, count in found.lost_by.items())
        share = None if found.lost is None or not found.n else found.lost / found.n
        table.add_row(
            name,
            reasons or ("no lenient reading" if found.lost is None else "–"),
            str(found.n),
            str(found.wrong),
            "–" if share is None else f"{found.lost} ({shown(share, 'share')} %)",
            *(str(found.flags.get(flag, 0)) for flag in flags),
        )
    return table
