"""A leaderboard as Markdown and as LaTeX: best in bold, † where no difference from it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from olmes.comparison.boards import Board, mean_of, pairwise, unit_of
from olmes.comparison.items import SharedItems
from olmes.records.record import Record
from olmes.records.schema import HeldOut, MetricScore, Score
from olmes.records.shown import marks_of, shown
from olmes.tools.visible_text import one_line
from olmes.types import Unit

ALPHA = 0.05
LATEX_SPECIAL = str.maketrans(
    {
        "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
        "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
        "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
        # Signs for control characters, which few fonts have.
        **{chr(0x2400 + code): rf"\textbackslash{{}}x{code:02x}" for code in range(0x20)},
    }
)  # fmt: skip
LATEX_SIGNS = {"±": r"$\pm$", "†": r"$^\dagger$", "≥": r"$\geq$"}
MARKDOWN_SPECIAL = str.maketrans(
    {
        "\\": "\\\\",
        "|": r"\|",
        "<": "&lt;",
        "&": "&amp;",
        "[": r"\[",
        "]": r"\]",
        "`": r"\`",
        "*": r"\*",
    }
)
"""What would end a cell, or be a tag, a link or code where a name should be read."""
LeftOut = Sequence[tuple[Record, str]]
"""Runs that are on no board, with the reason."""


@dataclass(frozen=True, slots=True)
class TableCell:
    """One number of a table."""

    text: str
    best: bool = False
    alike: bool = False
    """No difference from the best of the column is shown (p >= 0.05, Holm over the column)."""


def cells(board: Board) -> list[list[TableCell]]:
    """The numbers of a board: a row a run, a column a task, the mean last."""
    items = SharedItems()
    columns = [
        column(board, [name], [record.tasks[name].score for record in board.records], items)
        for name in board.records[0].tasks
    ]
    if len(columns) > 1:
        means = [mean_score(record) for record in board.records]
        columns.append(column(board, list(board.records[0].tasks), means, items))
    return [list(row) for row in zip(*columns, strict=True)]


def mean_score(record: Record) -> MetricScore:
    """What a run is ranked by, with its unit and direction."""
    return MetricScore.of(
        mean_of(record), unit=unit_of(record), higher_is_better=record.run.higher_is_better
    )


def column(
    board: Board, names: list[str], scores: Sequence[MetricScore], items: SharedItems
) -> list[TableCell]:
    """One column: the best of it, and which runs are not shown to differ from that."""
    values = [required(score) for score in scores]
    top = max(values) if scores[0].higher_is_better else min(values)
    best = {at for at, value in enumerate(values) if value == top and len(values) > 1}
    alike = set()
    if best and (found := pairwise(board.records, names, items)):
        first = min(best)
        for pair, difference in found.items():
            if first in pair and difference.p_adjusted >= ALPHA:
                alike |= set(pair)
    return [
        TableCell(written(score, score.unit), at in best, at in alike - best)
        for at, score in enumerate(scores)
    ]


def required(score: Score) -> float:
    """The value of a run that can be ranked: it has one."""
    assert score.value is not None
    return score.value


def written(score: Score, unit: Unit) -> str:
    """`71.2 ± 1.4`: a score and half the width of its 95 % interval."""
    text = shown(score.value, unit)
    if score.ci_low is None or score.ci_high is None:
        return text
    return f"{text} ± {shown((score.ci_high - score.ci_low) / 2, unit)}"


def markdown(boards: Sequence[Board], left_out: LeftOut) -> str:
    """A Markdown table a board, then what must be known of them."""
    lines: list[str] = []
    for board in boards:
        table = cells(board)
        heads = heads_of(board, table)
        lines += [
            f"### {markdown_text(heading(board))}",
            "",
            row_of([markdown_text(head) for head in heads]),
            "|---|" + "---:|" * (len(heads) - 1),
        ]
        for record, row in zip(board.records, table, strict=True):
            texts = [
                f"**{cell.text}**" if cell.best else cell.text + ("†" if cell.alike else "")
                for cell in row
            ]
            lines.append(row_of([markdown_text(model_name(record)), *texts]))
        lines.append("")
    said = [*dict.fromkeys(note for board in boards for note in notes(board)), *absent(left_out)]
    return "\n".join([*lines, *(f"{markdown_text(note)}  " for note in said), ""])


def heading(board: Board) -> str:
    """Whose table it is, and why it cannot be set beside published numbers."""
    marks = {
        "not the standard formulation": not board.standard,
        "data differ from the official set": not board.official,
    }
    said = ", ".join(mark for mark, holds in marks.items() if holds)
    return board.title + (f" ({said})" if said else "")


def heads_of(board: Board, table: list[list[TableCell]]) -> list[str]:
    """The heads of the columns."""
    names = list(board.records[0].tasks)
    return ["model", *names, *(["mean"] if len(table[0]) > len(names) else [])]


def row_of(texts: Sequence[str]) -> str:
    """A row of a Markdown table."""
    return "| " + " | ".join(texts) + " |"


def markdown_text(text: str) -> str:
    """Text that a Markdown reader shows as it is, in one line."""
    return one_line(text).translate(MARKDOWN_SPECIAL)


def latex_text(text: str) -> str:
    """Text that LaTeX sets as it is, in one line."""
    text = one_line(text).translate(LATEX_SPECIAL)
    for sign, command in LATEX_SIGNS.items():
        text = text.replace(sign, command)
    return text


def latex(boards: Sequence[Board], left_out: LeftOut) -> str:
    """A LaTeX table (booktabs) a board with what must be known of it below; left-out runs as comments.

    The notes are set with the table: a held-out score must not be printed without its looks.
    """
    lines = [r"% \usepackage{booktabs}"]
    for board in boards:
        table = cells(board)
        heads = [latex_text(head) for head in heads_of(board, table)]
        lines += [
            f"% {one_line(heading(board))}",
            rf"\begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}",
            r"\toprule",
            " & ".join(heads) + r" \\",
            r"\midrule",
        ]
        for record, row in zip(board.records, table, strict=True):
            lines.append(
                " & ".join([latex_text(model_name(record)), *map(latex_cell, row)]) + r" \\"
            )
        lines += [r"\bottomrule", r"\end{tabular}", "", r"\smallskip"]
        lines += [rf"{{\footnotesize {latex_text(note)}\par}}" for note in notes(board)]
        lines.append("")
    return "\n".join([*lines, *(f"% {one_line(note)}" for note in absent(left_out)), ""])


def latex_cell(cell: TableCell) -> str:
    """A number as LaTeX."""
    text = cell.text.replace(" ± ", r"\,$\pm$\,")
    if cell.best:
        return rf"\textbf{{{text}}}"
    return text + (r"$^\dagger$" if cell.alike else "")


def model_name(record: Record) -> str:
    """What the user called the model."""
    return record.run.model.name


def notes(board: Board) -> list[str]:
    """What a reader must know of a table: how to read it, and what looks its held-out scores cost."""
    said = [
        "Percent ± half of the 95 % interval; † no difference from the best is shown (p ≥ 0.05)."
    ]
    tasks = board.records[0].tasks.items()
    said += [
        f"{name}: {', '.join(marks)}." for name, task in tasks if (marks := marks_of(task.score))
    ]
    for record in board.records:
        if held := record.run.held_out:
            said.append(
                f"{model_name(record)}: held-out tasks looked at after {counted_looks(held)} "
                f"of the family {held.family}; {dev_then(held)}."
            )
    return said


def counted_looks(held: HeldOut) -> str:
    """How many looks went before one."""
    before = held.looks_before
    return f"{before} earlier {'look' if before == 1 else 'looks'}"


def dev_then(held: HeldOut) -> str:
    """The development score at the time of a look."""
    dev = held.dev
    if dev is None or dev.value is None:
        return "no dev score then"
    return f"{dev.suite} score then {written(dev, dev.unit)}"


def absent(left_out: LeftOut) -> list[str]:
    """Runs that are in no table, with the reason."""
    return [f"Left out: {model_name(record)} ({why})." for record, why in left_out]
