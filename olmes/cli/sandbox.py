"""`olmes sandbox`: where programs that a model wrote are executed, and the libraries they need."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click

from olmes.cli import options
from olmes.cli.groups import Group


@click.group("sandbox", cls=Group)
def command() -> None:
    """See in which sandbox programs run here, and install the libraries that they need."""


@command.command("check")
@options.sandbox_option
@options.json_option
@options.verbose_option
def check_command(as_json: bool) -> None:
    """Try every sandbox and say which is used, and why the others are not.

    Exit status 2 when none can be used: then no program is executed.
    """
    import os

    from olmes.errors import OlmesError
    from olmes.sandbox import choice
    from olmes.tools import jsonl

    asked = os.environ.get(choice.VARIABLE, "")
    rows: list[dict[str, Any]] = []
    for kind in (asked,) if asked else choice.KINDS:
        why = choice.fault(choice.sandbox_named(kind))
        used = not why and not any(row["used"] for row in rows)
        rows.append({"sandbox": kind, "works": not why, "used": used, "why_not": why})
    for row in rows:
        said = row["why_not"] or ("is used" if row["used"] else "works too")
        click.echo(jsonl.dumps(row) if as_json else f"{row['sandbox']:<11} {said}")
    if not any(row["used"] for row in rows):
        raise OlmesError(
            "there is no sandbox here, so programs that a model wrote are not executed; follow one of "
            "the lines above."
        )


@command.command("list")
@options.json_option
@options.verbose_option
def list_command(as_json: bool) -> None:
    """Print the environments of libraries, and whether each is installed."""
    from olmes.sandbox.environments import environments
    from olmes.tools import jsonl

    for found in environments():
        row = dataclasses.asdict(found) | {"folder": str(found.folder)}
        click.echo(
            jsonl.dumps(row) if as_json else f"{found.name:<16} {found.state:<14} {found.folder}"
        )


@command.command("install")
@click.argument("name")
@click.option(
    "--requirements", type=click.Path(path_type=Path),
    help="File of pinned requirements, for an environment that olmes does not bring.",
)  # fmt: skip
@options.json_option
@options.verbose_option
def install_command(name: str, requirements: Path | None, as_json: bool) -> None:
    """Install the environment NAME into the cache folder, in the place of an older one."""
    from olmes.sandbox.environments import install
    from olmes.tools import jsonl

    folder = install(name, requirements, lambda line: click.echo(line, err=True))
    done = {"installed": name, "folder": str(folder)}
    click.echo(jsonl.dumps(done) if as_json else f"installed  {name}  {folder}")


@command.command("remove")
@click.argument("name")
@options.json_option
@options.verbose_option
def remove_command(name: str, as_json: bool) -> None:
    """Delete the environment NAME."""
    from olmes.errors import OlmesError
    from olmes.sandbox.environments import remove
    from olmes.tools import jsonl

    if not remove(name):
        raise OlmesError(f"no environment '{name}' is installed; `olmes sandbox list` names them.")
    click.echo(jsonl.dumps({"removed": name}) if as_json else f"removed  {name}")
