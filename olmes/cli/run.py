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
    "--model", default="smollm2", show_default=True, help="Hub id, folder, or replay:FILE."
)
@click.option("--limit", type=int, help="Items a task, drawn with a fixed seed.")
@options.data_option
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"),
    show_default=True, help="Folder of the runs' folders.",
)  # fmt: skip
@options.set_option
@click.option("--batch-size", type=click.IntRange(min=1), help="Responses generated together.")
@click.option(
    "--max-length", type=click.IntRange(min=2), help="Window in tokens; at most the model's."
)
@click.option("--dtype", help="Precision; float32 on a CPU, the checkpoint's own on a GPU.")
@click.option("--device", help="cpu, cuda, cuda:1, mps; the best there is when not given.")
@click.option("--workers", type=click.IntRange(min=1), help="Scoring processes.")
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
    batch_size: int | None,
    max_length: int | None,
    dtype: str | None,
    device: str | None,
    workers: int | None,
    no_cache: bool,
    as_json: bool,
) -> int:
    """Run a suite or tasks on a model; write the record and its HTML report.

    The same command again goes on with a run that was stopped, and prints one that is finished.
    """
    from olmes import jsonl, registry
    from olmes.api import plan_run
    from olmes.cli.progress import ProgressBars
    from olmes.cli.tables import console, legend, record_table
    from olmes.models.spec import load_model
    from olmes.run import run

    chosen = registry.load_suite(suite) if suite else None
    names = dict.fromkeys([*(chosen.tasks if chosen else ()), *tasks])
    engine = load_model(
        model, batch_size=batch_size, max_length=max_length, dtype=dtype, device=device
    )
    plan = plan_run(
        [registry.load_task(name) for name in names],
        engine,
        suite=chosen,
        limit=limit,
        data=data,
        settings=options.parse_settings(settings),
        say=lambda line: click.echo(line, err=True),
    )
    record = run(
        plan, engine, out=out, use_cache=not no_cache, workers=workers, watcher=ProgressBars()
    )
    page = record.folder / "report.html"
    # By name, because the engine knows no report.
    importlib.import_module("olmes.reports.run_page").write_run_page(record.folder, page)
    if as_json:
        click.echo(jsonl.dumps(record.data | {"folder": str(record.folder), "report": str(page)}))
    else:
        screen = console()
        screen.print(record_table(record))
        screen.print(legend(record.tasks), style="dim")
        for warning in record.data["warnings"]:
            screen.print(f"! {warning}", style="yellow", soft_wrap=True)
        screen.print(f"record  {record.folder / 'run.json'}", soft_wrap=True)
        screen.print(f"report  {page}", soft_wrap=True)
    return 0 if record.complete else 1
