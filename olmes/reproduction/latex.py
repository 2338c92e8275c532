"""A reproduction as LaTeX: a booktabs table a suite, with what must be known of it set below."""

from __future__ import annotations

from olmes.export.cell_text import latex_row, latex_text
from olmes.reproduction.reproduce import Reproduction, Section
from olmes.reproduction.texts import (
    LEGEND,
    RowText,
    head_text,
    mean_text,
    row_text,
    sentences,
    suite_texts,
)
from olmes.tools.visible_text import one_line

HEADS = (
    "Task", "Metric", "Ours", "95 % interval", "Published", "Difference", "Table", "Setting", "Hash",
)  # fmt: skip


def latex(found: Reproduction) -> str:
    """The tables; they need the package `booktabs`.

    The notes are set with each table: a number of another setting, or a held-out one without its
    looks, must not be printed alone.
    """
    lines = [r"% \usepackage{booktabs}"]
    for section in found.sections:
        lines += section_lines(found, section)
    return "\n".join([*lines, ""])


def section_lines(found: Reproduction, section: Section) -> list[str]:
    """One suite."""
    lines = [
        f"% {one_line(section.title)}: {one_line(head_text(found))}",
        r"\begin{tabular}{llrrrrlll}",
        r"\toprule",
        latex_row([latex_text(head) for head in HEADS]),
        r"\midrule",
        *(cells(text) for text, _ in suite_texts(section)),
    ]
    if section.mean is not None:
        lines += [r"\midrule", cells(mean_text(section.mean, section))]
    if section.beside:
        lines += [r"\midrule", *(cells(row_text(row)) for row in section.beside)]
    notes = [f"{head_text(found)}, {found.source}. {LEGEND}. Percent.", *sentences(section)]
    if section.held_out:
        notes += [
            f"look at held-out tasks after {look.looks_before} of the family {look.family}: "
            f"{look.reason}"
            for look in found.model.looks
        ]
    notes += [*found.notes, found.chance]
    return [
        *lines,
        r"\bottomrule",
        r"\end{tabular}",
        "",
        r"\smallskip",
        *(rf"{{\footnotesize {latex_text(note)}\par}}" for note in notes),
        "",
    ]


def cells(row: RowText) -> str:
    """A row."""
    texts = (
        row.task, row.metric, row.ours, row.interval, row.published, row.difference, row.table,
        row.setting, row.formulation,
    )  # fmt: skip
    return latex_row([latex_text(text) for text in texts])
