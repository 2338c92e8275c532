"""Leaderboards as Markdown and as LaTeX: best in bold, † where no difference from it is shown."""

from __future__ import annotations

from collections.abc import Sequence

from olmes.comparison.boards import Board, BoardColumn, tags_of
from olmes.comparison.items import SharedItems
from olmes.comparison.overlap import run_overlap
from olmes.comparison.overlap_words import OVERLAPS, OVERLAPS_MEANS, overlap_lines
from olmes.comparison.pairs import pairwise
from olmes.comparison.repeats import BoardRepeats, board_repeats
from olmes.export.cell_text import latex_row, latex_text, markdown_text, row_of
from olmes.export.table import (
    MEAN,
    Table,
    TableCell,
    TableColumn,
    TableOptions,
    arranged,
    check_columns,
    footnotes,
    latex_table,
    markdown_table,
    tabular,
    written,
)
from olmes.records.aggregate import run_mean
from olmes.records.record import Record
from olmes.records.schema import HeldOut
from olmes.records.shown import MISSING, count_over, marks_of, shown, shown_thoughts
from olmes.records.shown_repeats import RUN_SD, repeat_legend
from olmes.tools.visible_text import one_line

ALPHA = 0.05
LeftOut = Sequence[tuple[Record, str]]
"""Runs that are on no board, with the reason."""
DEFAULT = TableOptions()


def markdown(boards: Sequence[Board], left_out: LeftOut, options: TableOptions = DEFAULT) -> str:
    """A Markdown table a board, then what must be known of it; runs on no board at the end.

    Raises:
        OlmesError: a column that is asked for is on no board.
    """
    lines: list[str] = []
    for board, table in tables_of(boards, options):
        lines += markdown_table(table)
        for task in repeats_of(board, table):
            lines += [*markdown_repeats(board, task), ""]
    return "\n".join(
        [*lines, *(f"{markdown_text(note)}  " for note in absent(boards, left_out, options)), ""]
    )


def latex(boards: Sequence[Board], left_out: LeftOut, options: TableOptions = DEFAULT) -> str:
    """A LaTeX table (booktabs) a board with what must be known of it below; left-out runs as comments.

    The notes are set with the table: a held-out score must not be printed without its looks, nor one
    over some of the items without saying so.

    Raises:
        OlmesError: a column that is asked for is on no board.
    """
    lines = [r"% \usepackage{booktabs}"]
    for board, table in tables_of(boards, options):
        more = [line for task in repeats_of(board, table) for line in latex_repeats(board, task)]
        lines += latex_table(table, more)
    return "\n".join(
        [*lines, *(f"% {one_line(note)}" for note in absent(boards, left_out, options)), ""]
    )


def tables_of(boards: Sequence[Board], options: TableOptions) -> list[tuple[Board, Table]]:
    """The boards that have any of the chosen columns, as tables."""
    check_columns({one.name or MEAN: None for board in boards for one in board.columns()}, options)
    own = [board for board in boards if not options.columns or chosen(board, options)]
    tables = arranged([table_of(board, options) for board in own], options)
    return list(zip(own, tables, strict=True))


def chosen(board: Board, options: TableOptions) -> bool:
    """Whether a board has a column that was asked for."""
    return any((one.name or MEAN) in options.columns for one in board.columns())


def table_of(board: Board, options: TableOptions = DEFAULT) -> Table:
    """A board as a table."""
    columns = columns_of(board, options.wanted)
    shares = any(column.unit == "share" for column in board.columns())
    return Table(
        title=board.title,
        tags=tuple(tags_of(board)),
        about=f"{'Percent' if shares else 'Values'}, with the 95 % interval",
        names=[record.run.model.name for record in board.records],
        columns=columns,
        notes=notes(board, columns, options.sort),
    )


def columns_of(board: Board, names: Sequence[str] = ()) -> list[TableColumn]:
    """The columns of a board by name, a task each and the mean; all, the mean last, by default."""
    items = SharedItems(each=True)
    first, *others = board.columns()
    ordered = [*others, first] if not first.name else [first, *others]
    titles = [column.title for column in ordered]
    return [
        table_column(
            board, column, items, column.title if titles.count(column.title) == 1 else column.name
        )
        for column in ordered
        if not names or (column.name or MEAN) in names
    ]


def table_column(board: Board, column: BoardColumn, items: SharedItems, head: str) -> TableColumn:
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
        name=column.name or MEAN,
        head=head,
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
        values=column.values,
        higher_is_better=column.higher_is_better,
    )


def repeats_of(board: Board, table: Table) -> list[BoardRepeats]:
    """Tasks with several responses an item, of those that the table has."""
    names = {column.name for column in table.columns}
    return [task for task in board_repeats(board) if task.task in names]


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


def latex_repeats(board: Board, task: BoardRepeats) -> list[str]:
    """The table of a task with several responses an item, within the board's float."""
    heads, rows, legend = repeats_cells(board, task)
    cells = [
        latex_row([latex_text(row[0]), *(latex_text(cell).replace(" [", "~[") for cell in row[1:])])
        for row in rows
    ]
    return [
        "",
        r"\medskip\centering",
        *tabular([latex_text(head) for head in heads], cells),
        *footnotes([legend]),
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


def notes(board: Board, columns: Sequence[TableColumn], sorted_by: str) -> list[str]:
    """What a reader must know of a board: its marks, and what looks its held-out scores cost."""
    said = []
    reasons = {column.not_compared: column.head for column in columns if column.not_compared}
    if len(board.records) > 1 and not all(column.not_compared for column in columns):
        said.append("† no difference from the best is shown (p ≥ 0.05, Holm over the column).")
    if any(cell.overlaps for column in columns for cell in column.cells):
        said.append(f"{OVERLAPS} {OVERLAPS_MEANS}.")
    for why in reasons:
        heads = [column.head for column in columns if column.not_compared == why]
        whole = len(heads) == len(columns)
        said.append(f"{'N' if whole else ', '.join(heads) + ': n'}ot compared pair by pair: {why}.")
    if board.order_in_words and not sorted_by:
        said.append(f"{board.order_in_words}.")
    heads = {column.name: column.head for column in columns}
    for column in board.columns():
        if (marks := marks_of(column.scores[0])) and (column.name or MEAN) in heads:
            said.append(f"{heads[column.name or MEAN]}: {', '.join(marks)}.")
    for record in board.records:
        if held := record.run.held_out:
            said.append(f"{record.run.model.name}: {look_words(held)}.")
        said += [f"{record.run.model.name}, {line}." for line in overlap_lines(run_overlap(record))]
        said += [
            f"{record.run.model.name}, {name}: {words}."
            for name, task in record.tasks.items()
            for words in shown_thoughts([task])
        ]
    return said


def look_words(held: HeldOut) -> str:
    """What a look at held-out tasks cost."""
    return (
        f"held-out tasks looked at after {counted_looks(held)} of the family {held.family}; "
        f"{dev_then(held)}"
    )


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


def absent(boards: Sequence[Board], left_out: LeftOut, options: TableOptions) -> list[str]:
    """Runs that are in no table, with the reason and what number they have all the same."""
    lacking = [board for board in boards if options.columns and not chosen(board, options)]
    return [
        *(f"Left out: {board.title}, which has none of these columns." for board in lacking),
        *(f"Left out: {one.run.model.name}{own_number(one)} ({why})." for one, why in left_out),
    ]


def own_number(record: Record) -> str:
    """`, 71.2 [69.8, 72.5], n 400`: the run's mean; '' where it has none."""
    mean = run_mean(record.run)
    if mean is None or mean.value is None:
        return ""
    n = count_over(mean.n, [record.tasks[name] for name in record.run.mean_tasks])
    return f", {written(mean, mean.unit)}, n {n}"
