"""The rounds of a mix as tables of a paper (its Tables 9, 10 and 32), and as one row a number."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator

from olmes.comparison.ablations import MEAN, Ablations
from olmes.comparison.mix_rounds import (
    MixCell,
    MixReport,
    MixRound,
    advice_line,
    cell_of,
    head_of,
    notes_of,
    pair_table,
)
from olmes.export.cell_text import latex_row, latex_text, markdown_text, row_of
from olmes.export.formats import inert
from olmes.tools.visible_text import one_line

CSV_FIELDS = (
    "round", "suite", "mix", "kind", "source", "task", "n", "seeds", "score", "difference", "ci_low",
    "ci_high", "p_holm", "verdict",
)  # fmt: skip


def tables_of(report: MixReport) -> Iterator[tuple[str, Ablations]]:
    """Every table of a report with its title, the newest round first."""
    for one in reversed(report.rounds):
        yield f"{report.name}, round {one.number}: dev", one.dev
        if one.unseen is not None:
            yield f"{report.name}, round {one.number}: unseen", one.unseen
    if report.over_rounds is not None:
        yield f"{report.name}: the full mixes of the rounds", report.over_rounds


def texts_of(
    found: Ablations, text: Callable[[str], str], cell: Callable[[MixCell], str]
) -> list[list[str]]:
    """Heads, a row a variant, then over how many items each column is."""
    return [
        ["mix", *(text(head_of(column)) for column in found.columns)],
        *(
            [text(row.variant.name), *(cell(cell_of(row, column)) for column in found.columns)]
            for row in found.rows
        ),
        ["n", *(f"{column.n:,}" for column in found.columns)],
    ]


def mix_markdown(report: MixReport) -> str:
    """Markdown tables with what must be known of each, and the advice of each round."""
    lines: list[str] = []
    for title, found in tables_of(report):
        heads, *rows = texts_of(found, markdown_text, lambda cell: markdown_text(cell.line))
        lines += [
            f"### {markdown_text(title)}", "", row_of(heads), "|---|" + "---:|" * (len(heads) - 1),
            *map(row_of, rows), "", *(f"{markdown_text(note)}.  " for note in notes_of(found)), "",
        ]  # fmt: skip
    for one in reversed(report.rounds):
        if table := pair_table(one):
            lines += [
                f"### {markdown_text(report.name)}, round {one.number}: dev / unseen", "",
                row_of([markdown_text(head) for head in table.heads]),
                "|---|" + "---:|" * (len(table.heads) - 1),
                *(row_of([markdown_text(cell) for cell in row]) for row in table.rows), "",
            ]  # fmt: skip
        lines += [f"Proposed after round {one.number}:", ""]
        lines += [*(f"- {markdown_text(advice_line(advice))}" for advice in one.advice), ""]
    return "\n".join(lines)


def mix_latex(report: MixReport) -> str:
    """LaTeX tables (booktabs) with their notes set below."""
    lines = [r"% \usepackage{booktabs}"]
    for title, found in tables_of(report):
        lines += latex_table(title, texts_of(found, latex_text, latex_cell), notes_of(found))
    for one in reversed(report.rounds):
        if table := pair_table(one):
            texts = [[latex_text(cell) for cell in row] for row in (table.heads, *table.rows)]
            lines += latex_table(pair_title(report, one), texts, [])
    return "\n".join([*lines, ""])


def pair_title(report: MixReport, one: MixRound) -> str:
    """Of a table of development beside unseen."""
    return f"{report.name}, round {one.number}: dev / unseen"


def latex_cell(cell: MixCell) -> str:
    """A score and its difference; in bold where the full mixture is shown to be another."""
    if not cell.difference:
        return cell.score
    text = latex_text(f"{cell.score} ({cell.difference})")
    return rf"\textbf{{{text}}}" if cell.verdict in ("better", "worse") else text


def latex_table(title: str, texts: list[list[str]], notes: list[str]) -> list[str]:
    """One of them."""
    heads, *rows = texts
    said = [note for note in notes if not note.startswith("▲")]
    if len(said) < len(notes):
        said.insert(1, "bold where the difference is shown")
    return [
        f"% {one_line(title)}",
        rf"\begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}",
        r"\toprule", latex_row(heads), r"\midrule", *map(latex_row, rows), r"\bottomrule",
        r"\end{tabular}", "", r"\smallskip",
        *(rf"{{\footnotesize {latex_text(note)}.\par}}" for note in [title, *said]), "",
    ]  # fmt: skip


def mix_csv(report: MixReport) -> str:
    """One row a variant and task, as numbers; scores and differences in the metric's own unit."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_FIELDS)
    for one in report.rounds:
        for suite, found in (("dev", one.dev), ("unseen", one.unseen)):
            for row in found.rows if found else ():
                for column in found.columns if found else ():
                    difference = row.differences.get(column.name)
                    numbers = (
                        (
                            difference.difference, difference.ci_low, difference.ci_high,
                            difference.p_adjusted, difference.verdict,
                        ) if difference else ("",) * 5
                    )  # fmt: skip
                    variant = row.variant
                    name = "mean" if column.name == MEAN else column.name
                    values = (
                        one.number, suite, variant.name, variant.kind, variant.source, name, column.n,
                        found.seeds if found else "", row.scores[column.name], *numbers,
                    )  # fmt: skip
                    writer.writerow([inert(value) for value in values])
    return stream.getvalue()
