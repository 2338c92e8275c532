"""The page of a mix: what each source is worth to each task, round by round, and what is proposed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from olmes.comparison.ablations import Ablations
from olmes.comparison.mix_rounds import (
    DEV_ALONE,
    DEV_DECIDES,
    MixCell,
    MixReport,
    MixRound,
    PairTable,
    advice_line,
    cell_of,
    changes_text,
    head_of,
    notes_of,
    pair_table,
    rows_text,
)
from olmes.reports.notices import DEMO_DATA, ONLY_RUNS, Notice, demo_notice
from olmes.reports.page import render_page
from olmes.tools import jsonl


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantView:
    """A row of a table."""

    name: str
    rows: str
    """How many rows of each source."""
    kind: str
    cells: tuple[MixCell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableView:
    """Variants by tasks."""

    heads: tuple[tuple[str, int], ...]
    """A column's name, and over how many items it is."""
    variants: tuple[VariantView, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundView:
    """A round."""

    number: int
    proposed: str
    advice: tuple[tuple[str, bool], ...]
    """A line a source, and whether another weight is proposed."""
    dev: TableView
    unseen: TableView | None
    pairs: PairTable | None
    decided: str
    """By which scores."""


def write_mix_page(report: MixReport, output: Path) -> Path:
    """Write the page.

    Args:
        report: all finished rounds.
        output: the HTML file to write.

    Returns:
        `output`.
    """
    context = {
        "name": report.name,
        "stage": report.stage,
        "rounds": [round_view(one) for one in reversed(report.rounds)],
        "over_rounds": table_view(report.over_rounds) if report.over_rounds else None,
        "proposed": Path(report.proposed).name,  # beside the page
        "notices": demo_notices(report.rounds),
    }
    jsonl.write_atomically(output, render_page("mix.html.jinja", context))
    return output


def round_view(one: MixRound) -> RoundView:
    """A round, ready to be shown."""
    return RoundView(
        number=one.number,
        proposed=changes_text(one.advice),
        advice=tuple((advice_line(advice), advice.changes) for advice in one.advice),
        dev=table_view(one.dev),
        unseen=table_view(one.unseen) if one.unseen else None,
        pairs=pair_table(one),
        decided=DEV_DECIDES if one.unseen else DEV_ALONE,
    )


def table_view(found: Ablations) -> TableView:
    """A table, ready to be shown."""
    return TableView(
        heads=tuple((head_of(column), column.n) for column in found.columns),
        variants=tuple(
            VariantView(
                name=row.variant.name,
                rows=rows_text(row),
                kind=row.variant.kind,
                cells=tuple(cell_of(row, column) for column in found.columns),
            )
            for row in found.rows
        ),
        notes=tuple(f"{note[:1].upper()}{note[1:]}." for note in notes_of(found)),
    )


def demo_notices(rounds: Sequence[MixRound]) -> list[Notice]:
    """That numbers are of demo data."""
    tasks = dict.fromkeys(name for one in rounds for name in one.dev.demo_data)
    if not tasks:
        return []
    return [demo_notice(f"{', '.join(tasks)}: scored on {DEMO_DATA}. {ONLY_RUNS}")]
