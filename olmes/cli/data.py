"""`olmes data`: where benchmark data comes from, and fetching it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from olmes.cli import options
from olmes.cli.groups import Group


@click.group("data", cls=Group)
def command() -> None:
    """See where benchmark data comes from, and fetch it for machines without a network."""


@command.command("list")
@options.data_option
@options.json_option
@options.verbose_option
def list_command(data: Path | None, as_json: bool) -> None:
    """Show where each task's data would come from now, and its hash."""
    from olmes.benchmark import registry
    from olmes.data.catalog import DataStatus, listing
    from olmes.tools import jsonl

    tasks = [registry.load_task(name) for name in registry.task_names()]
    found = listing(tasks, data)
    if as_json:
        for status in found:
            click.echo(jsonl.dumps(dataclasses.asdict(status)))
        return
    from olmes.cli.tables import blank_table, console

    by_task: dict[str, list[DataStatus]] = {}
    for status in found:
        by_task.setdefault(status.task, []).append(status)
    table = blank_table("task", "from", "files", "items", "content hash")
    for name, files in by_task.items():
        states = ", ".join(dict.fromkeys(status.state for status in files))
        items = sum(status.rows for status in files)
        table.add_row(name, states, str(len(files)), str(items), files[0].content_hash[:16])
    screen = console()
    screen.print(table)
    screen.print("--json has every file with its place, SHA-256 and licence", style="dim")


@command.command("pull")
@click.argument("tasks", nargs=-1)
@click.option("--to", type=click.Path(path_type=Path), help="Folder for --data; else the cache.")
@options.json_option
@options.verbose_option
def pull_command(tasks: tuple[str, ...], to: Path | None, as_json: bool) -> None:
    """Fetch the official files of TASKS (all tasks when none is named)."""
    from olmes.benchmark import registry
    from olmes.data.catalog import pull
    from olmes.tools import jsonl

    names = tasks or registry.task_names()
    loaded = [registry.load_task(name) for name in names]
    for file in pull(loaded, to, lambda line: click.echo(line, err=True)):
        row = {"path": file.path, "location": str(file.location), "fetched": file.fetched}
        state = "fetched" if file.fetched else "already there"
        click.echo(jsonl.dumps(row) if as_json else f"{file.path}  {state}  {file.location}")
