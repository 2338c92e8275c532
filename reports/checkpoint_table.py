"""The checkpoints of trainings as tables: a step a row, the mean and the tasks as columns.

The same numbers as on the page of a training, from the same series; the best checkpoint of each column
is in bold.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from olmes.comparison.eligibility import NOT_STANDARD, reservations
from olmes.comparison.overlap import run_overlap
from olmes.comparison.overlap_words import OVERLAPS, OVERLAPS_MEANS
from olmes.errors import OlmesError
from olmes.export.cell_text import markdown_text
from olmes.export.table import (
    MEAN,
    Table,
    TableCell,
    TableColumn,
    TableOptions,
    arranged,
    check_columns,
    latex_table,
    markdown_table,
    written,
)
from olmes.export.tables import look_words
from olmes.records.record import Record
from olmes.records.schema import MetricScore, TaskResult
from olmes.records.shown import MISSING, count_over, interval, marks_of, shown, shown_thoughts
from olmes.reports.checkpoint_scores import CheckpointRecords, CheckpointScore, checkpoints_of
from olmes.reports.checkpoint_series import Series, series_of
from olmes.tools.visible_text import one_line

UNSEEN = "unseen: "
"""Before the name of a held-out task, as on the page."""


def checkpoints_markdown(checkpoints: Iterable[tuple[float, Record]], options: TableOptions) -> str:
    """A Markdown table a training.

    Args:
        checkpoints: step and record of every run.
        options: caption, columns and order.

    Raises:
        OlmesError: a column that is asked for is in no table.
    """
    tables, left_out = tables_of(checkpoints, options)
    lines = [line for table in tables for line in markdown_table(table)]
    return "\n".join([*lines, *(f"{markdown_text(note)}  " for note in left_out), ""])


def checkpoints_latex(checkpoints: Iterable[tuple[float, Record]], options: TableOptions) -> str:
    """A LaTeX table (booktabs) a training; arguments and errors as of `checkpoints_markdown`."""
    tables, left_out = tables_of(checkpoints, options)
    lines = [line for table in tables for line in latex_table(table)]
    comments = [f"% {one_line(note)}" for note in left_out]
    return "\n".join([r"% \usepackage{booktabs}", *lines, *comments, ""])


def tables_of(
    checkpoints: Iterable[tuple[float, Record]], options: TableOptions
) -> tuple[list[Table], list[str]]:
    """A table a training, and what is in none, with the reason."""
    trainings: dict[str, list[tuple[float, Record]]] = {}
    for step, record in checkpoints:
        model = record.run.model
        trainings.setdefault(model.family or model.name, []).append((step, record))
    left_out, made = [], []
    for name, own in trainings.items():
        steps, notes = checkpoints_of(own)
        left_out += [f"Left out: {note}." for note in notes]
        suite, tasks, unseen = series_of(steps)
        series = {one.task: one for one in tasks}
        for one in unseen:
            series[f"{UNSEEN}{one.task}" if one.task in series else one.task] = one
        made.append((name, steps, series | ({MEAN: suite} if suite else {})))
    check_columns({column: None for _, _, series in made for column in series}, options)
    tables = [table_of(*one, options) for one in made if any(one[2])]
    return arranged([table for table in tables if table.columns], options), left_out


def table_of(
    name: str,
    steps: Sequence[CheckpointRecords],
    series: dict[str, Series],
    options: TableOptions,
) -> Table:
    """One training."""
    wanted = {
        key: one for key, one in series.items() if not options.wanted or key in options.wanted
    }
    columns = [column_of(key, one, steps) for key, one in wanted.items()]
    heads = [column.head for column in columns]
    points = [point for one in wanted.values() for point in one.points]
    shares = any(one.unit == "share" for one in wanted.values())
    return Table(
        title=f"{name}: scores over training steps",
        about=f"{'Percent' if shares else 'Values'}, with the 95 % interval",
        first="step",
        names=[f"{step.step:,g}" for step in steps],
        columns=columns,
        notes=[
            *best_notes(heads, list(wanted.values())),
            *(
                f"{head}: {', '.join(marks)}."
                for head, one in zip(heads, wanted.values(), strict=True)
                if isinstance(one.metric, MetricScore) and (marks := marks_of(one.metric))
            ),
            *mark_notes(wanted, steps),
            *(
                [f"{OVERLAPS} {OVERLAPS_MEANS}."]
                if any(run_overlap(point.record).marked for point in points)
                else []
            ),
            *look_notes(steps),
            *thought_notes(steps),
        ],
    )


def column_of(name: str, one: Series, steps: Sequence[CheckpointRecords]) -> TableColumn:
    """A suite or a task over the steps."""
    points = {point.step: point for point in one.points}
    counts = {point.step: count_over(point.score.n, tasks_of(one, point)) for point in one.points}
    same = len(set(counts.values())) == 1
    best = one.points[one.best.index].step if one.best else None
    cells = []
    for step in (checkpoint.step for checkpoint in steps):
        if step not in points:
            cells.append(TableCell(MISSING))
            continue
        point = points[step]
        own = run_overlap(point.record)
        cells.append(
            TableCell(
                written(point.score, one.unit) + ("" if same else f" (n {counts[step]})"),
                best=step == best,
                overlaps=bool(own.marked & set(names_of(one, point))),
                marks=tuple(sign for sign in marks_at(one, point) if sign == NOT_STANDARD),
            )
        )
    record = one.points[-1].record
    title = record.run.title(one.task) if one.task else "Mean"
    held = record.run.held_out
    found = [points.get(checkpoint.step) for checkpoint in steps]
    return TableColumn(
        name=name,
        head=f"{UNSEEN}{title}" if held and one.task in held.tasks else title,
        cells=cells,
        count=next(iter(counts.values())) if same else "",
        values=tuple(point.score.value if point else None for point in found),
        higher_is_better=one.metric.higher_is_better,
    )


def names_of(one: Series, point: CheckpointScore) -> list[str]:
    """The tasks that a number is of."""
    return [one.task] if one.task else point.record.run.mean_tasks


def tasks_of(one: Series, point: CheckpointScore) -> list[TaskResult]:
    """Their results."""
    return [point.record.tasks[name] for name in names_of(one, point)]


def marks_at(one: Series, point: CheckpointScore) -> list[str]:
    """The short marks of a number."""
    return [found.mark for found in reservations(point.record.run, names_of(one, point))]


def best_notes(heads: Sequence[str], series: Sequence[Series]) -> list[str]:
    """What bold is, and what the choice of the best checkpoint is worth."""
    said = [
        f"{head} {shown(one.best.corrected, one.unit)} "
        f"{interval(one.best.ci_low, one.best.ci_high, one.unit)} "
        f"(step {one.points[one.best.index].step:,g})"
        for head, one in zip(heads, series, strict=True)
        if one.best
    ]
    if not said:
        return []
    return [f"Bold: the best checkpoint. Corrected for the choice: {', '.join(said)}."]


def mark_notes(series: dict[str, Series], steps: Sequence[CheckpointRecords]) -> list[str]:
    """What the numbers are not, each once, with the steps that it holds for."""
    found = [
        (point.step, f"{said.mark} {text}" if said.mark == NOT_STANDARD else text)
        for one in series.values()
        for point in one.points
        for said in reservations(point.record.run, names_of(one, point))
        if (text := f"{said.sentence[:1].upper()}{said.sentence[1:]}")
    ]
    return with_steps(found, len(steps))


def look_notes(steps: Sequence[CheckpointRecords]) -> list[str]:
    """What the looks at held-out tasks cost."""
    found = [
        (step.step, f"{words[:1].upper()}{words[1:]}")
        for step in steps
        for record in step.unseen
        if (held := record.run.held_out) and (words := look_words(held))
    ]
    return with_steps(found, len(steps))


def thought_notes(steps: Sequence[CheckpointRecords]) -> list[str]:
    """What went wrong with thoughts."""
    found = [
        (step.step, f"{record.run.title(name)}: {words}")
        for step in steps
        for record in (*step.dev, *step.unseen)
        for name, task in record.tasks.items()
        for words in shown_thoughts([task])
    ]
    return with_steps(found, len(steps))


def with_steps(found: Iterable[tuple[float, str]], count: int) -> list[str]:
    """Sentences, each once with the steps that it holds for, which are not named where all are."""
    steps: dict[str, dict[float, None]] = {}
    for step, text in found:
        steps.setdefault(text, {})[step] = None
    return [
        f"{text}{'' if len(at) == count else ' (step ' + ', '.join(f'{one:,g}' for one in at) + ')'}."
        for text, at in steps.items()
    ]


def by_step(records: Sequence[Record]) -> list[tuple[float, Record]]:
    """The records with the training steps of their checkpoints.

    Raises:
        OlmesError: a record does not say its step.
    """
    found = []
    for record in records:
        step = record.run.model.step
        if step is None:
            raise OlmesError(
                f"{record.id} does not say at which training step its model was written; leave it "
                "out, or give the checkpoint a folder name such as checkpoint-500 and run again."
            )
        found.append((float(step), record))
    return found


def of_trainings(records: Sequence[Record]) -> bool:
    """Whether all records are of checkpoints, and some training has several of them."""
    steps: dict[str, set[float]] = {}
    for record in records:
        model = record.run.model
        if model.step is None or not model.family:
            return False
        steps.setdefault(model.family, set()).add(float(model.step))
    return any(len(own) > 1 for own in steps.values())
