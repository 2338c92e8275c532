"""A table of scores as Markdown and as LaTeX: a run or a checkpoint a row, a number a column.

Captions say what the numbers are of, and what keeps them from being set beside published ones, in
words that no option takes away.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from olmes.comparison.overlap_words import OVERLAPS
from olmes.errors import OlmesError
from olmes.export.cell_text import (
    LATEX_SIGNS,
    latex_row,
    latex_text,
    markdown_text,
    row_of,
)
from olmes.records.schema import Score
from olmes.records.shown import shown, shown_interval
from olmes.tools.visible_text import one_line
from olmes.types import Unit

SIDE_BY_SIDE = 2
"""With more columns, LaTeX has the intervals below their scores, and heads in several lines."""
MEAN = "mean"
"""What the mean's column is called where columns are chosen."""


@dataclass(frozen=True, slots=True)
class TableOptions:
    """What a user may choose of tables."""

    caption: str = ""
    """In place of the title; what the numbers are not is said all the same."""
    label: str = ""
    """Of the first table; further ones have `-2`, `-3` ... behind it."""
    columns: tuple[str, ...] = ()
    """Tasks, and `mean`, in their order; all if empty."""
    sort: str = ""
    """The column that rows are sorted by, the best first; as they are ranked if empty."""

    @property
    def wanted(self) -> tuple[str, ...]:
        """The columns that must be made; empty for all."""
        return self.columns and (*self.columns, *([self.sort] if self.sort else ()))


@dataclass(frozen=True, slots=True)
class TableCell:
    """One number of a table."""

    text: str
    """With its interval, and with its n where the numbers of the column differ in it."""
    best: bool = False
    alike: bool = False
    """No difference from the best of the column is shown (p >= 0.05, Holm over the column)."""
    overlaps: bool = False
    """Items of it overlap with the training data."""
    marks: tuple[str, ...] = ()
    """What the number is not, where that differs from row to row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableColumn:
    """A column of a table."""

    name: str
    """By which it is chosen: the task, or `mean`."""
    head: str
    cells: list[TableCell]
    """One a row."""
    count: str = ""
    """The n of every number in it; '' where they differ and stand beside the numbers."""
    not_compared: str = ""
    """Why no run was held against the best of it; '' where all were, and of a board of one run."""
    values: tuple[float | None, ...] = ()
    """By which rows are sorted; one a row."""
    higher_is_better: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table with what must be known of it."""

    title: str
    tags: tuple[str, ...] = ()
    """What keeps its numbers from being set beside published ones."""
    about: str = ""
    """What the caption says after the title: units and intervals."""
    label: str = ""
    first: str = "model"
    """Head of the first column."""
    names: list[str]
    """Of the rows."""
    columns: list[TableColumn]
    notes: list[str]

    @property
    def heading(self) -> str:
        """Title and tags."""
        return self.title + (f" ({', '.join(self.tags)})" if self.tags else "")


def written(score: Score, unit: Unit) -> str:
    """`71.2 [69.8, 72.5]`: a score and its 95 % interval, which need not lie evenly about it."""
    text = shown(score.value, unit)
    return text if score.ci_low is None else f"{text} {shown_interval(score, unit)}"


def check_columns(known: Collection[str], options: TableOptions) -> None:
    """Refuse a column that no table has.

    Raises:
        OlmesError: there is one among those chosen or sorted by.
    """
    for name in (*options.columns, *([options.sort] if options.sort else ())):
        if known and name not in known:
            raise OlmesError(f"no table has a column '{name}'; choose from {', '.join(known)}.")


def arranged(tables: Sequence[Table], options: TableOptions) -> list[Table]:
    """The tables with the chosen columns in order, sorted, each with a caption and a label."""
    seen: Counter[str] = Counter()
    found = []
    for table in tables:
        table = with_columns(with_order(table, options.sort), options.columns)
        label = options.label or f"tab:{table.label or slug(table.title)}"
        seen[label] += 1
        number = f"-{seen[label]}" if seen[label] > 1 else ""
        title = options.caption or table.title
        found.append(replace(table, title=title, label=label + number))
    return found


def with_columns(table: Table, names: Sequence[str]) -> Table:
    """The table with some of its columns, in that order; those it lacks are left out."""
    if not names:
        return table
    own = {column.name: column for column in table.columns}
    return replace(table, columns=[own[name] for name in names if name in own])


def with_order(table: Table, name: str) -> Table:
    """The table sorted by a column, the best first; as it is where it lacks that."""
    column = next((one for one in table.columns if one.name == name), None)
    if column is None:
        return table
    worst = float("-inf")
    sign = 1 if column.higher_is_better else -1
    keys = [worst if value is None else sign * value for value in column.values]
    order = sorted(range(len(keys)), key=lambda place: keys[place], reverse=True)
    columns = [
        replace(
            one,
            cells=[one.cells[place] for place in order],
            values=tuple(one.values[place] for place in order),
        )
        for one in table.columns
    ]
    return replace(
        table,
        names=[table.names[place] for place in order],
        columns=columns,
        notes=[*table.notes, *([f"Sorted by {column.head}."] if len(order) > 1 else [])],
    )


def slug(text: str) -> str:
    """A title as part of a label: letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "scores"


def markdown_table(table: Table) -> list[str]:
    """A table and its notes as lines of Markdown."""
    columns = table.columns
    lines = [
        f"### {markdown_text(table.heading)}",
        "",
        row_of([table.first, *(markdown_text(column.head) for column in columns)]),
        "|---|" + "---:|" * len(columns),
    ]
    for place, name in enumerate(table.names):
        cells = [markdown_cell(column.cells[place]) for column in columns]
        lines.append(row_of([markdown_text(name), *cells]))
    if any(column.count for column in columns):
        lines.append(row_of(["n", *(column.count for column in columns)]))
    said = [f"{table.about}; n counts items.", *table.notes]
    return [*lines, "", *(f"{markdown_text(note)}  " for note in said), ""]


def markdown_cell(cell: TableCell) -> str:
    """A number as Markdown."""
    text = f"**{cell.text}**" if cell.best else cell.text + ("†" if cell.alike else "")
    marks = "".join(f" {markdown_text(mark)}" for mark in cell.marks)
    return text + (OVERLAPS if cell.overlaps else "") + marks


def latex_table(table: Table, more: Sequence[str] = ()) -> list[str]:
    """A table as a float (booktabs) with caption and label; its notes are set below it.

    Args:
        table: the table.
        more: lines of what is set in the same float, behind its notes.
    """
    columns = table.columns
    stacked = len(columns) > SIDE_BY_SIDE
    caption = f"{table.heading}. {table.about}; n counts items."
    return [
        f"% {one_line(table.heading)}",
        r"\begin{table}[htbp]",
        r"\centering",
        rf"\caption{{{latex_text(caption)}}}",
        rf"\label{{{latex_label(table.label)}}}",
        r"\smallskip",
        *([r"\setlength{\tabcolsep}{4pt}"] if stacked else []),
        *tabular(
            [latex_text(table.first), *(latex_head(column.head, stacked) for column in columns)],
            [
                latex_line(latex_text(name), [one.cells[place] for one in columns], stacked)
                for place, name in enumerate(table.names)
            ],
            ["$n$", *(latex_text(column.count) for column in columns)]
            if any(column.count for column in columns)
            else [],
        ),
        *footnotes(table.notes),
        *more,
        r"\end{table}",
        "",
    ]


def tabular(heads: Sequence[str], rows: Sequence[str], foot: Sequence[str] = ()) -> list[str]:
    """Heads, whole rows and a foot, which are LaTeX, as a table with rules."""
    return [
        rf"\begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}",
        r"\toprule",
        latex_row(heads),
        r"\midrule",
        *rows,
        *([r"\midrule", latex_row(foot)] if foot else []),
        r"\bottomrule",
        r"\end{tabular}",
    ]


def footnotes(notes: Sequence[str]) -> list[str]:
    """What must be known of a table, set below it: it must not be printed without."""
    if not notes:
        return []
    return [
        "",
        r"\smallskip\raggedright",
        *(rf"{{\footnotesize {latex_text(note)}\par}}" for note in notes),
    ]


def latex_head(text: str, stacked: bool) -> str:
    """The head of a column; stacked, a word a line."""
    words = [latex_text(word) for word in text.split()]
    if not stacked or len(words) < 2:
        return latex_text(text)
    return r"\shortstack[r]{\strut " + r" \\ ".join(words) + "}"


def latex_line(name: str, cells: Sequence[TableCell], stacked: bool) -> str:
    """A row; stacked, with the intervals in a line of their own below the numbers."""
    found = [latex_cell(cell, stacked) for cell in cells]
    line = latex_row([name, *(text for text, _ in found)])
    if not stacked:
        return line
    below = [rf"{{\scriptsize {interval}}}" if interval else "" for _, interval in found]
    return f"{line} {latex_row(['', *below])}[2pt]"


def latex_cell(cell: TableCell, stacked: bool) -> tuple[str, str]:
    """A number as LaTeX, and, stacked, its interval."""
    value, bracket, rest = cell.text.partition(" [")
    interval = latex_text(bracket + rest).strip()
    text = latex_text(value) + (f"~{interval}" if interval and not stacked else "")
    text = rf"\textbf{{{text}}}" if cell.best else text + (r"$^\dagger$" if cell.alike else "")
    text += LATEX_SIGNS[OVERLAPS] if cell.overlaps else ""
    return text + "".join(f" {latex_text(mark)}" for mark in cell.marks), interval


def latex_label(text: str) -> str:
    """A label without what LaTeX would read as a command."""
    return re.sub(r"[^\w:.+/-]+", "-", text, flags=re.ASCII)
