"""Tables that a narrow terminal gets whole: names fold at their joints, numbers are never cut."""

from __future__ import annotations

import copy
import dataclasses
import re
from collections.abc import Sequence

from rich import box
from rich.cells import cell_len, chop_cells
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from olmes.tools.visible_text import visible

WORDS = 2
"""Columns of words at the beginning of a table."""
MOST_OF_A_WORD = 24
"""Letters of a word that are kept together."""
LEAST_OF_A_COLUMN = 12
"""Letters that a column of words has, where it needs so many."""
JOINT = re.compile(r"(?<=[\s/_])|(?<=[-:,;@])(?![\d\s])")
"""Where a name may be folded; the parts of a date or a number stay together."""


class Words:
    """Text of a cell that folds between words and behind the joints of a name.

    Only a piece that is longer than the column is folded anywhere.
    """

    def __init__(self, text: str, indent: int = 0) -> None:
        self.lines = visible(text).split("\n")
        self.indent = indent

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The lines, as many as the width needs."""
        room = max(1, options.max_width - self.indent)
        for line in self.lines:
            for part in folded(line, room):
                yield Text(" " * self.indent + part, no_wrap=True, overflow="crop", end="\n")

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """From the longest piece to the longest line."""
        pieces = [cell_len(one.rstrip()) for line in self.lines for one in JOINT.split(line)]
        whole = max(map(cell_len, self.lines), default=0)
        return Measurement(max(pieces, default=0) + self.indent, whole + self.indent)


def folded(line: str, width: int) -> list[str]:
    """A line in parts that are no wider than `width`, folded at its joints as far as possible."""
    found = [""]
    for piece in JOINT.split(line):
        if cell_len((found[-1] + piece).rstrip()) <= width:
            found[-1] += piece
            continue
        found[-1] = found[-1].rstrip()
        found += chop_cells(piece, width) if cell_len(piece.rstrip()) > width else [piece]
    return [part.rstrip() for part in found if part.strip()] or [""]


class WideTable(Table):
    """A table that a narrow terminal gets in parts, each with its first `words` columns.

    rich would shrink those until they are gone.
    """

    words: int = WORDS

    def add_row(self, *cells: RenderableType | None, **options: object) -> None:
        """Add a row; text in columns that may fold does so at its joints."""
        fitted = [
            Words(cell) if isinstance(cell, str) and not column.no_wrap else cell
            for cell, column in zip(cells, self.columns, strict=False)
        ]
        super().add_row(*fitted, *cells[len(fitted) :], **options)  # type: ignore[arg-type]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The table, or its parts one below the other."""
        for part in self.parts(console, options):
            yield from super(WideTable, part).__rich_console__(console, options)

    def parts(self, console: Console, options: ConsoleOptions) -> list[WideTable]:
        """As few tables as have room for whole words and whole numbers."""
        wide = options.update(max_width=10_000)
        words = list(range(min(self.words, len(self.columns))))
        found: list[list[int]] = []
        for number in range(len(words), len(self.columns)):
            chosen = [*found[-1], number] if found else []
            if not found or self.of(chosen).needs(console, wide) > options.max_width:
                found.append([*words])
            found[-1].append(number)
        parts = [self.of(chosen) for chosen in found or [words]]
        for part in parts:
            part.fit(console, wide, options.max_width)
        return parts

    def whole(self, console: Console, options: ConsoleOptions) -> bool:
        """Whether it has room in one piece."""
        return self.needs(console, options.update(max_width=10_000)) <= options.max_width

    def needs(self, console: Console, wide: ConsoleOptions) -> int:
        """The width where names are folded as far as they may be."""
        sizes = self.sizes(console, wide)
        return self.width_at(sizes, [least for least, _ in sizes])

    def fit(self, console: Console, wide: ConsoleOptions, room: int) -> None:
        """Set the width of columns that fold, the widest of them narrowed first."""
        sizes = self.sizes(console, wide)
        widths = [most for _, most in sizes]
        while self.width_at(sizes, widths) > room:
            spare = [at for at, (least, _) in enumerate(sizes) if widths[at] > least]
            if not spare:
                break
            widths[max(spare, key=lambda at: widths[at])] -= 1
        for column, width in zip(self.columns, widths, strict=True):
            column.width = None if column.no_wrap else width

    def sizes(self, console: Console, wide: ConsoleOptions) -> list[tuple[int, int]]:
        """The least and the most width of each column."""
        found = []
        for column in self.columns:
            cells = [
                Measurement.get(console, wide, cell) for cell in (*column.cells, column.header)
            ]
            most = max(column.min_width or 0, *(cell.maximum for cell in cells))
            piece = max(cell.minimum for cell in cells)
            least = min(most, max(piece, LEAST_OF_A_COLUMN), MOST_OF_A_WORD)
            found.append((most if column.no_wrap else least, most))
        return found

    def width_at(self, sizes: Sequence[tuple[int, int]], widths: Sequence[int]) -> int:
        """The width of the whole table with columns so wide: each with a space behind it."""
        return sum(widths) + len(sizes) + 1 + (len(sizes) - 1)

    def of(self, chosen: list[int]) -> WideTable:
        """The table with some of its columns alone."""
        part = copy.copy(self)
        part.columns = [
            dataclasses.replace(self.columns[number], _index=place)
            for place, number in enumerate(chosen)
        ]
        return part


def blank_table(*columns: str, words: int = WORDS) -> WideTable:
    """A plain table whose first columns are words and whose others are numbers.

    A narrow terminal folds names at their joints; numbers are never cut.

    Args:
        columns: their heads.
        words: how many of them are words.
    """
    table = WideTable(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.words = words
    for position, column in enumerate(columns):
        if position < words:
            table.add_column(column, overflow="fold")
        else:
            table.add_column(column, justify="right", no_wrap=True, min_width=len(column))
    return table
