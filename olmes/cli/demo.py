"""`olmes demo`: recorded answers through the suites, then the live model, then the server."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from olmes.cli import options
from olmes.errors import OlmesError

if TYPE_CHECKING:
    from olmes.demo.replay import Recording
    from olmes.records.record import Record
    from olmes.sequence import Member


@click.command("demo")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("demo"),
    show_default=True, help="Folder of the demo's runs.",
)  # fmt: skip
@click.option("--no-live", is_flag=True, help="Replay the recorded answers alone; load no model.")
@options.json_option
@options.verbose_option
def command(out: Path, no_live: bool, as_json: bool) -> int:
    """See everything filled within two minutes: runs, board, comparison, checkpoints, ledger.

    What the embedded model and the checkpoints of a short training answered to olmes' own demo data
    is replayed through the suites; then the model itself answers a quiz. The same command again
    prints what is there.
    """
    from olmes.demo.replay import recordings, replay
    from olmes.tools import jsonl

    found = recordings(out / "recordings")
    if not found:
        raise OlmesError("no recording comes with this olmes; install it again.")
    if not as_json:
        introduce(found)
    runs = out / "runs"

    def ended(member: Member) -> None:
        from olmes.cli.run import write_page

        if member.record:
            write_page(member.record)

    members = replay(found, runs, ended=ended)
    records = [member.record for member in members if member.record]
    page = both_halves(records, out)
    serve = f"olmes serve --store {shlex.quote(str(out / 'store'))} --runs {shlex.quote(str(runs))}"
    if not as_json:
        show_suites(members)
    answered = None if no_live else live(runs, quiet=as_json)
    if as_json:
        shown = [*records, *([answered] if answered else [])]
        row = {"runs": [str(one.folder) for one in shown], "page": str(page or ""), "serve": serve}
        click.echo(jsonl.dumps(row))
    else:
        finish(serve, page)
    whole = len(records) == len(members) and (no_live or bool(answered and answered.complete))
    return 0 if whole else 1


def show_suites(members: Sequence[Member]) -> None:
    """Print a table a suite; what stands against its numbers was said before, and is on the pages."""
    from olmes.cli.sequence import labels, print_scores
    from olmes.cli.tables import console

    screen = console()
    by_suite: dict[str, list[Member]] = {}
    for member in members:
        suite = member.record.run.suite if member.record else None
        by_suite.setdefault(suite.name if suite else "", []).append(member)
    for own in by_suite.values():
        named = zip(labels(own), own, strict=True)
        if there := {label: one.record for label, one in named if one.record}:
            print_scores(screen, there)
    for member in members:
        if member.record is None:
            screen.print(f"! {member.model}: {member.trouble}", style="yellow", soft_wrap=True)
    screen.print("Each run's answers, warnings and hashes are on its page.", style="dim")


def introduce(found: list[Recording]) -> None:
    """Say what the answers are: recorded, by which weights, when, to which data."""
    from olmes.cli.tables import blank_table, console

    screen = console()
    screen.print("1  Recorded answers, replayed through the suites", style="bold")
    table = blank_table("model", "step", "weights", "recorded", "answers")
    for one in found:
        model = one.head.model
        table.add_row(
            model.name,
            "" if model.step is None else f"{model.step:g}",
            model.fingerprint[:8],
            one.head.recorded[:10],
            str(one.head.rows),
        )
    screen.print(table)
    head = found[0].head
    changed = " ".join(said for task in head.tasks if (said := head.settings(task)))
    screen.print(
        "To the demo data: a few dozen items a task, written for olmes, so that no number here can "
        f"be held beside a published one.{f' Set by hand: {changed}' if changed else ''}",
        style="dim",
    )


def live(runs: Path, *, quiet: bool) -> Record:
    """Have the embedded model answer the quiz, with the score so far."""
    from olmes.benchmark import registry
    from olmes.cli.outcome import show_outcome
    from olmes.cli.run import progress_callback, write_page
    from olmes.cli.tables import console
    from olmes.data.resolve import DEMO
    from olmes.demo.replay import unsaid
    from olmes.runs.evaluation import Evaluation
    from olmes.runs.options import DEFAULT_MODEL, RunOptions

    if not quiet:
        console().print("\n2  The model itself, on a quiz of 32 short questions", style="bold")
    quiz = registry.load_task(str(Path(__file__).parents[1] / "demo" / "quiz.py"))
    evaluation = Evaluation(
        [quiz], None, RunOptions(data=(DEMO,), out=runs, use_cache=False), say=unsaid
    )
    record = evaluation.run(DEFAULT_MODEL, callback=progress_callback(None))
    page = write_page(record)
    if not quiet:
        show_outcome(record, page, as_json=False)
    return record


def both_halves(records: Sequence[Record], out: Path) -> Path | None:
    """Write the page that holds both suites of each model beside one another."""
    from olmes.comparison.generalization import generalization
    from olmes.reports.generalization_page import write_generalization_page

    held_out = {one.run.model.fingerprint for one in records if one.run.held_out}
    both = [one for one in records if one.run.model.fingerprint in held_out]
    if not held_out or len(both) == len(held_out):
        return None
    folders = {record.id: record.folder for record in both}
    return write_generalization_page(generalization(both), out / "generalization.html", folders)


def finish(serve: str, page: Path | None) -> None:
    """Say the command that opens everything in a browser."""
    from olmes.cli.tables import console
    from olmes.tools.extras import lacking

    screen = console()
    screen.print("\n3  Everything in a browser", style="bold")
    if lacking("server"):
        screen.print("   pip install 'olmes[server]'", highlight=False)
    screen.print(f"   {serve}", soft_wrap=True, highlight=False)
    screen.print("   then http://127.0.0.1:8765", style="dim", highlight=False)
    if page is not None:
        screen.print(f"   dev beside unseen: {page}", style="dim", highlight=False, soft_wrap=True)
