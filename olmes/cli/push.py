"""`olmes push`: bring runs to a results server."""

from __future__ import annotations

from pathlib import Path

import click

from olmes.cli import options


@click.command("push")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--to", "url", required=True, envvar="OLMES_SERVER",
    help="Address of the server; $OLMES_SERVER names it.",
)  # fmt: skip
@click.option(
    "--token", envvar="OLMES_TOKEN",
    help="Better in $OLMES_TOKEN, where no list of processes shows it.",
)  # fmt: skip
@click.option("--replace", is_flag=True, help="Take the place of another run of the same name.")
@options.json_option
@options.verbose_option
def command(
    runs: tuple[Path, ...], url: str, token: str | None, replace: bool, as_json: bool
) -> None:
    """Upload RUNS (folders of runs, or folders that hold some).

    What is there already is not sent again, and an upload that was cut off is resumed. Samples under
    seal are sent as they are; after `olmes unseal` push again, and the server opens them.
    """
    from olmes.client.client import Client
    from olmes.records.record import records_in
    from olmes.tools import jsonl

    folders = [record.folder for place in runs for record in records_in(place)]
    with Client(url, token=token, say=lambda line: click.echo(line, err=True)) as client:
        for folder in folders:
            pushed = client.push(folder, replace=replace)
            if as_json:
                click.echo(jsonl.dumps(pushed.to_json()))
            else:
                word = "pushed  " if pushed.new else "present "
                click.echo(f"{word} {pushed.id}  {pushed.url}")
