"""`olmes reproduce`: a paper's published numbers beside those of a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from olmes.cli import options
from olmes.errors import OlmesError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from olmes.judging.judges import Written
    from olmes.models.options import EngineOptions
    from olmes.records.record import Record
    from olmes.reproduction.paper import Paper
    from olmes.reproduction.reproduce import Reproduction, Row, Section
    from olmes.reproduction.texts import RowText
    from olmes.requests.choosing import Limit


@click.command("reproduce")
@click.argument("paper")
@click.option(
    "--model", default="", metavar="TEXT", help="As for olmes run; of --runs, which model."
)
@click.option(
    "--runs", multiple=True, type=click.Path(path_type=Path),
    help="Take runs that are there and run nothing: a store, or a run's folder; may be repeated.",
)  # fmt: skip
@click.option(
    "--as", "called", default="", metavar="NAME",
    help="The published model to hold it against, such as 'Llama 3.1 8B Instruct'.",
)  # fmt: skip
@click.option(
    "--stage", type=click.Choice(["sft", "dpo", "final"]), default=None,
    help="The stage of the paper's own training; by the model's name when not given.",
)  # fmt: skip
@click.option("--size", default="", metavar="8b|70b", help="The size of the paper's own model.")
@click.option("--unseen", is_flag=True, help="The held-out suite too; to run it needs --reason.")
@click.option("--reason", default="", help="Why held-out tasks are looked at; kept in the ledger.")
@click.option("--family", default="", help="Name under which looks at held-out tasks are counted.")
@click.option("--name", default="", help="What tables and pages call the model.")
@options.limit_option
@options.data_option
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"),
    show_default=True, help="Folder of the runs' folders and of the ledger.",
)  # fmt: skip
@options.set_option
@options.judge_option
@click.option(
    "--judge-budget", type=click.IntRange(min=1), metavar="TOKENS",
    help="Tokens each judge may read and write in one run.",
)  # fmt: skip
@options.engine_options
@click.option("--html", type=click.Path(path_type=Path), help="Write an HTML page too.")
@click.option("--latex", type=click.Path(path_type=Path), help="Write LaTeX tables too (booktabs).")
@options.json_option
@options.verbose_option
def command(
    paper: str,
    model: str,
    runs: tuple[Path, ...],
    called: str,
    stage: str | None,
    size: str,
    unseen: bool,
    html: Path | None,
    latex: Path | None,
    as_json: bool,
    **given: Any,
) -> int:
    """Hold a model's scores against those that PAPER (tulu3) reports, task by task.

    Without --runs the paper's suites are run, or resumed. What is missing is named, and the mean is of
    the tasks that both have. A difference is marked where chance does not explain it and the setting is
    the reported one; where it is another, what differs is said.
    """
    from olmes.cli.outcome import tell_altered
    from olmes.reproduction.paper import choose_model, load_paper
    from olmes.reproduction.reproduce import reproduction
    from olmes.reproduction.whose import model_among

    tables = load_paper(paper)
    # A wrong name is found before anything is run.
    choose_model(tables, [model], called=called, stage=stage or "", size=size.lower())
    records = taken(runs) if runs else made(tables, model, unseen=unseen, **given)
    tell_altered(records)
    scores, note = model_among(records, model if runs else "")
    names = [scores.written, scores.name, scores.family or ""]
    chosen = choose_model(tables, names, called=called, stage=stage or "", size=size.lower())
    notes = [note] if note else []
    if scores.unseen and not unseen:
        notes.append("there are runs of held-out tasks too; --unseen shows their scores")
    found = reproduction(tables, scores, chosen, unseen=unseen, notes=notes)
    written = write(found, records, html, latex)
    show(found, written, as_json=as_json)
    return 0 if runs or all(record.complete for record in records) else 1


def taken(places: Sequence[Path]) -> list[Record]:
    """The records in some places, each once."""
    from olmes.records.record import records_in

    found = {record.folder.resolve(): record for place in places for record in records_in(place)}
    return list(found.values())


def made(
    paper: Paper,
    model: str,
    *,
    unseen: bool,
    reason: str,
    family: str,
    name: str,
    limit: Limit | None,
    data: tuple[Path, ...],
    out: Path,
    settings: tuple[str, ...],
    judge: Written,
    judge_budget: int | None,
    engine: EngineOptions,
) -> list[Record]:
    """The records of the paper's suites, run or resumed one after another.

    Raises:
        OlmesError: no model is named, or a suite cannot be run on it.
    """
    from olmes.cli.run import aloud, evaluation_of, progress_callback, write_page
    from olmes.runs.options import RunOptions
    from olmes.seal.look import Look

    if not model:
        raise OlmesError("name a model to run with --model, or runs that are there with --runs.")
    given = RunOptions(
        name=name,
        limit=limit,
        data=data,
        out=out,
        settings=options.parse_settings(settings),
        judge=judge,
        judge_budget=judge_budget,
        look=Look(reason=reason, family=family),
        **engine,
    )
    suites = [one.suite for one in paper.head.sections.values() if unseen or not one.held_out]
    evaluations = [evaluation_of(suite, (), given) for suite in suites]
    for evaluation in evaluations:
        evaluation.check()
    records, loaded = [], evaluations[0].load(model)
    for suite, evaluation in zip(suites, evaluations, strict=True):
        aloud(f"suite {suite}")
        record = evaluation.run_loaded(loaded, callback=progress_callback(None))
        if page := write_page(record):
            aloud(f"report {page}")
        records.append(record)
    return records


def write(
    found: Reproduction, records: Sequence[Record], html: Path | None, latex: Path | None
) -> list[Path]:
    """Write what was asked for; the files."""
    written = []
    if html is not None:
        from olmes.reports.reproduction_page import write_reproduction_page

        folders = {record.id: record.folder for record in records}
        written.append(write_reproduction_page(found, html, folders))
    if latex is not None:
        from olmes.reproduction.latex import latex as latex_of
        from olmes.tools import jsonl

        jsonl.write_atomically(latex, latex_of(found))
        written.append(latex)
    return written


def show(found: Reproduction, written: Sequence[Path], *, as_json: bool) -> None:
    """Print a reproduction, and where its files lie."""
    if as_json:
        from olmes.tools import jsonl
        from olmes.tools.as_json import as_json as json_of

        click.echo(jsonl.dumps(json_of(found) | {"files": [str(path) for path in written]}))
        return
    from olmes.cli.tables import console

    screen = console()
    print_found(found, screen)
    for path in written:
        screen.print(f"report  {path}", soft_wrap=True)


def print_found(found: Reproduction, screen: Console) -> None:
    """The tables, what must be known of each, and how the marks are made."""
    from olmes.cli.generalization import look_line
    from olmes.reproduction.texts import LEGEND, head_text, sentences

    screen.print(head_text(found), style="bold", soft_wrap=True)
    for section in found.sections:
        screen.print()
        screen.print(section.title, style="bold", soft_wrap=True)
        if section.held_out:
            for look in found.model.looks:
                screen.print(look_line(look), style="dim", soft_wrap=True)
        screen.print(section_table(section))
        for sentence in sentences(section):
            screen.print(sentence, soft_wrap=True)
    screen.print()
    for note in (LEGEND, *found.notes, found.chance):
        screen.print(note, style="dim", soft_wrap=True)


def section_table(section: Section) -> Table:
    """A suite's rows, their mean, and what stands beside it."""
    from olmes.cli.tables import blank_table
    from olmes.reproduction.texts import mean_text, row_text, suite_texts

    table = blank_table(
        "task", "metric", "ours", "95 % interval", "published", "difference", "tokens", "setting",
        "hash", "table",
    )  # fmt: skip
    for text, row in suite_texts(section):
        table.add_row(*cells(text), style=style_of(row))
    if section.mean is not None:
        table.add_section()
        table.add_row(*cells(mean_text(section.mean, section)), style="bold")
    if section.beside:
        table.add_section()
        for row in section.beside:
            table.add_row(*cells(row_text(row)), style=style_of(row))
    return table


def style_of(row: Row | None) -> str | None:
    """What has a mark stands out; what is missing stands back."""
    if row is None:
        return "dim"
    return "yellow" if row.marked else None


def cells(row: RowText) -> list[str]:
    """A row's cells, in the order of the columns."""
    return [
        row.task, row.metric, row.ours, row.interval, row.published, row.difference, row.tokens,
        row.setting, row.formulation, row.table,
    ]  # fmt: skip
