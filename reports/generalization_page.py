"""The page of `olmes generalization`: development scores beside held-out ones, model by model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from olmes.comparison.generalization import (
    Generalization,
    OverModels,
    PairOverModels,
    ReadModel,
    SideBySide,
)
from olmes.records.record import Record
from olmes.records.schema import DiagnosisCounts
from olmes.records.shown import MARKS, NUMBER, difference_interval, shown_difference
from olmes.reports.dates import date
from olmes.reports.format_cost import FormatCost, format_cost
from olmes.reports.generalization_charts import (
    Scatter,
    SlopeChart,
    scatter,
    series_of,
    slope_chart,
)
from olmes.reports.held_out import look_line
from olmes.reports.links import HELD_OUT, page_link, samples_link
from olmes.reports.notices import DEMO, DEMO_DATA, ONLY_RUNS, Notice
from olmes.reports.page import render_page
from olmes.reports.scores import ScoreView, score_view
from olmes.stats import CarryOver
from olmes.tools import jsonl
from olmes.types import Unit

Side = Literal["dev", "unseen"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelView:
    """One model: who it is, its runs and its looks."""

    number: int
    series: int
    name: str
    fingerprint: str
    runs: tuple[tuple[str, str], ...]
    """Name and link of each; '' where no page of it is known."""
    looks: tuple[tuple[str, str, str], ...]
    """Which look and what was known then; when; why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowView:
    """One model's scores on a pair."""

    model: ModelView
    dev: ScoreView | None
    unseen: ScoreView | None
    gap: str
    gap_interval: str
    left_out: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PairView:
    """A pair over all models."""

    title: str
    note: str
    rows: tuple[RowView, ...]
    slopes: SlopeChart | None
    scatter: Scatter | None
    carried: str
    """Whether gains carry over, in words; '' below three models with both scores."""


def write_generalization_page(
    data: Generalization, output: Path, folders: Mapping[str, Path] | None = None
) -> Path:
    """Write the page.

    Args:
        data: as `olmes.comparison.generalization.generalization` made it.
        output: the HTML file to write.
        folders: where runs lie, by their id; those that have a page are linked to.

    Returns:
        `output`.
    """
    pages = _Pages(output, folders or {})
    models = [
        _model(number, model, len(data.models), pages) for number, model in enumerate(data.models)
    ]
    context = {
        "models": models,
        "notices": _notices(data.models),
        "suite": _pair("Suite means", data.suites, models, pages),
        "pairs": [_pair(_title(pair), pair, models, pages) for pair in data.pairs],
        "legend": _legend([data.suites, *data.pairs]),
        "costs": _costs(data.models, data.diagnosis, pages),
    }
    jsonl.write_atomically(output, render_page("generalization.html.jinja", context))
    return output


def _notices(models: Sequence[ReadModel]) -> list[Notice]:
    """What speaks against the numbers as a whole."""
    on_demo_data = [
        f"{model.name}: {', '.join(model.demo_data)}" for model in models if model.demo_data
    ]
    if not on_demo_data:
        return []
    text = f"{'; '.join(on_demo_data)}: scored on {DEMO_DATA}. {ONLY_RUNS}"
    return [Notice("stop", DEMO, text)]


def _legend(found: Sequence[OverModels]) -> str:
    """What the signs of the sides mean; '' where all of them are shares."""
    numbered = any("number" in row.units for one in found for row in one.rows)
    return f"{NUMBER} {MARKS[NUMBER]}" if numbered else ""


def _title(pair: PairOverModels) -> str:
    return f"{', '.join(pair.dev)} → {pair.unseen}"


class _Pages:
    """Links to the pages of the runs."""

    def __init__(self, output: Path, folders: Mapping[str, Path]) -> None:
        self.output = output
        self.records = {
            run: Record.load(folder) for run, folder in folders.items() if page_link(folder, output)
        }

    def run(self, run: str | None, fragment: str = "") -> str:
        """A link to a run's page; '' where there is no page."""
        record = self.records.get(run or "")
        return page_link(record.folder, self.output, fragment) if record else ""

    def samples(self, run: str | None, task: str, **filters: str) -> str:
        """The samples of a task, or what keeps them under seal."""
        record = self.records.get(run or "")
        if record and task in record.tasks and record.sealed(task):
            return self.run(run, HELD_OUT)
        return self.run(run, samples_link(task=task, **filters))


def _model(number: int, model: ReadModel, count: int, pages: _Pages) -> ModelView:
    return ModelView(
        number=number + 1,
        series=series_of(number, count),
        name=model.name,
        fingerprint=model.fingerprint,
        runs=tuple((run, pages.run(run)) for run in model.runs),
        looks=tuple((look_line(look), date(look.time), look.reason) for look in model.looks),
    )


def _pair(title: str, pair: OverModels, models: Sequence[ModelView], pages: _Pages) -> PairView:
    rows = pair.rows
    names = [model.name for model in models]
    drawn = scatter(title, names, rows, pair.carry_over)
    return PairView(
        title=title,
        note="" if any(row.gap for row in rows) else "No model has both scores.",
        rows=tuple(_row(model, row, pair, pages) for model, row in zip(models, rows, strict=True)),
        slopes=slope_chart(title, names, rows),
        scatter=drawn,
        carried=_carried(pair.in_words, pair.carry_over) if drawn else "",
    )


def _row(
    model: ModelView,
    row: SideBySide,
    pair: OverModels,
    pages: _Pages,
) -> RowView:
    sides: tuple[Side, Side] = ("dev", "unseen")
    # Without a page of the run, the link leads to the model's section here, which names the runs.
    dev, unseen = (
        score_view(
            found,
            metric=side,
            unit=unit,
            link=_link_behind(side, row, pair, pages) or f"#model-{model.number}",
        )
        if found
        else None
        for side, found, unit in zip(sides, (row.dev, row.unseen), row.units, strict=True)
    )
    gap = row.gap
    unit: Unit = "share" if row.units == ("share", "share") else "number"
    return RowView(
        model=model,
        dev=dev,
        unseen=unseen,
        gap=shown_difference(gap.value if gap else None, unit),
        gap_interval=difference_interval(
            gap.ci_low if gap else None, gap.ci_high if gap else None, unit
        ),
        left_out=", ".join(row.left_out),
    )


def _link_behind(side: Side, row: SideBySide, pair: OverModels, pages: _Pages) -> str:
    """The page behind one score of a row: of a suite, of one task, or of several tasks of a run."""
    runs = row.runs
    if side in runs:
        return pages.run(runs[side], "#main")
    if not isinstance(pair, PairOverModels):
        return ""
    names = pair.dev if side == "dev" else [pair.unseen]
    there = [name for name in names if name in runs]
    if len(there) == 1:
        return pages.samples(runs[there[0]], there[0])
    return pages.run(runs[there[0]], "#main") if there else ""


def _carried(in_words: str, carried: CarryOver) -> str:
    """What carries over, in words, with the corrected slope and the rank test."""
    parts = [in_words]
    if carried.corrected_slope is not None:
        ends = f"[{carried.corrected_low:.2f}, {carried.corrected_high:.2f}]"
        parts.append(
            f"corrected for the noise of the dev scores: {carried.corrected_slope:.2f} {ends}"
        )
    if carried.spearman:
        parts.append(f"p = {carried.spearman.p_value:.3f} for the rank correlation")
    return "; ".join(filter(None, parts))


def _costs(
    models: Sequence[ReadModel], found: Sequence[Mapping[str, DiagnosisCounts]], pages: _Pages
) -> list[FormatCost]:
    """The diagnosis of every model, task by task."""
    return [
        format_cost(
            f"{task}, {model.name}",
            of_model[task],
            partial(pages.samples, model.run_of.get(task)),
            task=task,
        )
        for task in dict.fromkeys(task for of_model in found for task in of_model)
        for model, of_model in zip(models, found, strict=True)
        if task in of_model
    ]
