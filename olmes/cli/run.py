"""`olmes run`: a suite or tasks on a model, to a record and its report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from olmes.cli import completion, options
from olmes.errors import OlmesError
from olmes.tools.visible_text import visible

if TYPE_CHECKING:
    from olmes.client.sending import Sender
    from olmes.judging.judges import Written
    from olmes.models.options import EngineOptions
    from olmes.records.record import Record
    from olmes.requests.callbacks import RunCallback
    from olmes.requests.choosing import Limit
    from olmes.runs.evaluation import Evaluation
    from olmes.runs.options import RunOptions, Sampling
    from olmes.sequence import Member


@click.command("run")
@options.suite_option
@options.task_option
@click.option(
    "--model", "models", multiple=True, metavar="MODEL", shell_complete=completion.models,
    help="Hub id, folder, vllm:NAME, openai:NAME@URL, or replay:FILE; default smollm2. A pattern in "
    "quotes ('ckpts/step_*'), or several: one warm process, in the order of their steps. MODEL "
    "without --model says the same.",
)  # fmt: skip
@click.option("--name", default="", help="What tables and pages call the model.")
@click.argument("words", nargs=-1, metavar="[MODEL]...", shell_complete=completion.models)
@options.limit_option
@click.option(
    "--items", metavar="ROW|ID,...",
    help="Only these items, by row (3,17 or 3-9) or id (gsm8k/17); such a run is marked.",
)  # fmt: skip
@options.data_option
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"),
    show_default=True, help="Folder of the runs' folders and of the ledger.",
)  # fmt: skip
@options.set_option
@options.sampling_options
@options.k_option
@click.option(
    "--sampling", type=click.Choice(["task", "model"]), default="task",
    help="Whose sampling settings: the tasks', or the checkpoint's own generation_config.",
)  # fmt: skip
@options.judge_option
@click.option(
    "--judge-budget", type=click.IntRange(min=1), metavar="TOKENS",
    help="Tokens each judge may read and write in this run.",
)  # fmt: skip
@click.option("--reason", default="", help="Why held-out tasks are looked at; kept in the ledger.")
@click.option("--family", default="", help="Name under which looks at held-out tasks are counted.")
@options.engine_options
@click.option(
    "--ray", metavar="ADDRESS", help="Spread over a Ray cluster: HOST:PORT of its head, or auto."
)
@click.option(
    "--workers", type=click.IntRange(min=1),
    help="Engines on Ray; without --ray on this machine.",
)  # fmt: skip
@click.option("--scoring-processes", type=click.IntRange(min=1), help="Scoring processes.")
@click.option(
    "--no-cache", is_flag=True, help="Neither take nor keep responses in the shared cache."
)
@options.sandbox_option
@options.push_option
@click.option(
    "--estimate", is_flag=True, help="Say what the run would cost; ask nothing, write nothing."
)
@options.json_option
@options.verbose_option
def command(
    suite: str | None,
    tasks: tuple[str, ...],
    models: tuple[str, ...],
    words: tuple[str, ...],
    name: str,
    limit: Limit | None,
    items: str | None,
    data: tuple[Path, ...],
    out: Path,
    settings: tuple[str, ...],
    judge: Written,
    judge_budget: int | None,
    sampling: Sampling,
    ks: tuple[int, ...],
    reason: str,
    family: str,
    engine: EngineOptions,
    ray: str | None,
    workers: int | None,
    scoring_processes: int | None,
    no_cache: bool,
    push: str | None,
    estimate: bool,
    as_json: bool,
) -> int:
    """Run a suite or tasks on a model; write the record and its HTML report.

    The same command again resumes a run that was stopped, and prints one that is finished.
    Several models are run one after another; one that fails does not stop the others. With --push
    runs are shown live on a results server, and their records are sent there.
    """
    from olmes.cli.outcome import show_outcome
    from olmes.cli.positional import models_among
    from olmes.runs.options import DEFAULT_MODEL, RunOptions
    from olmes.seal.look import Look
    from olmes.sequence import expand, is_pattern

    # A shell that was given a pattern without quotes leaves its folders among the words, too.
    more = models_among(words, targeted=bool(suite or tasks))
    models = (*models, *more) or (DEFAULT_MODEL,)
    several = len(models) > 1 or any(map(is_pattern, models))
    if name and several:
        raise OlmesError(f"--name {name}: one name for several models; run each with its own.")
    given = RunOptions(
        name=name,
        limit=limit,
        items=() if items is None else items,
        data=data,
        out=out,
        settings=options.parse_settings(settings),
        judge=judge,
        judge_budget=judge_budget,
        look=Look(reason=reason, family=family),
        use_cache=not no_cache,
        ray=ray,
        workers=workers,
        scoring_processes=scoring_processes,
        sampling=sampling,
        k=ks,
        **engine,
    )
    evaluation = evaluation_of(suite, tasks, given)
    names = expand(models)
    if estimate:
        from olmes.cli.estimate import show_estimates
        from olmes.runs.cost_estimate import estimate_all

        show_estimates(estimate_all(names, evaluation), as_json=as_json, several=several)
        return 0
    if push:
        from olmes.client.client import check_url

        check_url(push)
    evaluation.check()
    if push:
        from olmes.client.session import without_password

        aloud(f"live at {without_password(push).rstrip('/')}/runs.html")
        note_looks_of(push, evaluation)
    if several:
        return run_several(names, evaluation, push, as_json=as_json)
    record = evaluation.run_loaded(evaluation.load(names[0]), callback=progress_callback(push))
    page = write_page(record)
    try:
        show_outcome(record, page, as_json=as_json)
    finally:  # also where nobody reads it: `olmes run ... | head`
        sender = sender_to(push)
        if sender:
            sender.send(record.folder)
    there = sender is None or not sender.missing
    return 0 if record.complete and page is not None and there else 1


def evaluation_of(suite: str | None, tasks: Sequence[str], given: RunOptions) -> Evaluation:
    """What the command names: a suite, tasks, or a suite and further tasks."""
    from olmes.benchmark import registry
    from olmes.benchmark.naming import named_tasks
    from olmes.runs.evaluation import Evaluation

    chosen, members = registry.members(registry.load_suite(suite)) if suite else (None, [])
    wanted = list({task.name: task for task in (*members, *named_tasks(tasks))}.values())
    return Evaluation(wanted, chosen, given, say=aloud)


def note_looks_of(push: str, evaluation: Evaluation) -> None:
    """Have the looks count that a results server knows of, where this will be one."""
    from olmes.client.looks import note_looks
    from olmes.seal.held_out import held_out_tasks

    if held_out_tasks(evaluation.tasks, evaluation.suite):
        note_looks(push, say=lambda line: click.echo(f"! {line}", err=True))


def run_several(
    names: Sequence[str], evaluation: Evaluation, push: str | None, *, as_json: bool
) -> int:
    """Run models one after another in one warm process; 1 where one of them is not complete."""
    from olmes.cli.sequence import show_members, tell
    from olmes.sequence import run_sequence

    pages: dict[str, Path] = {}
    sender = sender_to(push)

    def ended(member: Member) -> None:
        if member.record:
            if page := write_page(member.record):
                pages[member.model] = page
            if sender:
                sender.send(member.record.folder)
        tell(member)

    members = run_sequence(names, evaluation, callback=lambda: progress_callback(push), ended=ended)
    try:
        show_members(members, pages, as_json=as_json)
    finally:
        there = sender is None or sender.finish()
    shown = all(member.model in pages for member in members)
    return 0 if all(member.complete for member in members) and shown and there else 1


def write_page(record: Record) -> Path | None:
    """Write the HTML report of a record beside it; None, and a line that says why, where it cannot."""
    from olmes.client.answers import in_words
    from olmes.reports.run_page import write_run_page

    page = record.folder / "report.html"
    try:
        write_run_page(record.folder, page)
    except Exception as error:  # the numbers are there all the same
        aloud(
            f"{page} could not be written: {in_words(error)} `olmes report {record.folder}` writes it."
        )
        return None
    return page


def sender_to(push: str | None) -> Sender | None:
    """What sends records to the results server, if there is one."""
    if not push:
        return None
    from olmes.client.sending import Sender

    return Sender(push, say=aloud)


def aloud(line: str) -> None:
    """A line on standard error."""
    click.echo(visible(line), err=True)


def progress_callback(push: str | None) -> RunCallback:
    """The callback that shows a run's progress: on the terminal, and on a results server."""
    from olmes.cli.progress import ProgressBars
    from olmes.requests.callbacks import CallbackList

    bars = ProgressBars()
    if not push:
        return bars
    from olmes.client.live import LiveProgress

    return CallbackList(bars, LiveProgress(push, say=bars.bars.console.print))
