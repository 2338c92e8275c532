"""`olmes check`: whether a task is sound, before any model is asked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from olmes.cli import completion, options

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from olmes.runs.task_check import Finding, TaskCheck

SHOWN = 5
"""Findings of one kind that are printed; --json has all."""
TITLES = {
    "task": "the task",
    "data": "the data",
    "prompt": "prompts",
    "perfect": "perfect responses",
    "corrupted": "corrupted responses",
}


@click.command("check")
@click.argument("task", shell_complete=completion.tasks)
@options.data_option
@click.option("--limit", type=click.IntRange(min=1), help="Check this many items.")
@options.set_option
@click.option("--scoring-processes", type=click.IntRange(min=1), help="Scoring processes.")
@options.sandbox_option
@options.reason_option
@options.ledger_option
@options.texts_option
@options.json_option
@options.verbose_option
def command(
    task: str,
    data: tuple[Path, ...],
    limit: int | None,
    settings: tuple[str, ...],
    scoring_processes: int | None,
    reason: str,
    out: Path,
    texts: bool,
    as_json: bool,
) -> int:
    """Check TASK (a name or a file) against its data, without a model.

    Builds every prompt, scores the task's own right and wrong responses in the real scoring processes,
    and prints the hashes. The exit status is 1 when something is wrong. What it prints quotes items,
    so that of a held-out task's real ones it is a look and needs --reason, and of gated ones the texts
    are left out without --texts.
    """
    from olmes.benchmark.naming import one_task
    from olmes.data.resolve import resolve
    from olmes.runs.planning import with_settings
    from olmes.runs.task_check import check_task
    from olmes.seal.look import Look
    from olmes.seal.sight import Sight, take_sight
    from olmes.tools import jsonl

    def say(line: str) -> None:
        click.echo(line, err=True)

    [loaded] = with_settings([one_task(task, "check")], options.parse_settings(settings))
    dataset = resolve(loaded, data, say=say)
    items = min(limit or len(dataset.instances), len(dataset.instances))
    sight = Sight(event="check", task=loaded, items=items, dataset=dataset, data=data)
    take_sight(sight, out, Look(reason=reason))
    found = check_task(
        loaded, data, limit=limit, say=say, scoring_processes=scoring_processes, dataset=dataset
    )
    if dataset.gated and not texts:
        found.leave_out_texts()
    if as_json:
        click.echo(jsonl.dumps(found.to_json()))
    else:
        print_check(found)
    return 1 if found.problems else 0


def print_check(found: TaskCheck) -> None:
    """A check for a person to read: facts first, then what is wrong, then the verdict."""
    from olmes.cli.show import print_messages
    from olmes.cli.tables import console

    screen = console()
    task, dataset = found.task, found.dataset
    some = "" if len(found.items) == len(dataset.instances) else f"{len(found.items)} of "
    screen.print(f"{task.name}  {task.title}", style="bold")
    kind = "official" if dataset.official else dataset.origin
    facts = {
        "data": f"{some}{len(dataset.instances)} items, {kind}: {dataset.location}",
        "prompts": f"{found.prompts} built, {found.duplicates or 'no'} duplicates",
        "needs": needs(found),
        **found.hashes,
    }
    if dataset.origin == "demo":
        facts["content_hash"] += " (of the demo data)"
    elif dataset.official:
        facts["content_hash"] += " (as declared)"
    for name, fact in facts.items():
        screen.print(f"{name.replace('_', ' '):<17}{fact}", soft_wrap=True)
    screen.print(metrics_table(found))
    if found.first:
        screen.rule("the first prompt", align="left")
        print_messages(screen, found.first)
        screen.rule()
    print_findings(screen, "Notes", found.notices, "yellow")
    print_findings(screen, "Problems", found.problems, "red")
    if count := len(found.problems):
        screen.print(f"{task.name}: {count} {'problem' if count == 1 else 'problems'}", style="red")
    else:
        screen.print(f"{task.name}: no problems found", style="green")


def needs(found: TaskCheck) -> str:
    """What a run of the task needs, in words."""
    needed = found.needs
    kind = "log-likelihoods" if needed["log_likelihoods"] else "generated text"
    words = ["rewards (a reward model)" if needed.get("rewards") else kind]
    words += ["a judge (--judge MODEL)"] if needed["judge"] else []
    words += ["a sandbox for programs"] if needed["sandbox"] else []
    words += [f"the encoder {name}" for name in needed["encoders"]]
    words += [f"pip install 'olmes[{name}]'" for name in needed["extras"]]
    if needed["network"]:
        words.append(
            f"{' or '.join(needed['network'])} for the official data, unless --data has it"
        )
    return "; ".join(words)


def metrics_table(found: TaskCheck) -> Table:
    """Each metric with how often the oracle's responses scored as they must."""
    from olmes.cli.tables import blank_table

    table = blank_table("metric", "unit", "perfect", "not checked", "corrupted")
    for name, check in found.metrics.items():
        primary = name == found.task.primary
        tried = check.perfect + check.not_perfect
        wrong = "" if check.corrupted is None else of(check.corrupted, check.not_corrupted or 0)
        table.add_row(
            name + ("*" if check.metric.honest else ""),
            check.metric.unit + ("" if check.metric.higher_is_better else ", less is better"),
            of(check.perfect, check.not_perfect) if tried else "–",
            str(check.unchecked) if check.unchecked else "",
            wrong,
            style="bold" if primary else None,
        )
    return table


def of(right: int, wrong: int) -> str:
    """How many of how many scored as they must."""
    return f"{right} of {right + wrong} ok"


def print_findings(screen: Console, title: str, findings: list[Finding], style: str) -> None:
    """Findings by kind, the first few of each."""
    if not findings:
        return
    screen.print(title, style=f"bold {style}")
    for kind, words in TITLES.items():
        same = [finding for finding in findings if finding.kind == kind]
        for finding in same[:SHOWN]:
            item = f"{finding.item}: " if finding.item else ""
            screen.print(f"  {item}{finding.message}", soft_wrap=True)
        if len(same) > SHOWN:
            screen.print(
                f"  and {len(same) - SHOWN} more about {words}; --json lists all", style="dim"
            )
