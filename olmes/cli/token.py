"""`olmes token`: who may use a results server."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from olmes.cli import options
from olmes.cli.groups import Group
from olmes.cli.serve import needs_server, store_option

if TYPE_CHECKING:
    from olmes.server.store.database import Database


@click.group("token", cls=Group)
def command() -> None:
    """Make, list and revoke the tokens of a results server.

    From the first token on, everybody needs one; also after it was revoked.
    """


@contextlib.contextmanager
def opened(store: str) -> Iterator[Database]:
    """The database of a store.

    Raises:
        OlmesError: it cannot be opened, read or written.
    """
    with needs_server():
        from olmes.server.store.database import Database
    database = Database(store)
    database.migrate()
    try:
        with database.in_words():
            yield database
    finally:
        database.close()


@command.command("create")
@click.argument("name")
@click.option(
    "--role", type=click.Choice(["read", "write", "admin"]), default="write", show_default=True,
    help="read looks, write uploads too, admin removes runs and reads the audit log too.",
)  # fmt: skip
@store_option
@options.json_option
@options.verbose_option
def create(name: str, role: str, store: str, as_json: bool) -> None:
    """Make the token NAME and print it. It is shown this once; the store keeps its hash."""
    from olmes.server.access.tokens import create_token
    from olmes.tools import jsonl

    with opened(store) as database:
        token = create_token(database, name, role)
    click.echo(jsonl.dumps({"name": name, "role": role, "token": token}) if as_json else token)


@command.command("list")
@store_option
@options.json_option
@options.verbose_option
def list_(store: str, as_json: bool) -> None:
    """Print every token there is or was."""
    from olmes.cli.tables import blank_table, console
    from olmes.server.access.tokens import list_tokens
    from olmes.tools import jsonl

    with opened(store) as database:
        found = list_tokens(database)
    if as_json:
        click.echo(jsonl.dumps({"tokens": [asdict(one) for one in found]}))
        return
    table = blank_table("name", "role", "created", "revoked")
    for one in found:
        table.add_row(one.name, one.role, one.created, one.revoked or "–")
    console().print(table if found else "no tokens: the server answers its own machine alone")


@command.command("revoke")
@click.argument("name")
@store_option
@options.json_option
@options.verbose_option
def revoke(name: str, store: str, as_json: bool) -> None:
    """Make the token NAME worthless, within two seconds on a server that runs."""
    from olmes.server.access.tokens import revoke_token
    from olmes.tools import jsonl

    with opened(store) as database:
        revoke_token(database, name)
    click.echo(jsonl.dumps({"revoked": name}) if as_json else f"revoked  {name}")
