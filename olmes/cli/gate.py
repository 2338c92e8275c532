"""`olmes gate`: whether run B may replace run A, as an exit status."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from olmes.cli import options

if TYPE_CHECKING:
    from rich.table import Table

    from olmes.comparison.gate import GatedScore, GateResult, Outcome

STYLES: dict[Outcome, str] = {"pass": "green", "fail": "red", "inconclusive": "yellow"}


@click.command("gate")
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option(
    "--policy", type=click.Path(path_type=Path, dir_okay=False),
    help="TOML file: margins by task, required tasks, alpha.  [default: 1 point on every task]",
)  # fmt: skip
@click.option("--no-record", is_flag=True, help="Leave no line in B's gates.jsonl.")
@options.json_option
@options.verbose_option
def command(a: Path, b: Path, policy: Path | None, no_record: bool, as_json: bool) -> int:
    """Let run B, the candidate, pass where it is no worse than run A, the baseline, by a margin.

    Exit status 0: every task and the mean passed. 1: one is worse by more than its margin. 3:
    inconclusive, too few items to tell or a required task is missing. 2: the input needs fixing.
    """
    from olmes.cli.outcome import tell_altered
    from olmes.comparison.gate import gate, write_down
    from olmes.comparison.policy import Policy
    from olmes.records.record import Record
    from olmes.tools import jsonl

    baseline, candidate = Record.load(a), Record.load(b)
    tell_altered([baseline, candidate])
    result = gate(baseline, candidate, Policy.read(policy) if policy else None)
    if not no_record:
        try:
            write_down(result, candidate, baseline, str(policy or ""))
        except OSError as error:
            click.echo(f"olmes: {candidate.folder} could not be written to ({error})", err=True)
    if as_json:
        click.echo(jsonl.dumps(result.to_json()))
    else:
        show(result)
    return result.exit_status


def show(result: GateResult) -> None:
    """Print what a gate says."""
    from olmes.cli.tables import console

    screen = console()
    screen.print(f"A  {result.baseline_model}  {result.baseline}", soft_wrap=True)
    screen.print(f"B  {result.candidate_model}  {result.candidate}", soft_wrap=True)
    screen.print(gate_table(result))
    for line in lines(result):
        screen.print(line, soft_wrap=True)
    screen.print(
        f"{result.outcome.upper()}  {', '.join(counts(result))}", style=STYLES[result.outcome]
    )


def gate_table(result: GateResult) -> Table:
    """Scores, difference, interval and margin of every task and of the mean."""
    from olmes.cli.tables import blank_table

    level = f"{100 * (1 - 2 * result.policy.alpha):g} % interval"
    table = blank_table("task", "outcome", "A", "B", "B - A", level, "margin")
    for score in result.scores:
        table.add_row(*row(score), style=STYLES[score.outcome])
    return table


def row(score: GatedScore) -> list[str]:
    """One task."""
    from olmes.records.shown import LOWER, NUMBER, difference_interval, shown, shown_difference

    unit = score.unit
    signs = [] if score.higher_is_better else [LOWER]
    signs += [NUMBER] if unit == "number" else []
    return [
        " ".join([score.name, *signs]),
        score.outcome,
        shown(score.baseline, unit),
        shown(score.candidate, unit),
        shown_difference(score.difference, unit).replace("−", "-"),
        difference_interval(score.ci_low, score.ci_high, unit).replace("−", "-"),
        shown(score.allowed, unit),
    ]


def lines(result: GateResult) -> Iterator[str]:
    """Why a task did not pass, and what must be known about the comparison."""
    for score in result.scores:
        said = [] if score.outcome == "pass" else [score.reason]
        if score.needed:
            said.append(
                f"about {score.needed:,} items would show it, were the difference as measured"
            )
        said += [*score.notes]
        if said:
            yield f"{score.name}: {'; '.join(said)}"
    yield from (f"! {note}" for note in result.notes)


def counts(result: GateResult) -> list[str]:
    """How many of the judged came to what."""
    found = [score.outcome for score in result.scores]
    return [f"{found.count(one)} {one}" for one in STYLES if found.count(one)] or ["nothing judged"]
