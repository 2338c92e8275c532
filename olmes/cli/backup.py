"""`olmes backup`: a results server's store, saved and brought back."""

from __future__ import annotations

from pathlib import Path

import click

from olmes.cli import options
from olmes.cli.serve import artifacts_option, needs_server, store_option


@click.group("backup")
def command() -> None:
    """Save the store of a results server, and bring it back."""


@command.command("make")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@store_option
@artifacts_option
@options.json_option
@options.verbose_option
def make(folder: Path, store: str, artifacts: str, as_json: bool) -> None:
    """Write a back-up of the store into FOLDER, also while a server uses it."""
    with needs_server():
        from olmes.server.settings import Settings
        from olmes.server.store.backup import make_backup
    show(make_backup(Settings(store=store, artifacts=artifacts), folder), as_json=as_json)


@command.command("restore")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@store_option
@artifacts_option
@options.json_option
@options.verbose_option
def restore(folder: Path, store: str, artifacts: str, as_json: bool) -> None:
    """Fill a new store from the back-up in FOLDER, of whichever database it was."""
    with needs_server():
        from olmes.server.settings import Settings
        from olmes.server.store.backup import restore_backup
    show(restore_backup(Settings(store=store, artifacts=artifacts), folder), as_json=as_json)


def show(counts: dict[str, int], *, as_json: bool) -> None:
    """Print what was copied."""
    from olmes.tools import jsonl

    if as_json:
        click.echo(jsonl.dumps(counts))
    else:
        click.echo(", ".join(f"{count:,} {name}" for name, count in counts.items()))
