"""`olmes backup`: a results server's store, saved and brought back."""

from __future__ import annotations

from pathlib import Path

import click

from olmes.cli import options
from olmes.cli.groups import Group
from olmes.cli.serve import artifacts_option, needs_server, store_option


@click.group("backup", cls=Group)
def command() -> None:
    """Save the store of a results server, and bring it back."""


@command.command("make")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@store_option
@artifacts_option
@options.json_option
@options.verbose_option
def make(folder: Path, store: str, artifacts: str, as_json: bool) -> int:
    """Write a back-up of the store into FOLDER, also while a server uses it.

    Everything is read again and held against its hashes. What is damaged is named and left behind,
    the rest is saved, and the exit status is 1.
    """
    with needs_server():
        from olmes.server.settings import Settings
        from olmes.server.store.backup import make_backup
    damaged: dict[str, str] = {}
    saved = make_backup(Settings(store=store, artifacts=artifacts), folder, damaged.__setitem__)
    show(saved, damaged, as_json=as_json)
    if damaged:
        click.echo("the rest is saved; push damaged runs again, then back up again", err=True)
    return 1 if damaged else 0


@command.command("restore")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@store_option
@artifacts_option
@options.json_option
@options.verbose_option
def restore(folder: Path, store: str, artifacts: str, as_json: bool) -> int:
    """Fill a new store from the back-up in FOLDER, of whichever database it was.

    Runs that were damaged when it was made, or are in it, are named and left out; the exit status is
    then 1.
    """
    with needs_server():
        from olmes.server.settings import Settings
        from olmes.server.store.backup import restore_backup
    damaged: dict[str, str] = {}
    counts = restore_backup(Settings(store=store, artifacts=artifacts), folder, damaged.__setitem__)
    show(counts, damaged, as_json=as_json)
    if damaged:
        click.echo("the rest is restored; push damaged runs again", err=True)
    return 1 if damaged else 0


def show(counts: dict[str, int], damaged: dict[str, str], *, as_json: bool) -> None:
    """Print what was copied, and what is damaged."""
    from olmes.tools import jsonl

    if as_json:
        click.echo(jsonl.dumps({**counts, "damaged": damaged}))
    else:
        click.echo(", ".join(f"{count:,} {name}" for name, count in counts.items()))
    for what, why in damaged.items():
        click.echo(f"! {what}: {why}", err=True)
