"""`olmes score`: recorded responses, scored without a model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from olmes.cli import completion, options
from olmes.errors import OlmesError

if TYPE_CHECKING:
    from olmes.data.dataset import Dataset
    from olmes.records.schema import ResponseRow
    from olmes.runs.rescoring import Rescored
    from olmes.types import JsonObject


@click.command("score")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--task", required=True, metavar="TASK", shell_complete=completion.tasks,
    help="A task's name or file.",
)  # fmt: skip
@options.data_option
@options.set_option
@click.option(
    "--reasoning-tags", metavar="TAGS",
    help="Marks round a thought: '<think>,</think>', a family's name, or none; without it, the marks "
    "that a response opens with.",
)  # fmt: skip
@click.option("--verdicts", type=click.Path(path_type=Path), help="Write one JSON row a response.")
@click.option("--scoring-processes", type=click.IntRange(min=1), help="Scoring processes.")
@options.k_option
@options.sandbox_option
@options.reason_option
@options.ledger_option
@options.texts_option
@click.option("--family", default="", help="Name under which looks at held-out tasks are counted.")
@options.json_option
@options.verbose_option
def command(
    file: Path,
    task: str,
    data: tuple[Path, ...],
    settings: tuple[str, ...],
    reasoning_tags: str | None,
    verdicts: Path | None,
    scoring_processes: int | None,
    ks: tuple[int, ...],
    reason: str,
    out: Path,
    texts: bool,
    family: str,
    as_json: bool,
) -> int:
    """Score the recorded responses of FILE (JSON lines) without a model.

    A row has `response` and either `doc_id` (row in the official file, with `subtask` where a
    benchmark has one file a sub-task) or an inline `doc` with that file's fields. Of a task that
    weighs continuations it has `logprobs` instead, one summed value a continuation. A row's
    `reasoning` is what was thought before the response; marks of a thought in the response are taken
    out. Of a judged task a row's `judgements` are the judge's answers. A samples file of a run
    (samples/TASK.jsonl) is read as well. To score a held-out task's real items is a look and needs
    --reason. Of gated items the verdicts hold ids, values and letters; with --texts the rest.
    """
    from olmes.benchmark.naming import one_task
    from olmes.data.resolve import resolve
    from olmes.models.options import Asking
    from olmes.models.recorded_rows import read_recorded
    from olmes.models.replay import ReplayModel
    from olmes.runs.needs import check_extras
    from olmes.runs.planning import judged_command, with_settings
    from olmes.runs.rescoring import needs_data, score_recorded, verdict_of_gated, verdict_row
    from olmes.runs.score_sheet import MARKS_LEFT
    from olmes.seal.look import Look
    from olmes.seal.sight import Sight, gated_in, take_sight
    from olmes.tools import jsonl

    [scorer] = with_settings([one_task(task, "score")], options.parse_settings(settings))
    reader = Asking(reasoning_tags=reasoning_tags).reader()
    recorded = read_recorded(file)
    if scorer.judged and any(row.judgements is None for row in recorded):
        raise OlmesError(
            f"{scorer.name} needs a judge; run `{judged_command(scorer, f'replay:{file}')}` instead, "
            "or give `judgements` in every row."
        )
    dataset = None
    if needs_data(recorded):
        dataset = resolve(scorer, data, say=lambda line: click.echo(line, err=True), prompts=False)
        for note in scorer.data_notes():
            click.echo(f"{scorer.name}: {note}", err=True)
    sight = Sight(
        event="score",
        task=scorer,
        items=len(recorded),
        dataset=dataset,
        docs=[row.doc for row in recorded if row.doc is not None],
        data=data,
        model=ReplayModel(f"replay:{file}", file),
    )
    look = Look(reason=reason, family=family or family_of(file))
    check_extras([scorer])
    sealed = take_sight(sight, out, look) is not None
    closed = gated_in(sight) and not texts
    scored = score_recorded(
        scorer, recorded, dataset, scoring_processes=scoring_processes, reader=reader, k=ks
    )
    if verdicts is not None:
        row_of = verdict_of_gated if closed else verdict_row
        jsonl.write(verdicts, (row_of(row) for row in scored.rows))
    if as_json:
        click.echo(jsonl.dumps(summary(scored, dataset)))
    else:
        from olmes.cli.tables import console, legend, metrics_table, print_repeats

        console().print(metrics_table({scorer.name: scored}))
        console().print(legend({scorer.name: scored}), style="dim")
        print_repeats(console(), {scorer.name: scored})
        if verdicts is not None:
            click.echo(f"verdicts  {verdicts}")
    for why, count in broken(scored.rows).most_common(3):
        # A scorer's own words quote the item that it broke on.
        because = "" if sealed or closed else f": {why}"
        click.echo(f"olmes: {count} could not be scored{because}", err=True)
    if left := scored.counts["thought_marks"]:
        click.echo(f"olmes: {left} {MARKS_LEFT}.", err=True)
    return 1 if scored.counts["crashed"] else 0


def family_of(file: Path) -> str:
    """The family of the model that answered, where the file is a run's own samples; else ''."""
    from olmes.records.record import RUN_FILE, Record

    folder = file.resolve().parent.parent
    if file.resolve().parent.name != "samples" or not (folder / RUN_FILE).is_file():
        return ""
    try:
        return Record.load(folder).run.model.family or ""
    except OlmesError:
        return ""


def summary(scored: Rescored, dataset: Dataset | None) -> JsonObject:
    """The numbers as JSON."""
    from olmes.tools.as_json import as_json

    return {
        "task": scored.task.name,
        "n": scored.numbers.n,
        "metrics": as_json(scored.metrics),
        "subtasks": as_json(scored.numbers.subtasks),
        "counts": scored.counts,
        "primary": scored.primary,
        "standard": scored.standard,
        "formulation_hash": scored.task.formulation_hash,
        "repeats": as_json(scored.repeats),
        "data": as_json(dataset.recorded()) if dataset else None,
    }


def broken(rows: Sequence[ResponseRow]) -> Counter[str]:
    """Why responses could not be scored, each reason with how many there are."""
    return Counter(row["note"] for row in rows if "crashed" in row["flags"])
