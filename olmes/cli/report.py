"""`olmes report`: records as a page or as a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from olmes.cli import options

if TYPE_CHECKING:
    from olmes.export.table import TableOptions
    from olmes.records.record import Record
    from olmes.types import JsonObject

View = Literal["run", "leaderboard", "checkpoints", "generalization"]
FORMATS = ("html", "md", "csv", "latex", "parquet", "json")


@click.command("report")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="[default: RUN/report.html]")
@click.option(
    "--as", "view", type=click.Choice(["run", "leaderboard", "checkpoints", "generalization"]),
    help="Which page or table; by default a run's own for one run, the checkpoints of runs that all "
    "are of trainings, else a leaderboard.",
)  # fmt: skip
@click.option(
    "--format", "form", type=click.Choice(FORMATS),
    help="By default what the output's name says, else html.",
)  # fmt: skip
@click.option(
    "--log", type=click.Path(path_type=Path),
    help="Training log beside the scores: trainer_state.json, or JSON lines with `step`.",
)  # fmt: skip
@click.option(
    "--columns", help="md, latex: which columns, in this order: tasks and `mean`, as a,b,c."
)
@click.option("--sort", help="md, latex: the column that rows are sorted by, the best first.")
@click.option("--caption", help="md, latex: in place of the title.")
@click.option("--label", help="latex: of the first table.  [default: tab:TITLE]")
@click.option(
    "--differences", "between", is_flag=True,
    help="csv, parquet, json: not the scores but what the page says between runs.",
)  # fmt: skip
@options.json_option
@options.verbose_option
def command(
    runs: tuple[Path, ...],
    output: Path | None,
    view: View | None,
    form: str | None,
    log: Path | None,
    columns: str | None,
    sort: str | None,
    caption: str | None,
    label: str | None,
    between: bool,
    as_json: bool,
) -> None:
    """Write RUNS (folders of runs, or folders that hold some) as a self-contained page or a table.

    Tables (md, csv, latex, parquet, json) go to the screen when no output is named. docs/analysis.md
    says what their columns hold.
    """
    from olmes.cli.outcome import tell_altered
    from olmes.export.formats import FRAMES, format_of
    from olmes.export.table import TableOptions
    from olmes.records.record import records_in
    from olmes.tools import jsonl

    form = form or (format_of(output) if output else "html")
    names = tuple(filter(None, map(str.strip, (columns or "").split(","))))
    chosen = TableOptions(caption or "", label or "", names, sort or "")
    if chosen != TableOptions() and form not in ("md", "latex"):
        raise click.UsageError(
            f"--columns, --sort, --caption and --label are for md and latex, not for {form}."
        )
    if between and form not in FRAMES:
        raise click.UsageError(f"--differences is for {', '.join(FRAMES)}, not for {form}.")
    records = [record for place in runs for record in records_in(place)]
    tell_altered(records)
    if form == "html":
        page: Path | None = write_page(records, view or default_view(records), output, log)
    else:
        text = table_text(records, view, form, output, chosen, between=between)
        if text is not None:
            click.echo(text, nl=False)
            return
        page = output
    click.echo(jsonl.dumps({"report": str(page)}) if as_json else f"report  {page}")


def default_view(records: Sequence[Record]) -> View:
    """What is shown of records when nobody says it."""
    from olmes.reports.checkpoint_table import of_trainings

    if len(records) == 1:
        return "run"
    return "checkpoints" if of_trainings(records) else "leaderboard"


def table_text(
    records: Sequence[Record],
    view: View | None,
    form: str,
    output: Path | None,
    chosen: TableOptions,
    *,
    between: bool,
) -> str | None:
    """Records as a table: written to `output`, or returned.

    Raises:
        OlmesError: there is no such table of these records.
    """
    from olmes.errors import OlmesError
    from olmes.export.formats import delivered, export

    view = view or default_view(records)
    if between:
        from olmes.reports.difference_frame import write_differences

        if view == "run":
            raise OlmesError("one run has no differences; give several.")
        return write_differences(records, view, form, output)  # type: ignore[arg-type]
    if form in ("md", "latex") and view == "checkpoints":
        from olmes.reports import checkpoint_table

        write = (
            checkpoint_table.checkpoints_markdown
            if form == "md"
            else checkpoint_table.checkpoints_latex
        )
        return delivered(write(checkpoint_table.by_step(records), chosen), output)
    return export(records, form, output, chosen)  # type: ignore[arg-type]


def training_log(path: Path) -> list[JsonObject]:
    """The rows of a training's log: a trainer's `log_history`, or JSON lines.

    Raises:
        OlmesError: the file is missing or holds neither.
    """
    from olmes.errors import OlmesError
    from olmes.tools import jsonl

    if path.name == "trainer_state.json":
        rows: list[JsonObject] = json.loads(jsonl.read_text(path)).get("log_history", [])
    else:
        rows = list(jsonl.read(path))
    if not all(isinstance(row, dict) for row in rows):
        raise OlmesError(f"{path} is not a training log; give one JSON object a line, with `step`.")
    return rows


def write_page(
    records: Sequence[Record], view: View, output: Path | None, log: Path | None = None
) -> Path:
    """Write a page; by default a run's lies in its folder, any other here.

    Raises:
        OlmesError: the page of a run is asked for and there are several runs.
    """
    from olmes.errors import OlmesError

    if view == "run":
        from olmes.reports.run_page import write_run_page

        if len(records) != 1:
            raise OlmesError(f"the page of a run is of one run, not {len(records)}; name one.")
        page = output or records[0].folder / "report.html"
        write_run_page(records[0].folder, page)
    elif view == "generalization":
        from olmes.comparison.generalization import generalization
        from olmes.reports.generalization_page import write_generalization_page

        page = output or Path("generalization.html")
        folders = {record.id: record.folder for record in records}
        write_generalization_page(generalization(records), page, folders)
    elif view == "leaderboard":
        from olmes.reports.leaderboard_page import write_leaderboard_page

        page = output or Path("leaderboard.html")
        write_leaderboard_page(records, page)
    else:
        from olmes.reports.checkpoint_table import by_step
        from olmes.reports.checkpoints_page import write_checkpoints_page

        page = output or Path("checkpoints.html")
        rows = training_log(log) if log else ()
        write_checkpoints_page(by_step(records), page, log=rows)
    return page
