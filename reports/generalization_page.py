"""The page of `olmes generalization`: development scores beside held-out ones, model by model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, get_args

from olmes.comparison.eligibility import NOT_STANDARD
from olmes.comparison.generalization import (
    Generalization,
    OverModels,
    PairOverModels,
    SideBySide,
)
from olmes.comparison.model_scores import ReadModel
from olmes.comparison.pair_texts import RowTexts, line_sentences, row_texts, title_of
from olmes.records.record import Record
from olmes.records.schema import DiagnosisCounts
from olmes.records.shown import LOWER, MARKS, NUMBER
from olmes.reports import numbers
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
from olmes.reports.notices import DEMO_DATA, ONLY_RUNS, Notice, changed_notice, demo_notice
from olmes.reports.page import render_page
from olmes.tools import jsonl

Side = Literal["dev", "unseen", "rewritten"]


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
    base: bool
    texts: RowTexts
    dev_link: str
    unseen_link: str
    rewritten_link: str
    dev_bar: numbers.Bar | None
    unseen_bar: numbers.Bar | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PairView:
    """A pair over all models."""

    title: str
    rewritten: str
    """The task of the third column; '' where there is none."""
    changed: bool
    """Whether any model has a change from the base."""
    note: str
    rows: tuple[RowView, ...]
    slopes: SlopeChart | None
    scatter: Scatter | None
    line: tuple[str, ...]
    """What the line through the models says; empty for one model."""


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
        "notices": [
            *(notice for record in pages.records.values() for notice in changed_notice(record)),
            *_notices(data.models),
        ],
        "base": models[data.base.index],
        "why_base": data.base.why,
        "pairs": [
            _pair(pair, data, models, pages) for pair in (*data.pairs, data.suites) if pair.anything
        ],
        "not_run": data.not_run,
        "legend": _legend([data.suites, *data.pairs]),
        "no_zero": data.no_zero,
        "conditional": data.conditional,
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
    return [demo_notice(text)]


def _legend(found: Sequence[OverModels]) -> str:
    """What the signs of the scores mean; '' where there are none."""
    scores = [
        one for over in found for row in over.rows for one in (row.dev, row.unseen, row.rewritten)
    ]
    used = {
        NOT_STANDARD: any(one and not one.standard for one in scores),
        LOWER: any(one and not one.higher_is_better for one in scores),
        NUMBER: any(one and one.unit == "number" for one in scores),
    }
    meanings = {NOT_STANDARD: "not the standard formulation", **MARKS}
    return "; ".join(f"{sign} {meanings[sign]}" for sign, on in used.items() if on)


class _Pages:
    """Links to the pages of the runs."""

    def __init__(self, output: Path, folders: Mapping[str, Path]) -> None:
        self.output = output
        self.records = {run: Record.load(folder) for run, folder in folders.items()}

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


def _pair(
    pair: OverModels, data: Generalization, models: Sequence[ModelView], pages: _Pages
) -> PairView:
    rows, title = pair.rows, title_of(pair)
    names = [model.name for model in models]
    several = len(models) > 1
    return PairView(
        title=title,
        rewritten=pair.rewritten if isinstance(pair, PairOverModels) else "",
        changed=any(row.change for row in rows),
        note="" if any(row.dev and row.unseen for row in rows) else "No model has both scores.",
        rows=tuple(
            _row(model, row, pair, pages, base=place == data.base.index)
            for place, (model, row) in enumerate(zip(models, rows, strict=True))
        ),
        slopes=slope_chart(title, names, rows),
        scatter=scatter(title, names, rows, pair.carried.carry_over),
        line=tuple(line_sentences(pair)) if several else (),
    )


def _row(
    model: ModelView, row: SideBySide, pair: OverModels, pages: _Pages, *, base: bool
) -> RowView:
    # Without a page of the run, the link leads to the model's section here, which names the runs.
    links = [
        _link_behind(side, row, pair, pages) or f"#model-{model.number}" for side in get_args(Side)
    ]
    bars = [
        numbers.bar(found.value, found.ci_low, found.ci_high, found.unit) if found else None
        for found in (row.dev, row.unseen)
    ]
    return RowView(
        model=model,
        base=base,
        texts=row_texts(row),
        dev_link=links[0],
        unseen_link=links[1],
        rewritten_link=links[2],
        dev_bar=bars[0],
        unseen_bar=bars[1],
    )


def _link_behind(side: Side, row: SideBySide, pair: OverModels, pages: _Pages) -> str:
    """The page behind one score of a row: of one task, or of several tasks of a run."""
    half = {"dev": row.dev, "unseen": row.unseen, "rewritten": row.rewritten}[side]
    if half is None:
        return ""
    runs = half.runs
    if isinstance(pair, PairOverModels) and len(runs) == 1:
        [(name, run)] = runs.items()
        return pages.samples(run, name)
    return pages.run(next(iter(runs.values())), "#main")


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
