"""The page of `olmes generalization`: development scores beside held-out ones, model by model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from olmes.records.record import Record
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
from olmes.reports.links import HELD_OUT, samples_link
from olmes.reports.notices import Notice
from olmes.reports.page import render_page
from olmes.reports.places import page_link
from olmes.reports.scores import Score, score
from olmes.tools import jsonl


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
    dev: Score | None
    unseen: Score | None
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
    data: dict[str, Any], output: Path, folders: Mapping[str, Path] | None = None
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
        _model(number, model, len(data["models"]), pages)
        for number, model in enumerate(data["models"])
    ]
    pairs = [_pair(_title(pair), pair, models, pages) for pair in data["pairs"]]
    suites = data.get("suites")
    context = {
        "models": models,
        "notices": _notices(data["models"]),
        "suite": _pair("Suite means", suites, models, pages) if suites else None,
        "pairs": pairs,
        "costs": _costs(data["models"], data["diagnosis"], pages),
    }
    jsonl.write_atomically(output, render_page("generalization.html.jinja", context))
    return output


def _notices(models: Sequence[dict[str, Any]]) -> list[Notice]:
    """What speaks against the numbers as a whole."""
    told = [
        f"{model['name']}: {', '.join(model['sample_data'])}"
        for model in models
        if model.get("sample_data")
    ]
    if not told:
        return []
    text = (
        f"{'; '.join(told)}: scored on the built-in sample, a few dozen items written for this "
        "project. These numbers show that the program runs and nothing else."
    )
    return [Notice("stop", "Sample data: not comparable", text)]


def _title(pair: dict[str, Any]) -> str:
    return f"{', '.join(pair['dev'])} → {pair['unseen']}"


class _Pages:
    """The ways to the pages of the runs."""

    def __init__(self, output: Path, folders: Mapping[str, Path]) -> None:
        self.output = output
        self.records = {
            run: Record.load(folder) for run, folder in folders.items() if page_link(folder, output)
        }

    def run(self, run: str | None, fragment: str = "") -> str:
        """A place on a run's page; '' where there is no page."""
        record = self.records.get(run or "")
        return page_link(record.folder, self.output, fragment) if record else ""

    def samples(self, run: str | None, task: str, **filters: str) -> str:
        """The samples of a task, or what keeps them under seal."""
        record = self.records.get(run or "")
        if record and task in record.tasks and record.sealed(task):
            return self.run(run, HELD_OUT)
        return self.run(run, samples_link(task=task, **filters))


def _model(number: int, model: dict[str, Any], count: int, pages: _Pages) -> ModelView:
    return ModelView(
        number=number + 1,
        series=series_of(number, count),
        name=model["name"],
        fingerprint=model["fingerprint"],
        runs=tuple((run, pages.run(run)) for run in model["runs"]),
        looks=tuple(
            (look_line(look), date(look["time"]), look["reason"]) for look in model["looks"]
        ),
    )


def _pair(title: str, pair: dict[str, Any], models: list[ModelView], pages: _Pages) -> PairView:
    rows = pair["rows"]
    names = [model.name for model in models]
    carried = pair.get("carry_over")
    drawn = scatter(title, names, rows, carried)
    return PairView(
        title=title,
        note="" if any(row["gap"] for row in rows) else "No model has both scores.",
        rows=tuple(_row(model, row, pair, pages) for model, row in zip(models, rows, strict=True)),
        slopes=slope_chart(title, names, rows),
        scatter=drawn,
        carried=_carried(pair, carried) if drawn else "",
    )


def _row(model: ModelView, row: dict[str, Any], pair: dict[str, Any], pages: _Pages) -> RowView:
    gap = row["gap"] or {}
    # Without a page of the run, the model's own place here names the runs.
    dev, unseen = (
        score(
            row[side], metric=side, link=_behind(side, row, pair, pages) or f"#model-{model.number}"
        )
        if row[side]
        else None
        for side in ("dev", "unseen")
    )
    return RowView(
        model=model,
        dev=dev,
        unseen=unseen,
        gap=numbers.points(gap.get("value")),
        gap_interval=numbers.points_interval(gap.get("ci_low"), gap.get("ci_high")),
        left_out=", ".join(row["left_out"]),
    )


def _behind(side: str, row: dict[str, Any], pair: dict[str, Any], pages: _Pages) -> str:
    """The page behind one score of a row: of a suite, of one task, or of several tasks of a run."""
    runs = row.get("runs") or {}
    if side in runs:
        return pages.run(runs[side], "#main")
    names = [pair[side]] if side == "unseen" else list(pair.get("dev") or ())
    there = [name for name in names if name in runs]
    if len(there) == 1:
        return pages.samples(runs[there[0]], there[0])
    return pages.run(runs[there[0]], "#main") if there else ""


def _carried(pair: dict[str, Any], carried: dict[str, Any] | None) -> str:
    """What carries over, in the record's words, with the corrected slope and the rank test."""
    said = [pair.get("in_words") or pair.get("why") or ""]
    carried = carried or {}
    if carried.get("corrected_slope") is not None:
        ends = f"[{carried['corrected_low']:.2f}, {carried['corrected_high']:.2f}]"
        said.append(
            f"corrected for the noise of the dev scores: {carried['corrected_slope']:.2f} {ends}"
        )
    if rank := carried.get("spearman"):
        said.append(f"p = {rank['p_value']:.3f} for the rank correlation")
    return "; ".join(filter(None, said))


def _costs(
    models: list[dict[str, Any]], found: list[dict[str, Any]], pages: _Pages
) -> list[FormatCost]:
    """The diagnosis of every model, task by task."""
    return [
        format_cost(
            f"{task}, {model['name']}",
            of_model[task],
            partial(pages.samples, model.get("run_of", {}).get(task)),
            task=task,
        )
        for task in dict.fromkeys(task for of_model in found for task in of_model)
        for model, of_model in zip(models, found, strict=True)
        if task in of_model
    ]
