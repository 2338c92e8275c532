"""The page of `olmes reproduce`: a paper's published numbers beside a model's, task by task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from olmes.records.record import Record
from olmes.reports import numbers
from olmes.reports.dates import date
from olmes.reports.held_out import look_line
from olmes.reports.links import HELD_OUT, page_link, samples_link
from olmes.reports.notices import DEMO_DATA, ONLY_RUNS, Notice, changed_notice, demo_notice
from olmes.reports.page import render_page
from olmes.reproduction.reproduce import Reproduction, Row, Section
from olmes.reproduction.texts import (
    LEGEND,
    RowText,
    head_text,
    mean_sentences,
    mean_text,
    row_text,
    suite_texts,
)
from olmes.tools import jsonl


@dataclass(frozen=True, slots=True, kw_only=True)
class RowView:
    """One column of the paper."""

    text: RowText
    why_missing: str = ""
    """'' where we have a number."""
    link: str = ""
    """The samples behind our number; '' where no page of the run is known."""
    setting: str = ""
    """The reported one, in words."""
    formulation_hash: str = ""
    marked: bool = False
    bar: numbers.Bar | None = None
    published_bar: numbers.Bar | None = None
    differs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionView:
    """A suite of the paper."""

    title: str
    rows: tuple[RowView, ...]
    mean: RowText | None
    mean_marked: bool
    mean_notes: tuple[str, ...]
    beside: tuple[RowView, ...]
    unpublished: tuple[str, ...]
    looks: tuple[tuple[str, str, str], ...]
    """Which look and what was known then; when; why."""


def write_reproduction_page(
    found: Reproduction, output: Path, folders: Mapping[str, Path] | None = None
) -> Path:
    """Write the page.

    Args:
        found: as `olmes.reproduction.reproduce.reproduction` made it.
        output: the HTML file to write.
        folders: where runs lie, by their id; those that have a page are linked to.

    Returns:
        `output`.
    """
    records = {run: Record.load(folder) for run, folder in (folders or {}).items()}
    pages = _Pages(output, records)
    context = {
        "head": head_text(found),
        "found": found,
        "sections": [_section(section, found, pages) for section in found.sections],
        "runs": [(run, pages.run(run)) for run in found.model.runs],
        "notices": [
            *(notice for record in records.values() for notice in changed_notice(record)),
            *_notices(found),
        ],
        "legend": LEGEND,
    }
    jsonl.write_atomically(output, render_page("reproduction.html.jinja", context))
    return output


class _Pages:
    """Links to the pages of the runs."""

    def __init__(self, output: Path, records: Mapping[str, Record]) -> None:
        self.output = output
        self.records = records

    def run(self, run: str, fragment: str = "") -> str:
        """A link to a run's page; '' where there is no page."""
        record = self.records.get(run)
        return page_link(record.folder, self.output, fragment) if record else ""

    def samples(self, row: Row) -> str:
        """The samples of a row's task, or what keeps them under seal."""
        record = self.records.get(row.run)
        if record and row.task in record.tasks and record.sealed(row.task):
            return self.run(row.run, HELD_OUT)
        chosen = {"task": row.task} | ({"subtask": row.subtask} if row.subtask else {})
        return self.run(row.run, samples_link(**chosen))


def _notices(found: Reproduction) -> list[Notice]:
    """That numbers are of demo data, which are held against nothing."""
    rows = [row for section in found.sections for row in section.rows if row.demo]
    if not rows:
        return []
    text = f"{', '.join(row.column for row in rows)}: scored on {DEMO_DATA}. {ONLY_RUNS}"
    return [demo_notice(text)]


def _section(section: Section, found: Reproduction, pages: _Pages) -> SectionView:
    mean = section.mean
    why = {one.task: one.why for one in section.missing}
    return SectionView(
        title=section.title,
        rows=tuple(
            _row(row, pages) if row else RowView(text=text, why_missing=why.get(text.task, ""))
            for text, row in suite_texts(section)
        ),
        mean=mean_text(mean, section) if mean else None,
        mean_marked=bool(mean and mean.marked),
        mean_notes=tuple(mean_sentences(mean, section)) if mean else (),
        beside=tuple(_row(row, pages) for row in section.beside),
        unpublished=tuple(section.unpublished),
        looks=tuple(
            (look_line(look), date(look.time), look.reason)
            for look in (found.model.looks if section.held_out else ())
        ),
    )


def _row(row: Row, pages: _Pages) -> RowView:
    published = row.published
    return RowView(
        text=row_text(row),
        link=pages.samples(row),
        setting=row.setting,
        formulation_hash=row.formulation_hash,
        marked=row.marked,
        bar=numbers.bar(row.ours.value, row.ours.ci_low, row.ours.ci_high, row.unit),
        published_bar=numbers.bar(published.value, None, None, "share") if published else None,
        differs=tuple(row.differs),
        notes=tuple(row.notes),
    )
