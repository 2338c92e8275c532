"""`olmes data`: where benchmark data comes from, and fetching it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from olmes.cli import options
from olmes.cli.groups import Group

if TYPE_CHECKING:
    from olmes.benchmark.task import Task
    from olmes.data.catalog import DataStatus


@click.group("data", cls=Group)
def command() -> None:
    """See where benchmark data comes from, and fetch it for machines without a network."""


@command.command("list")
@click.argument("tasks", nargs=-1, metavar="[TASK]...")
@options.data_option
@options.json_option
@options.verbose_option
def list_command(tasks: tuple[str, ...], data: tuple[Path, ...], as_json: bool) -> None:
    r"""Show where each task's data would come from now, and its hash.

    Of the TASKs that are named, by name or file, what lies on this machine is read as well: rows, and
    the hashes to write into the task's source. Nothing is fetched.

    \b
    olmes data list
    olmes data list capitals.py
    """
    from olmes.benchmark import registry
    from olmes.data.catalog import listing
    from olmes.tools import jsonl

    loaded = [registry.load_task(name) for name in tasks or registry.task_names()]
    found = listing(loaded, data)
    if tasks:
        for task in loaded:
            show_one(task, [one for one in found if one.task == task.name], data, as_json=as_json)
    elif as_json:
        for status in found:
            click.echo(jsonl.dumps(dataclasses.asdict(status)))
    else:
        print_all(found)


def print_all(found: Sequence[DataStatus]) -> None:
    """A line a task."""
    from olmes.cli.tables import blank_table, console

    by_task: dict[str, list[DataStatus]] = {}
    for status in found:
        by_task.setdefault(status.task, []).append(status)
    table = blank_table("task", "from", "files", "items", "exemplars", "content hash")
    for name, files in by_task.items():
        states = ", ".join(dict.fromkeys(status.state for status in files))
        items = sum(status.rows for status in files if not status.exemplars)
        shots = sum(status.rows for status in files if status.exemplars)
        counts = [str(count) if count else "" for count in (items, shots)]
        table.add_row(name, states, str(len(files)), *counts, files[0].content_hash[:16])
    screen = console()
    screen.print(table)
    screen.print(
        "olmes data list TASK has every file with its place; --json its SHA-256 and licence",
        style="dim",
    )


def show_one(
    task: Task, files: Sequence[DataStatus], data: tuple[Path, ...], *, as_json: bool
) -> None:
    """A task's files, and what those that lie here hold."""
    from olmes.data.catalog import HERE
    from olmes.data.contents import contents, file_contents
    from olmes.tools import jsonl

    missing = any(status.state == "missing" for status in files) and not task.source.partial
    inside = None if missing else contents(task, data)
    read = [
        file_contents(Path(status.location)) if status.state in HERE else None for status in files
    ]
    if as_json:
        for status, file in zip(files, read, strict=True):
            row = dataclasses.asdict(status)
            row["found"] = dataclasses.asdict(file) if file else None
            row["set"] = dataclasses.asdict(inside) if inside else None
            click.echo(jsonl.dumps(row))
        return
    from olmes.cli.tables import blank_table, console

    screen = console()
    screen.print(f"{task.name}  {task.title}", style="bold")
    table = blank_table("path", "state", "rows", "where")
    for status, file in zip(files, read, strict=True):
        rows = str(file.rows if file else status.rows or "")
        kind = " (exemplars)" if status.exemplars else ""
        path = (status.path or "–") + kind
        table.add_row(path, status.state, rows, status.location)
    screen.print(table)
    if inside is None:
        screen.print(where_to_put(task), soft_wrap=True)
        return
    named = f", without {', '.join(inside.missing)}" if inside.missing else ""
    screen.print(f"items             {inside.items}{named}")
    known = task.source.content_hash
    screen.print(declared(inside.content_hash, known, part=inside.part), soft_wrap=True)
    if task.source.exemplars is not None:
        screen.print(f"exemplars         {inside.exemplars}")
        known = task.source.exemplars.content_hash
        screen.print(declared(inside.exemplars_hash, known), soft_wrap=True)


def where_to_put(task: Task) -> str:
    """What to do where a task's data are not on this machine."""
    from olmes.data.absent import lies_beside
    from olmes.data.places import task_folder

    if lies_beside(task):
        place = (task_folder(task) or Path()) / task.source.files[0].path
        return f"not on this machine; put it there as {place}, or name its folder with --data DIR"
    return (
        f"not on this machine; `olmes data pull {task.name}` fetches what is public, and --data DIR "
        "names a folder that has it"
    )


def declared(found: str, known: str, *, part: bool = False) -> str:
    """A content hash as a source has it, and how it stands to what the task declares."""
    says = {"": "not declared yet: write this into the source", found: "as declared"}
    other = f"differs from what is declared: {known}"
    if part and found != known:
        says, other = {}, "of what is here, which may be a part of the set"
    return f'content_hash="{found}"  # {says.get(known, other)}'


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
