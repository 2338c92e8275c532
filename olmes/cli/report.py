"""`olmes report`: records as a page or as a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from olmes.cli import options

if TYPE_CHECKING:
    from olmes.records.record import Record
    from olmes.types import JsonObject

View = Literal["run", "leaderboard", "checkpoints", "generalization"]
FORMATS = ("html", "md", "csv", "latex", "parquet", "json")


@click.command("report")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="[default: RUN/report.html]")
@click.option(
    "--as", "view", type=click.Choice(["run", "leaderboard", "checkpoints", "generalization"]),
    help="Which page; by default a run's own for one run, else a leaderboard.",
)  # fmt: skip
@click.option(
    "--format", "form", type=click.Choice(FORMATS),
    help="By default what the output's name says, else html.",
)  # fmt: skip
@click.option(
    "--log", type=click.Path(path_type=Path),
    help="Training log beside the scores: trainer_state.json, or JSON lines with `step`.",
)  # fmt: skip
@options.json_option
@options.verbose_option
def command(
    runs: tuple[Path, ...],
    output: Path | None,
    view: View | None,
    form: str | None,
    log: Path | None,
    as_json: bool,
) -> None:
    """Write RUNS (folders of runs, or folders that hold some) as a self-contained page or a table.

    Tables (md, csv, latex, parquet, json) go to the screen when no output is named.
    """
    from olmes.cli.outcome import tell_altered
    from olmes.export.formats import SUFFIXES, export
    from olmes.records.record import records_in
    from olmes.tools import jsonl

    records = [record for place in runs for record in records_in(place)]
    tell_altered(records)
    if form is None:
        form = SUFFIXES.get(output.suffix, "html") if output else "html"
    if form != "html":
        text = export(records, form, output)  # type: ignore[arg-type]
        if text is not None:
            click.echo(text, nl=False)
            return
        page = output
    else:
        view = view or ("run" if len(records) == 1 else "leaderboard")
        page = write_page(records, view, output, log)
    click.echo(jsonl.dumps({"report": str(page)}) if as_json else f"report  {page}")


def by_step(records: Sequence[Record]) -> list[tuple[float, Record]]:
    """The records with the training steps of their checkpoints.

    Raises:
        OlmesError: a record does not say its step.
    """
    from olmes.errors import OlmesError

    found = []
    for record in records:
        step = record.run.model.step
        if step is None:
            raise OlmesError(
                f"{record.id} does not say at which training step its model was written; leave it "
                "out, or give the checkpoint a folder name such as checkpoint-500 and run again."
            )
        found.append((float(step), record))
    return found


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
        from olmes.reports.checkpoints_page import write_checkpoints_page

        page = output or Path("checkpoints.html")
        rows = training_log(log) if log else ()
        write_checkpoints_page(by_step(records), page, log=rows)
    return page
