"""The data card of a synthesis: what was made, by whom, what was kept and why; JSON, Markdown, HTML."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olmes.records.shown import MISSING, shown
from olmes.tools.jsonl import dumps, write_atomically
from olmes.tools.visible_text import one_line
from olmes.types import JsonObject

TEMPLATES = Path(__file__).parent / "templates"
Cell = str | int | None
"""A text, a count, or nothing; `share` and `shown` make texts of other numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of a card: sentences, then a table; either may be empty."""

    title: str
    text: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Cell, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What is told of a data set."""

    title: str
    summary: str
    """One sentence."""
    sections: tuple[Section, ...]
    data: JsonObject
    """The same and more, by name, for programs."""


def share(part: int, whole: int) -> str:
    """How much of a whole a part is, in percent, with its sign."""
    return f"{shown(part / whole, 'share')} %" if whole else MISSING


def cell(value: Cell) -> str:
    """A cell as it is shown, on one line."""
    if value is None or value == "":
        return MISSING
    return f"{value:,}" if isinstance(value, int) else one_line(value)


def markdown_cell(value: Cell) -> str:
    """A cell of a Markdown table: what would end it, or begin markup, is escaped."""
    text = cell(value)
    for mark in ("\\", "|", "<", "`", "*", "_", "["):
        text = text.replace(mark, f"\\{mark}")
    return text


def write_card(folder: Path, card: Card) -> tuple[Path, ...]:
    """Write `card.json`, `card.md` and `card.html`; nothing in them depends on the time."""
    files = (folder / "card.json", folder / "card.md", folder / "card.html")
    write_atomically(files[0], dumps({"title": card.title, **card.data}) + "\n")
    for file, template in zip(files[1:], ("card.md.jinja", "card.html.jinja"), strict=True):
        write_atomically(file, rendered(template, card))
    return files


def rendered(template: str, card: Card) -> str:
    """A card by one of the templates; what models wrote is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(("html.jinja",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"cell": cell, "markdown": markdown_cell}
    arguments: dict[str, Any] = {"card": card}
    return environment.get_template(template).render(**arguments)
