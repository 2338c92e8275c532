"""A model's numbers beside a paper's, column by column, and which differences are more than chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from olmes import stats
from olmes.comparison.model_scores import ModelScores, ReadModel
from olmes.records.shown import count_over
from olmes.reproduction.chance import CHANCE, difference_of, leaves_out_0, mean_difference
from olmes.reproduction.measured import Measured, measured
from olmes.reproduction.paper import Chosen, Column, Paper, PaperSuite, Published
from olmes.stats import Difference, Estimate
from olmes.types import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One column of the paper: our number, the published one, and what lies between them."""

    column: str
    task: str
    subtask: str
    metric: str
    setting: str
    """The reported one, in words."""
    ours: Estimate
    unit: Unit
    count: str
    """Over how many items ours is."""
    published: Published | None
    difference: Difference | None
    """Ours less the published one; None without one, and on demo data."""
    beyond_chance: bool
    reported: bool
    """Whether ours is of the reported setting."""
    differs: list[str]
    """Why it is not."""
    notes: list[str]
    run: str
    formulation_hash: str
    max_tokens: int | None
    demo: bool
    marked: bool
    """Whether the difference is one that neither setting nor chance explains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A column that we have no number of."""

    column: str
    task: str
    metric: str
    why: str
    published: Published | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanOfBoth:
    """The unweighted mean over the columns that both sides have."""

    columns: list[str]
    ours: Estimate
    published: float
    difference: Difference | None
    beyond_chance: bool
    reported: bool
    marked: bool
    printed: Published | None
    """The paper's own mean, where the columns are all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A suite of the paper."""

    title: str
    held_out: bool
    rows: list[Row]
    beside: list[Row]
    """Not in the mean: other settings, sub-tasks."""
    missing: list[Missing]
    unpublished: list[str]
    """Columns that the paper has no number of for this model."""
    mean: MeanOfBoth | None
    order: list[str]
    """The columns of the mean as the paper has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """A paper's row beside ours."""

    paper: str
    source: str
    model: ReadModel
    published_model: str
    why: str
    """Why it is held against that model."""
    sections: list[Section]
    notes: list[str]
    chance: str = CHANCE


def reproduction(
    paper: Paper,
    model: ModelScores,
    chosen: Chosen,
    *,
    unseen: bool = False,
    notes: Sequence[str] = (),
) -> Reproduction:
    """A model's numbers beside those of a published one.

    Args:
        paper: whose tables.
        model: the records.
        chosen: the published model.
        unseen: whether held-out suites are shown.
        notes: what else must be said.
    """
    sections = [
        section_of(paper, suite, model, chosen.name)
        for suite in paper.head.sections.values()
        if unseen or not suite.held_out
    ]
    return Reproduction(
        paper=paper.head.name,
        source=paper.head.source,
        model=ReadModel.of(model),
        published_model=chosen.name,
        why=chosen.why,
        sections=sections,
        notes=[*notes, *paper.head.notes],
    )


def section_of(paper: Paper, suite: PaperSuite, model: ModelScores, published: str) -> Section:
    """The rows of one suite, and their mean."""
    rows: list[Row] = []
    missing: list[Missing] = []
    for name in suite.columns:
        column, number = paper.column(name), paper.published(published, name)
        found = measured(model, paper.task(name), column)
        if isinstance(found, str):
            missing.append(
                Missing(
                    column=name,
                    task=paper.task(name),
                    metric=column.metric,
                    why=found,
                    published=number,
                )
            )
        else:
            rows.append(row_of(name, column, found, number))
    beside = []
    for name in suite.beside:
        found = measured(model, paper.task(name), paper.column(name))
        if not isinstance(found, str):
            number = paper.published(published, name)
            beside.append(row_of(name, paper.column(name), found, number))
    printed = paper.published(published, suite.average)
    return Section(
        title=suite.title,
        held_out=suite.held_out,
        rows=rows,
        beside=beside,
        missing=missing,
        unpublished=[name for name in suite.columns if paper.published(published, name) is None],
        mean=mean_of_both(rows, printed if len(rows) == len(suite.columns) else None),
        order=list(suite.columns),
    )


def row_of(name: str, column: Column, found: Measured, published: Published | None) -> Row:
    """One column, with our number."""
    ours = found.estimate
    difference = None
    if published and not found.demo and found.unit == "share":
        difference = difference_of(ours, published.value, column)
    notes = [*found.notes, *([column.note] if column.note else [])]
    if published and published.misprint:
        notes.append(f"misprint in Table {published.table}: {published.misprint}")
    result = found.result
    # A sub-task's number is over its own items.
    count = f"{ours.n:,}" if found.subtask else count_over(ours.n, [result])
    beyond = leaves_out_0(difference) and not (published and published.misprint)
    return Row(
        column=name,
        task=found.task,
        subtask=found.subtask,
        metric=found.metric,
        setting=column.setting,
        ours=ours,
        unit=found.unit,
        count=count,
        published=published,
        difference=difference,
        beyond_chance=beyond,
        reported=not found.differs,
        marked=beyond and not found.differs,
        differs=list(found.differs),
        notes=notes,
        run=found.record.id,
        formulation_hash=result.formulation_hash,
        max_tokens=found.max_tokens,
        demo=found.demo,
    )


def mean_of_both(rows: Sequence[Row], printed: Published | None) -> MeanOfBoth | None:
    """The mean over the columns that both sides have; None where there is no such column.

    Demo data are not averaged with a benchmark's own, and alone they are held against nothing. The
    interval of the difference squares and adds the distances of the columns (Zou & Donner 2008).
    """
    both = [row for row in rows if row.published is not None and row.unit == "share"]
    used = [row for row in both if not row.demo] or both
    ours = stats.suite_mean({row.column: row.ours for row in used}, is_share=True)
    if ours is None:
        return None
    published = sum(row.published.value for row in used if row.published) / len(used)
    difference = None
    if not used[0].demo:
        difference = mean_difference([row.difference for row in used if row.difference])
    beyond, reported = leaves_out_0(difference), all(row.reported for row in used)
    whole = len(used) == len(rows)
    return MeanOfBoth(
        columns=[row.column for row in used],
        ours=ours,
        published=published,
        difference=difference,
        beyond_chance=beyond,
        reported=reported,
        marked=beyond and reported,
        printed=printed if whole else None,
    )
