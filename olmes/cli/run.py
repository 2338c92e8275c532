"""`olmes run`: a suite or tasks on a model, to a record and its report."""

from __future__ import annotations

import importlib
from pathlib import Path

import click

from olmes.cli import options


@click.command("run")
@click.option("--suite", help="A suite's name, or the path of its TOML file.")
@click.option("--task", "tasks", multiple=True, help="A task's name or file; may be repeated.")
@click.option(
    "--model", default="smollm2", show_default=True,
    help="Hub id, folder, openai:NAME@URL, or replay:FILE.",
)  # fmt: skip
@click.option("--limit", type=int, help="Items a task, drawn with a fixed seed.")
@options.data_option
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"),
    show_default=True, help="Folder of the runs' folders and of the ledger.",
)  # fmt: skip
@options.set_option
@click.option("--judge", help="Model that judges, written as for --model; for tasks that need one.")
@click.option(
    "--judge-budget", type=click.IntRange(min=1), metavar="TOKENS",
    help="Tokens the judge may read and write in this run.",
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
@options.json_option
@options.verbose_option
def command(
    suite: str | None,
    tasks: tuple[str, ...],
    model: str,
    limit: int | None,
    data: Path | None,
    out: Path,
    settings: tuple[str, ...],
    judge: str | None,
    judge_budget: int | None,
    reason: str,
    family: str,
    engine: options.EngineOptions,
    ray: str | None,
    workers: int | None,
    scoring_processes: int | None,
    no_cache: bool,
    as_json: bool,
) -> int:
    """Run a suite or tasks on a model; write the record and its HTML report.

    The same command again goes on with a run that was stopped, and prints one that is finished.
    """
    from olmes import registry
    from olmes.api import load_judge, plan_run
    from olmes.cli.outcome import show_outcome
    from olmes.cli.progress import ProgressBars
    from olmes.judging.judge import Judge
    from olmes.models.spread import load_spread
    from olmes.run import run
    from olmes.seal.look import Look, check_look

    chosen, wanted = registry.members(registry.load_suite(suite)) if suite else (None, [])
    named = [registry.load_task(name) for name in tasks]
    wanted = list({task.name: task for task in (*wanted, *named)}.values())
    look = Look(reason=reason, family=family)
    check_look(wanted, chosen, look)
    loaded = load_spread(model, ray=ray, workers=workers, **engine)
    judging = Judge(model=load_judge(judge), budget=judge_budget) if judge else None
    plan = plan_run(
        wanted,
        loaded,
        suite=chosen,
        limit=limit,
        data=data,
        settings=options.parse_settings(settings),
        judged=judging is not None,
        say=lambda line: click.echo(line, err=True),
    )
    record = run(
        plan,
        loaded,
        out=out,
        judge=judging,
        look=look,
        use_cache=not no_cache,
        scoring_processes=scoring_processes,
        watcher=ProgressBars(),
    )
    page = record.folder / "report.html"
    # By name, because the engine knows no report.
    importlib.import_module("olmes.reports.run_page").write_run_page(record.folder, page)
    show_outcome(record, page, as_json=as_json)
    return 0 if record.complete else 1
