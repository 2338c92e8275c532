"""`olmes watch`: score the checkpoints another program writes into a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from olmes.cli import completion, options
from olmes.tools import jsonl

if TYPE_CHECKING:
    from olmes.judging.judges import Written
    from olmes.models.options import EngineOptions
    from olmes.requests.choosing import Limit
    from olmes.trainers.checkpoints.manifest import Keep
    from olmes.trainers.checkpoints.request import Policy


LOOKED_FOR = "folders named checkpoint-N, step_N, global_stepN_hf, iter_N, epoch_N or final"
"""What an empty folder is told of; others are known too."""


@click.command("watch")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--suite", shell_complete=completion.suites,
    help="A suite's name, or the path of its TOML file.  [default: dev]",
)  # fmt: skip
@options.task_option
@options.limit_option
@options.data_option
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"),
    show_default=True, help="Folder of the runs' folders and of the ledger.",
)  # fmt: skip
@options.set_option
@options.sampling_options
@options.judge_option
@click.option("--once", is_flag=True, help="Score what is there and end.")
@click.option(
    "--policy", type=click.Choice(["every", "latest", "one_behind"]), default="every",
    show_default=True, help="Every checkpoint in turn, the latest first, or only the newest.",
)  # fmt: skip
@click.option(
    "--keep", type=click.Choice(["best", "all", "none"]), default="best", show_default=True,
    help="Which checkpoints stay linked in OUT/checkpoints once they are scored.",
)  # fmt: skip
@click.option(
    "--interval", type=click.FloatRange(min=0.1), default=10.0, show_default=True,
    help="Seconds between two scans of the folder.",
)  # fmt: skip
@click.option(
    "--tokenizer", type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of a tokenizer, for checkpoints that are saved without one.",
)  # fmt: skip
@click.option("--reason", default="", help="Why held-out tasks are looked at; kept in the ledger.")
@click.option("--final", is_flag=True, help="Say that the training is over; for held-out tasks.")
@options.push_option
@options.engine_options
@options.json_option
@options.verbose_option
def command(
    folder: Path,
    suite: str | None,
    tasks: tuple[str, ...],
    limit: Limit | None,
    data: tuple[Path, ...],
    out: Path,
    settings: tuple[str, ...],
    judge: Written,
    once: bool,
    policy: Policy,
    keep: Keep,
    interval: float,
    tokenizer: Path | None,
    reason: str,
    final: bool,
    push: str | None,
    engine: EngineOptions,
    as_json: bool,
) -> int:
    """Score each checkpoint that appears in FOLDER, whatever trainer writes it.

    Takes Hugging Face folders whose name tells a step or an epoch (checkpoint-N, global_stepN_hf,
    iter_N, final, ...), or FOLDER itself, once they are complete, and says what it passes over. Stop
    it with Ctrl-C; the same command resumes. With --once the exit status is 1 when a checkpoint was
    refused or could not be scored, and when there was none.
    """
    # Imported here: `olmes --help` imports no trainer.
    from olmes.benchmark.naming import names_of
    from olmes.data.places import resolved_folders
    from olmes.errors import OlmesError
    from olmes.tools.places import OUT, writing
    from olmes.trainers.checkpoints.request import EvalRequest, absolute
    from olmes.trainers.checkpoints.scoring import ScoringOptions
    from olmes.trainers.checkpoints.watch import FolderWatch

    if suite and tasks:
        raise OlmesError("give --suite or --task, not both.")
    request = EvalRequest(
        target=tuple(map(absolute, names_of(tasks))) if tasks else absolute(suite or "dev"),
        out=str(out.resolve()),
        limit=limit,
        data=resolved_folders(data),
        settings=options.parse_settings(settings),
        judge=judge,
        reason=reason,
        final=final,
        asked_by="watcher",
        **engine,
    )
    with writing(out, OUT):
        watch = FolderWatch(
            folder,
            ScoringOptions(
                request=request, policy=policy, keep=keep, tokenizer=tokenizer, push=push or ""
            ),
            interval=interval,
            say=lambda line: click.echo(line, err=as_json),
        )
        if not once:
            click.echo(f"watching {folder}; scores in {watch.queue.folder}", err=True)
            watch.forever()
        jobs = watch.once()
    if not jobs and not watch.refused:
        click.echo(
            f"looked for {LOOKED_FOR} in {folder}, and for a model in the folder itself", err=True
        )
    scores = watch.queue.folder / "scores.jsonl"
    if as_json:
        rows = list(jsonl.read(scores)) if scores.exists() else []
        click.echo(jsonl.dumps({"folder": str(watch.queue.folder), "scores": rows}))
    failed = any(job.state == "failed" for job in jobs)
    return 1 if failed or watch.refused or not jobs else 0
