"""The one table of numbers: of one run, a line a metric; of several models, a line a model and task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from rich.console import Console, ConsoleOptions, RenderResult

from olmes.cli.wide_table import WideTable, Words, blank_table

INDENT = 2
"""Of a group's lines below its head, on a narrow terminal."""
NUMBERS = {
    "step": "step",
    "value": "value",
    "interval": "95 % interval",
    "n": "n",
    "truncated": "trunc.",
    "unparsed": "unparsed",
    "unfinished_thinking": "unfin.",
    "thought_marks": "marks",
}
"""Columns by what they hold, with their heads; those that are empty in every line are left out."""
ALWAYS = ("value", "interval", "n")
RED = "red"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of the table."""

    group: str
    """What it is of: a task, or a suite's mean."""
    head: str = ""
    """What stands for the group in this line: its name, the next its metric, then nothing."""
    name: str
    """Of a metric, or of a model; of a line without numbers a remark."""
    numbers: Mapping[str, str]
    """By column; none in a remark."""
    style: str | None = None


class NumbersTable:
    """Lines of numbers, in groups.

    Where a terminal is too narrow for the group's column it stands above its lines.
    """

    def __init__(self, group: str, name: str) -> None:
        """A table without lines; `group` and `name` are the heads of the two columns of words."""
        self.heads = group, name
        self.lines: list[Line] = []

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The table, as wide as it may be."""
        tables = self.wide(), self.narrow(), self.narrow(folded_counts=True)
        yield next((one for one in tables if one.whole(console, options)), tables[-1])

    @property
    def columns(self) -> dict[str, str]:
        """The columns that hold anything."""
        return {
            key: head
            for key, head in NUMBERS.items()
            if key in ALWAYS or any(line.numbers.get(key) for line in self.lines)
        }

    def groups(self) -> Iterable[Sequence[Line]]:
        """The lines that stand together."""
        return (tuple(lines) for _, lines in groupby(self.lines, key=lambda line: line.group))

    def wide(self) -> WideTable:
        """With a column of the groups."""
        columns = self.columns
        table = blank_table(*self.heads, *columns.values())
        for place, lines in enumerate(self.groups()):
            if place and (len(lines) > 1 or self.heads[1] == "model"):
                table.add_section()
            for line in lines:
                cells = (line.numbers.get(key, "") for key in columns)
                table.add_row(line.head, line.name, *cells, style=line.style)
        return table

    def narrow(self, *, folded_counts: bool = False) -> WideTable:
        """With the groups as heads above their lines; `541 (834 parts)` may be folded, too."""
        columns = self.columns
        table = blank_table(f"{self.heads[0]}, {self.heads[1]}", *columns.values(), words=1)
        for lines in self.groups():
            heads = " ".join(line.head for line in lines if line.head)
            table.add_row(heads, style="bold")
            for line in lines:
                if line.name:
                    numbers = dict(line.numbers)
                    if folded_counts:
                        numbers["n"] = numbers.get("n", "").replace(" ", "\n")
                    cells = (numbers.get(key, "") for key in columns)
                    table.add_row(Words(line.name, INDENT), *cells, style=line.style)
        return table
