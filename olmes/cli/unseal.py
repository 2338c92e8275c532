"""`olmes unseal`: open the samples of a run under seal, which is a look of its own."""

from __future__ import annotations

from pathlib import Path

import click

from olmes.cli import options


@click.command("unseal")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--reason", default="", help="Why the samples are looked at; kept in the ledger.")
@options.json_option
@options.verbose_option
def command(run: Path, reason: str, as_json: bool) -> None:
    """Open the samples of RUN (a run's folder) and write its page again with them.

    This is a look at held-out tasks: it is written into the ledger before anything is opened.
    """
    from olmes.records.record import Record
    from olmes.reports.run_page import write_run_page
    from olmes.seal.sealing import unseal
    from olmes.tools import jsonl

    files = unseal(run, reason)
    folder = Record.load(run).folder
    write_run_page(folder, folder / "report.html")
    if as_json:
        click.echo(jsonl.dumps({"samples": [str(file) for file in files]}))
        return
    for file in files:
        click.echo(f"opened  {file}")
    click.echo(f"report  {folder / 'report.html'}")
