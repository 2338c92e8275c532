"""`olmes list`: what can be run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from olmes.cli import completion, options

if TYPE_CHECKING:
    from olmes.benchmark.task import Task


def items_of(task: Task) -> int:
    """Items of a task's official set, as far as it is known without its data."""
    made = task.generated()
    return sum(file.rows for file in task.source.files) if made is None else len(made)


@click.command("list")
@click.argument("names", nargs=-1, metavar="[TASK]...", shell_complete=completion.tasks)
@options.json_option
@options.verbose_option
def command(names: tuple[str, ...], as_json: bool) -> None:
    """List tasks and suites; with names or patterns ('mmlu*') those tasks alone."""
    from olmes.benchmark import registry
    from olmes.benchmark.naming import named_tasks
    from olmes.tools import jsonl

    tasks = named_tasks(names or registry.task_names())
    suites = [registry.load_suite(name) for name in registry.suite_names()]
    if names:
        suites = [one for one in suites if any(task.name in one.tasks for task in tasks)]
    rows: list[dict[str, Any]] = [
        {
            "name": task.name,
            "title": task.title,
            "primary": task.primary,
            "metrics": [metric.name for metric in task.metrics],
            "shots": task.formulation.shots,
            "rows": items_of(task),
            "suites": [suite.name for suite in suites if task.name in suite.tasks],
            "formulation_hash": task.formulation_hash,
        }
        for task in tasks
    ]
    if as_json:
        described = [
            {"name": s.name, "title": s.title, "tasks": list(s.tasks), "held_out": s.held_out}
            for s in suites
        ]
        click.echo(jsonl.dumps({"tasks": rows, "suites": described}))
        return
    from olmes.cli.tables import blank_table, console

    table = blank_table("task", "title", "items", "shots", "primary metric", "suites")
    for row in rows:
        cells = (row["name"], row["title"], row["rows"], row["shots"], row["primary"])
        table.add_row(*map(str, cells), ", ".join(map(str, row["suites"])) or "–")
    screen = console()
    screen.print(table)
    for suite in suites:
        held = " (held out)" if suite.held_out else ""
        screen.print(f"suite {suite.name}{held}: {', '.join(suite.tasks)}", soft_wrap=True)
