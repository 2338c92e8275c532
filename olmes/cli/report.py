"""`olmes report`: the HTML page of a run."""

from __future__ import annotations

import importlib
from pathlib import Path

import click

from olmes.cli import options


@click.command("report")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="[default: RUN/report.html]")
@options.json_option
@options.verbose_option
def command(run: Path, output: Path | None, as_json: bool) -> None:
    """Write the self-contained HTML page of RUN (a run's folder)."""
    from olmes import jsonl
    from olmes.record import Record

    record = Record.load(run)
    page = output or record.folder / "report.html"
    importlib.import_module("olmes.reports.run_page").write_run_page(record.folder, page)
    click.echo(jsonl.dumps({"report": str(page)}) if as_json else f"report  {page}")
