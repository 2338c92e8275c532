"""`olmes push`: bring runs to a results server."""

from __future__ import annotations

from pathlib import Path

import click

from olmes.cli import options
from olmes.errors import OlmesError
from olmes.records.record import RUN_FILE, record_folders
from olmes.tools.visible_text import visible


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
) -> int:
    """Upload RUNS (folders of runs, or folders that hold some).

    What is there already is not sent again, and an upload that was cut off is resumed. Samples under
    seal are sent as they are; after `olmes unseal` push again, and the server opens them. Of several
    runs one that is refused is said and does not stop the others; the exit status is 1 then.
    """
    from olmes.client.answers import AwayError, in_words
    from olmes.client.client import Client
    from olmes.tools import jsonl

    folders = [folder for place in runs for folder in pushable(place)]
    refused = 0
    with Client(url, token=token, say=lambda line: click.echo(line, err=True)) as client:
        for folder in folders:
            try:
                pushed = client.push(folder, replace=replace)
            except AwayError:
                raise  # away for one is away for the others
            except (OlmesError, OSError) as error:
                if len(folders) == 1:
                    raise
                click.echo(f"{folder}: {visible(in_words(error))}", err=True)
                refused += 1
                continue
            if as_json:
                click.echo(jsonl.dumps(pushed.to_json()))
            else:
                word = "pushed  " if pushed.new else "present "
                click.echo(f"{word} {pushed.id}  {pushed.url}")
    return 1 if refused else 0


def pushable(place: Path) -> list[Path]:
    """The folders of the records in a place; one that cannot be read is refused when its turn comes.

    Raises:
        OlmesError: there is none.
    """
    if place.is_file():
        return [place.parent]
    if not (found := record_folders(place)):
        raise OlmesError(f"{place} holds no record ({RUN_FILE}); check the path.")
    return found
