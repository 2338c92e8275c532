"""A leaderboard as Markdown and as LaTeX: best in bold, † where no difference from it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from olmes.comparison.boards import Board, BoardColumn, tags_of
from olmes.comparison.items import SharedItems
from olmes.comparison.overlap import run_overlap
from olmes.comparison.overlap_words import OVERLAPS, OVERLAPS_MEANS, overlap_lines
from olmes.comparison.pairs import pairwise
from olmes.comparison.repeats import BoardRepeats, board_repeats
from olmes.records.record import Record
from olmes.records.schema import HeldOut, Score
from olmes.records.shown import MISSING, marks_of, shown, shown_interval, shown_thoughts
from olmes.records.shown_repeats import RUN_SD, repeat_legend
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
LATEX_SIGNS = {
    "†": r"$^\dagger$",
    "‡": r"$^\ddagger$",
    "→": r"$\to$",
    "≥": r"$\geq$",
    "≠": r"$\neq$",
    "−": "$-$",
}
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
    """With its interval, and with its n where the numbers of the column differ in it."""
    best: bool = False
    alike: bool = False
    """No difference from the best of the column is shown (p >= 0.05, Holm over the column)."""
    overlaps: bool = False
    """Items of it overlap with the training data."""


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column of a table."""

    head: str
    cells: list[TableCell]
    count: str
    """The n of every number in it; '' where they differ and stand beside the numbers."""
    not_compared: str
    """Why no run was held against the best of it; '' where all were, and of a board of one run."""


def columns_of(board: Board) -> list[TableColumn]:
    """The columns of a board: a task each, the mean last."""
    items = SharedItems(each=True)
    first, *others = board.columns()
    ordered = [*others, first] if not first.name else [first, *others]
    return [table_column(board, column, items) for column in ordered]


def table_column(board: Board, column: BoardColumn, items: SharedItems) -> TableColumn:
    """One column: the best of it, and which runs are not shown to differ from that."""
    top = (max if column.higher_is_better else min)(column.values)
    several = len(column.values) > 1
    best = {at for at, value in enumerate(column.values) if value == top and several}
    pairs = pairwise(board.records, column.tasks, items)
    alike = set()
    for pair, difference in pairs.differences.items():
        if min(best) in pair and difference.p_adjusted >= ALPHA:
            alike |= set(pair)
    beside = [f" (n {count})" if not column.count else "" for count in column.counts]
    return TableColumn(
        head=column.head,
        cells=[
            TableCell(
                written(score, score.unit) + n,
                at in best,
                at in alike - best,
                bool(run_overlap(board.records[at]).marked & set(column.tasks)),
            )
            for at, (score, n) in enumerate(zip(column.scores, beside, strict=True))
        ],
        count=column.count,
        not_compared=pairs.why_not if several else "",
    )


def written(score: Score, unit: Unit) -> str:
    """`71.2 [69.8, 72.5]`: a score and its 95 % interval, which need not lie evenly about it."""
    text = shown(score.value, unit)
    return text if score.ci_low is None else f"{text} {shown_interval(score, unit)}"


def markdown(boards: Sequence[Board], left_out: LeftOut) -> str:
    """A Markdown table a board, then what must be known of it; runs on no board at the end."""
    lines: list[str] = []
    for board in boards:
        columns = columns_of(board)
        lines += [
            f"### {markdown_text(heading(board))}",
            "",
            row_of(["model", *(markdown_text(column.head) for column in columns)]),
            "|---|" + "---:|" * len(columns),
        ]
        for record, *row in zip(board.records, *(column.cells for column in columns), strict=True):
            lines.append(row_of([markdown_text(record.run.model.name), *map(markdown_cell, row)]))
        if any(column.count for column in columns):
            lines.append(row_of(["n", *(column.count for column in columns)]))
        lines += ["", *(f"{markdown_text(note)}  " for note in notes(board, columns)), ""]
        for task in board_repeats(board):
            lines += [*markdown_repeats(board, task), ""]
    return "\n".join([*lines, *(f"{markdown_text(note)}  " for note in absent(left_out)), ""])


def markdown_repeats(board: Board, task: BoardRepeats) -> list[str]:
    """The table of a task with several responses an item."""
    heads, rows, legend = repeats_cells(board, task)
    return [
        row_of([markdown_text(head) for head in heads]),
        "|---|" + "---:|" * (len(heads) - 1),
        *(row_of([markdown_text(row[0]), *row[1:]]) for row in rows),
        "",
        f"{markdown_text(legend)}  ",
    ]


def repeats_cells(board: Board, task: BoardRepeats) -> tuple[list[str], list[list[str]], str]:
    """Heads, a row a run, and what the words mean, of several responses an item."""
    names = [column.name for column in task.columns]
    rows = [
        [
            record.run.model.name,
            *(
                written(score, task.unit) if (score := column.scores[place]) else MISSING
                for column in task.columns
            ),
            shown(task.noise[place], task.unit),
        ]
        for place, record in enumerate(board.records)
    ]
    legend = f"{task.metric}, several responses an item; {repeat_legend(names)}."
    return [f"{task.title}: model", *names, RUN_SD], rows, legend


def markdown_cell(cell: TableCell) -> str:
    """A number as Markdown."""
    text = f"**{cell.text}**" if cell.best else cell.text + ("†" if cell.alike else "")
    return text + (OVERLAPS if cell.overlaps else "")


def heading(board: Board) -> str:
    """Whose table it is, over which items, and why it cannot be set beside published numbers."""
    said = tags_of(board)
    return board.title + (f" ({', '.join(said)})" if said else "")


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

    The notes are set with the table: a held-out score must not be printed without its looks, nor one
    over some of the items without saying so.
    """
    lines = [r"% \usepackage{booktabs}"]
    for board in boards:
        columns = columns_of(board)
        lines += [
            f"% {one_line(heading(board))}",
            rf"\begin{{tabular}}{{l{'r' * len(columns)}}}",
            r"\toprule",
            latex_row(["model", *(latex_text(column.head) for column in columns)]),
            r"\midrule",
        ]
        for record, *row in zip(board.records, *(column.cells for column in columns), strict=True):
            lines.append(latex_row([latex_text(record.run.model.name), *map(latex_cell, row)]))
        if any(column.count for column in columns):
            counts = (latex_text(column.count) for column in columns)
            lines += [r"\midrule", latex_row(["$n$", *counts])]
        lines += [r"\bottomrule", r"\end{tabular}", "", r"\smallskip"]
        said = [f"{tag[:1].upper()}{tag[1:]}." for tag in tags_of(board)]
        lines += [
            rf"{{\footnotesize {latex_text(note)}\par}}" for note in [*said, *notes(board, columns)]
        ]
        for task in board_repeats(board):
            lines += ["", *latex_repeats(board, task)]
        lines.append("")
    return "\n".join([*lines, *(f"% {one_line(note)}" for note in absent(left_out)), ""])


def latex_repeats(board: Board, task: BoardRepeats) -> list[str]:
    """The table of a task with several responses an item."""
    heads, rows, legend = repeats_cells(board, task)
    return [
        rf"\begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}",
        r"\toprule",
        latex_row([latex_text(head) for head in heads]),
        r"\midrule",
        *(
            latex_row([latex_text(row[0]), *(cell.replace(" [", "~[") for cell in row[1:])])
            for row in rows
        ),
        r"\bottomrule",
        r"\end{tabular}",
        "",
        r"\smallskip",
        rf"{{\footnotesize {latex_text(legend)}\par}}",
    ]


def latex_row(texts: Sequence[str]) -> str:
    """A row of a LaTeX table."""
    return " & ".join(texts) + r" \\"


def latex_cell(cell: TableCell) -> str:
    """A number as LaTeX."""
    text = cell.text.replace(" [", "~[")
    found = rf"\textbf{{{text}}}" if cell.best else text + (r"$^\dagger$" if cell.alike else "")
    return found + (LATEX_SIGNS[OVERLAPS] if cell.overlaps else "")


def notes(board: Board, columns: Sequence[TableColumn]) -> list[str]:
    """What a reader must know of a table: how to read it, and what looks its held-out scores cost."""
    shares = any(column.unit == "share" for column in board.columns())
    said = [f"{'Percent' if shares else 'Values'}, with the 95 % interval; n counts items."]
    reasons = {column.not_compared: column.head for column in columns if column.not_compared}
    if len(board.records) > 1 and not all(column.not_compared for column in columns):
        said.append("† no difference from the best is shown (p ≥ 0.05, Holm over the column).")
    if any(cell.overlaps for column in columns for cell in column.cells):
        said.append(f"{OVERLAPS} {OVERLAPS_MEANS}.")
    for why in reasons:
        heads = [column.head for column in columns if column.not_compared == why]
        whole = len(heads) == len(columns)
        said.append(f"{'N' if whole else ', '.join(heads) + ': n'}ot compared pair by pair: {why}.")
    if board.order_in_words:
        said.append(f"{board.order_in_words}.")
    for column in board.columns():
        if marks := marks_of(column.scores[0]):
            said.append(f"{column.head}: {', '.join(marks)}.")
    for record in board.records:
        if held := record.run.held_out:
            said.append(
                f"{record.run.model.name}: held-out tasks looked at after {counted_looks(held)} "
                f"of the family {held.family}; {dev_then(held)}."
            )
        said += [f"{record.run.model.name}, {line}." for line in overlap_lines(run_overlap(record))]
        said += [
            f"{record.run.model.name}, {name}: {words}."
            for name, task in record.tasks.items()
            for words in shown_thoughts([task])
        ]
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
    return [f"Left out: {record.run.model.name} ({why})." for record, why in left_out]
