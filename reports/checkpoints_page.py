"""The page of a training: every score over its steps, and what the best checkpoint is worth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from olmes.comparison.overlap import run_overlap
from olmes.comparison.overlap_words import overlap_lines
from olmes.records.record import Record
from olmes.records.schema import HeldOut
from olmes.reports.checkpoint_scores import (
    CheckpointRecords,
    checkpoints_of,
    suite_series,
)
from olmes.reports.checkpoint_series import Series, series_of
from olmes.reports.checkpoint_views import PageView
from olmes.reports.held_out import look_line
from olmes.reports.line_charts import Drawings, FewPoints, LineChart, step_axis
from olmes.reports.notices import Notice, fallen, record_notices
from olmes.reports.page import render_page
from olmes.reports.scores import legend_of
from olmes.reports.training_curves import StageLog, stage_axis, stage_charts
from olmes.tools import jsonl

HEADING = 3
"""Tasks that head a stage where there is no suite's mean; the others are folded away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSection:
    """A stage on its own axis."""

    name: str
    about: str
    """How far it went, and where that is in the whole."""
    charts: Drawings
    """The suite, or the tasks of a training without one, unless the stage is the whole; the log."""
    tasks: Drawings
    more: Drawings


def write_checkpoints_page(
    checkpoints: Iterable[tuple[float, Record]],
    output: Path,
    *,
    log: Sequence[Mapping[str, Any]] = (),
    alarms: Sequence[str] = (),
    title: str = "",
    stages: Sequence[StageLog] = (),
    gone: Sequence[str] = (),
) -> Path:
    """Write the page of a training.

    Args:
        checkpoints: step and record of every run of it, development and held-out ones; steps counted
            on over the stages. May be empty: the page then has the curves alone.
        output: the HTML file to write.
        log: of a training of which no stages are known: rows of its log, `step` and numbers.
        alarms: warnings of a reward that rose while scores fell.
        title: name of the training; the family of its looks or the first model's name if empty.
        stages: each stage with its log.
        gone: names of records that could not be read, and so are not there.

    Returns:
        `output`.

    Raises:
        OlmesError: samples are damaged.
    """
    steps, left_out = checkpoints_of(checkpoints)
    if log and not stages:
        stages = [StageLog(rows=log)]
    ends = [stage.before + stage.last for stage in stages]
    drawn = [step.step for step in steps]
    axis = stage_axis(max([*drawn, *ends], default=0)) if stages else step_axis(drawn)
    view = PageView(steps, output, spans(stages))
    suite, tasks, unseen = series_of(steps)
    looks = suite_series(steps, held_out=True)
    context = {
        "title": title or _name(steps),
        "steps": [f"{step.step:,g}" for step in steps],
        "stages": ", ".join(
            f"{stage.name} to step {end:,g}{'' if stage.done else ' so far'}"
            for stage, end in zip(stages, ends, strict=True)
            if stage.name
        ),
        "several": len(stages) > 1,
        "notices": [
            *(Notice("stop", "A gamed reward?", text) for text in alarms),
            *([Notice("caution", "Records that are gone", ", ".join(gone))] if gone else []),
            *_notices(steps, left_out, staged=bool(stages)),
            *fallen([one.title for one in (suite, *tasks, *unseen) if one and one.fallen]),
        ],
        "suite_chart": Drawings.of([view.chart(suite, axis, looks)] if suite else []),
        "sections": [
            section(view, stage, suite, tasks, alone=len(stages) == 1)
            for stage in stages
            if stage.rows
        ],
        "suite_facts": view.facts(suite, looks) if suite else [],
        "charts": Drawings.of(view.chart(one, axis) for one in tasks),
        "unseen_charts": Drawings.of(view.unseen_chart(one, axis) for one in unseen),
        "standings": [
            view.standing(one)
            for one in (suite, *tasks, *unseen)
            if one and (one.best or one.alarm)
        ],
        "columns": [view.column(one) for one in (suite, *tasks, *unseen) if one],
        "legend": legend_of(one.metric for one in (suite, *tasks, *unseen) if one),
        "overlaps": _overlaps(steps),
        "looks": [
            _look(step, look)
            for step in steps
            for record in step.unseen
            if (look := record.run.held_out)
        ],
    }
    jsonl.write_atomically(
        output, render_page("checkpoints.html.jinja", context, scripts=("charts.js",))
    )
    return output


def spans(stages: Sequence[StageLog]) -> list[tuple[str, float, float]]:
    """Name, first and last step of each stage, where there are several."""
    found = [(stage.name, stage.before, stage.before + stage.last) for stage in stages]
    return found if len(found) > 1 else []


def section(
    view: PageView, stage: StageLog, suite: Series | None, tasks: Sequence[Series], *, alone: bool
) -> StageSection:
    """A stage's log, and in a chain its scores, on its own axis."""
    charts = stage_charts(stage)
    drawn: list[tuple[LineChart | FewPoints, ...]] = []
    for some in ([suite] if suite else [], tasks):
        found = (view.within(one, stage.before, stage.last, charts.axis) for one in some)
        drawn.append(() if alone else tuple(chart for chart in found if chart is not None))
    scores, others = drawn
    if not scores:
        scores, others = others[:HEADING], others[HEADING:]
    updates = f"{stage.last:,g} update{'' if stage.last == 1 else 's'}"
    whole = f", steps {stage.before + 1:,g} to {stage.before + stage.last:,g} of the whole"
    return StageSection(
        name=stage.name,
        about=f"{updates}{'' if alone else whole}"
        f"{'' if stage.done else '; not finished when this page was written'}",
        charts=Drawings.of([*scores, *charts.main]),
        tasks=Drawings.of(others),
        more=Drawings.of(charts.more),
    )


def _name(steps: Sequence[CheckpointRecords]) -> str:
    """The family of the models; older records have only their names."""
    models = [record.run.model for step in steps for record in (*step.dev, *step.unseen)]
    return models[0].family or models[0].name if models else "training"


def _overlaps(steps: Sequence[CheckpointRecords]) -> list[str]:
    """What items have in common with the training data, by the latest checkpoint that was scored."""
    latest: dict[str, str] = {}
    for step in steps:
        for record in (*step.dev, *step.unseen):
            found = run_overlap(record)
            for name, line in zip((*found.tasks, ""), overlap_lines(found), strict=False):
                latest[name or record.run.what] = f"Step {step.step:,g}: {line}"
    return list(latest.values())


def _look(step: CheckpointRecords, look: HeldOut) -> tuple[str, str, str]:
    line = f"{look_line(look)}; ledger line {look.ledger.number}"
    return f"{step.step:,g}", line, look.reason


def _has_family(step: CheckpointRecords) -> bool:
    return all(record.run.model.family for record in (*step.dev, *step.unseen))


def _notices(
    steps: Sequence[CheckpointRecords], left_out: Sequence[str], *, staged: bool
) -> list[Notice]:
    """What speaks against the numbers of any of the runs, each kind once."""
    found: dict[str, Notice] = {}
    runs: dict[str, list[str]] = {}
    for step in steps:
        for record in (*step.dev, *step.unseen):
            for notice in record_notices(record):
                found.setdefault(notice.title, replace(notice, link=""))
                runs.setdefault(notice.title, []).append(record.id)
    notices = [
        replace(
            notice,
            text=f"{notice.text} (In {len(runs[title])} of the runs, {runs[title][0]} first.)",
        )
        for title, notice in found.items()
    ]
    families = dict.fromkeys(_name([step]) for step in steps)
    if len(families) > 1 and not staged and all(map(_has_family, steps)):
        text = (
            f"{', '.join(families)}: one line through them says nothing; give one training's runs."
        )
        notices.append(Notice("stop", "Several trainings", text))
    notices += [Notice("stop", "Not in the ledger", text) for text in left_out]
    return sorted(notices, key=lambda notice: notice.level != "stop")
