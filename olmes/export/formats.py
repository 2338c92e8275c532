"""Records in the formats people carry on with: tables for a paper, files for other programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from olmes.comparison.boards import boards_of
from olmes.errors import OlmesError
from olmes.export.frame import number_frame_of
from olmes.export.number_rows import number_rows
from olmes.export.table import TableOptions
from olmes.export.tables import DEFAULT, latex, markdown
from olmes.records.record import Record
from olmes.tools import jsonl
from olmes.tools.visible_text import visible
from olmes.types import JsonObject

if TYPE_CHECKING:
    import pandas

Format = Literal["md", "csv", "latex", "parquet", "json"]
FORMATS: tuple[Format, ...] = get_args(Format)
SUFFIXES: dict[str, Format] = {
    ".md": "md", ".csv": "csv", ".tex": "latex", ".parquet": "parquet", ".json": "json",
}  # fmt: skip
PAGES = (".html", ".htm")
"""Endings of a page."""
FRAMES: tuple[Format, ...] = ("csv", "parquet", "json")
"""One row a number."""

FORMULA = ("=", "+", "-", "@", "\t", "\n")
"""With these a cell begins that a spreadsheet computes."""


def export(
    records: Sequence[Record],
    form: Format,
    output: Path | None,
    options: TableOptions = DEFAULT,
) -> str | None:
    """Records in one of the formats; written to `output`, or returned as text.

    `md` and `latex` are the tables of a leaderboard, one row a run; `csv`, `parquet` and `json` have
    one row a number (`olmes.load`). In `csv` a name that a spreadsheet would take for a formula has an
    apostrophe before it.

    Raises:
        OlmesError: `parquet` without a file to write; a column that is on no board.
    """
    if form in ("md", "latex"):
        table = markdown if form == "md" else latex
        return delivered(table(*boards_of(records), options), output)
    return export_rows(number_rows(records), number_frame_of, form, output)


def export_rows(
    rows: Iterable[JsonObject],
    frame: Callable[[Iterable[JsonObject]], pandas.DataFrame],
    form: Format,
    output: Path | None,
) -> str | None:
    """Rows as `csv`, `json` or `parquet`; written to `output`, or returned as text.

    Args:
        rows: one a number.
        frame: makes them a frame.
        form: which of the three.
        output: the file.

    Raises:
        OlmesError: `parquet` without a file to write.
    """
    if form == "json":
        return delivered(jsonl.dumps(list(rows)) + "\n", output)
    if form == "csv":
        return delivered(frame(rows).map(inert).to_csv(index=False), output)
    if output is None:
        raise OlmesError("parquet is a binary format; name a file with -o FILE.parquet.")
    output.parent.mkdir(parents=True, exist_ok=True)
    frame(rows).to_parquet(output, index=False)
    return None


def format_of(output: Path, known: Sequence[Format] = FORMATS) -> Format | Literal["html"]:
    """What a file's ending says is to be written into it; a page without one.

    Raises:
        OlmesError: the ending is none of those.
    """
    ending = output.suffix.lower()
    if ending in ("", *PAGES):
        return "html"
    form = SUFFIXES.get(ending)
    if form is None or form not in known:
        endings = [PAGES[0], *(suffix for suffix, one in SUFFIXES.items() if one in known)]
        raise OlmesError(
            f"{output.name} does not say what to write; end its name in {', '.join(endings)}."
        )
    return form


def delivered(text: str, output: Path | None) -> str | None:
    """The text, unless it is written to `output`."""
    if output is None:
        return text
    jsonl.write_atomically(output, text)
    return None


def inert(value: Any) -> Any:
    """A cell that a spreadsheet reads as text (OWASP, CSV injection); numbers stay numbers."""
    if not isinstance(value, str):
        return value
    text = visible(value)
    return f"'{text}" if text.startswith(FORMULA) else text
