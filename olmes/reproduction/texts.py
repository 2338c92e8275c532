"""The numbers of a reproduction as texts: one answer for the terminal, the page and LaTeX."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from olmes.records.shown import MISSING, difference_interval, interval, shown, shown_difference
from olmes.reproduction.paper import Published
from olmes.reproduction.reproduce import MeanOfBoth, Missing, Reproduction, Row, Section
from olmes.stats import Difference

MARK = "≠"
LEGEND = f"{MARK} larger than chance, in the reported setting"
HASH_DIGITS = 8
"""Of a formulation's hash, where there is little room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowText:
    """A row, or the mean below the rows."""

    task: str
    metric: str
    ours: str
    interval: str
    count: str
    published: str
    difference: str
    """With the mark."""
    difference_interval: str
    table: str
    setting: str
    """`reported`, `other`, `demo data`."""
    formulation: str
    tokens: str
    """New tokens a response could have."""


def row_text(row: Row) -> RowText:
    """A column of the paper."""
    return RowText(
        task=f"{row.task} / {row.subtask}" if row.subtask else row.task,
        metric=row.metric,
        ours=shown(row.ours.value, row.unit),
        interval=interval(row.ours.ci_low, row.ours.ci_high, row.unit),
        count=row.count,
        published=published_text(row.published),
        difference=difference_text(row.difference, marked=row.marked),
        difference_interval=ends_text(row.difference),
        table=row.published.table if row.published else MISSING,
        setting=setting_of(reported=row.reported, demo=row.demo),
        formulation=row.formulation_hash[:HASH_DIGITS],
        tokens=MISSING if row.max_tokens is None else f"{row.max_tokens:,}",
    )


def missing_text(missing: Missing) -> RowText:
    """A column that we have no number of."""
    nothing = dict.fromkeys(
        ("ours", "interval", "count", "difference", "difference_interval"), MISSING
    )
    published = missing.published
    return RowText(
        task=missing.task,
        metric=missing.metric,
        **nothing,
        published=published_text(published),
        table=published.table if published else MISSING,
        setting="missing",
        formulation="",
        tokens=MISSING,
    )


def suite_texts(section: Section) -> list[tuple[RowText, Row | None]]:
    """The paper's columns in its order, with our row of each that we have."""
    rows = {row.column: (row_text(row), row) for row in section.rows}
    gaps = {one.column: (missing_text(one), None) for one in section.missing}
    return [(rows | gaps)[name] for name in section.order]


def mean_text(mean: MeanOfBoth, section: Section) -> RowText:
    """The mean over the columns that both sides have."""
    of = [row for row in section.rows if row.column in mean.columns]
    return RowText(
        task="mean",
        metric=f"of {len(mean.columns)} {'task' if len(mean.columns) == 1 else 'tasks'}",
        ours=shown(mean.ours.value, "share"),
        interval=interval(mean.ours.ci_low, mean.ours.ci_high, "share"),
        count="",
        published=shown(mean.published, "share"),
        difference=difference_text(mean.difference, marked=mean.marked),
        difference_interval=ends_text(mean.difference),
        table=mean.printed.table if mean.printed else "",
        setting=setting_of(reported=mean.reported, demo=any(row.demo for row in of)),
        formulation="",
        tokens="",
    )


def setting_of(*, reported: bool, demo: bool) -> str:
    """Whether a number is of the reported setting, in a word or two."""
    return "demo data" if demo else "reported" if reported else "other"


def published_text(published: Published | None) -> str:
    """A published number as it is printed."""
    return MISSING if published is None else shown(published.value, "share")


def difference_text(difference: Difference | None, *, marked: bool) -> str:
    """Ours less the published number, with the mark where it has one."""
    if difference is None:
        return MISSING
    return shown_difference(difference.value, "share") + (f" {MARK}" if marked else "")


def ends_text(difference: Difference | None) -> str:
    """The interval of a difference."""
    if difference is None:
        return MISSING
    return difference_interval(difference.ci_low, difference.ci_high, "share")


def head_text(found: Reproduction) -> str:
    """Which row of which paper ours is held against, and why that one."""
    return f"{found.model.name} beside {found.published_model} of {found.paper} ({found.why})"


def sentences(section: Section) -> Iterator[str]:
    """What must be said below a section's rows: what is missing, what differs, what is noted."""
    yield from missing_sentences(section)
    if section.unpublished:
        yield f"not published for this model: {', '.join(section.unpublished)}"
    if (mean := section.mean) is not None:
        yield from mean_sentences(mean, section)
    rows = [*section.rows, *section.beside]
    yield from grouped((row.column, row.differs) for row in rows)
    yield from grouped((row.column, row.notes) for row in rows)


def grouped(said: Iterable[tuple[str, Sequence[str]]]) -> Iterator[str]:
    """What is said of columns, once for those of which the same is said."""
    columns: dict[str, list[str]] = {}
    for column, clauses in said:
        if clauses:
            columns.setdefault("; ".join(clauses), []).append(column)
    for clauses_of, names in columns.items():
        yield f"{', '.join(names)}: {clauses_of}"


def missing_sentences(section: Section) -> Iterator[str]:
    """Which columns we have no number of, by reason."""
    for why in dict.fromkeys(one.why for one in section.missing):
        names = [one.column for one in section.missing if one.why == why]
        yield f"missing: {', '.join(names)} ({why})"


def mean_sentences(mean: MeanOfBoth, section: Section) -> Iterator[str]:
    """Over which columns the mean is, where it is not over all; and the printed one."""
    without = [name for name in section.order if name not in mean.columns]
    if without:
        yield f"the mean is of what both have: without {', '.join(without)}"
    if (printed := mean.printed) is not None:
        said = f"; misprint: {printed.misprint}" if printed.misprint else ""
        yield f"the paper prints a mean of {published_text(printed)} (Table {printed.table}{said})"
