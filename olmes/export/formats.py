"""Records in the formats people carry on with: tables for a paper, files for other programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from olmes.comparison.boards import boards_of
from olmes.errors import OlmesError
from olmes.export.frame import number_frame
from olmes.export.number_rows import number_rows
from olmes.export.tables import latex, markdown
from olmes.records.record import Record
from olmes.tools import jsonl
from olmes.tools.visible_text import visible

Format = Literal["md", "csv", "latex", "parquet", "json"]
FORMATS: tuple[Format, ...] = get_args(Format)
SUFFIXES: dict[str, Format] = {
    ".md": "md", ".csv": "csv", ".tex": "latex", ".parquet": "parquet", ".json": "json",
}  # fmt: skip

FORMULA = ("=", "+", "-", "@", "\t", "\n")
"""With these a cell begins that a spreadsheet computes."""


def export(records: Sequence[Record], form: Format, output: Path | None) -> str | None:
    """Records in one of the formats; written to `output`, or returned as text.

    `md` and `latex` are the tables of a leaderboard, one row a run; `csv`, `parquet` and `json` have
    one row a number (`olmes.load`). In `csv` a name that a spreadsheet would take for a formula has an
    apostrophe before it.

    Raises:
        OlmesError: `parquet` without a file to write.
    """
    if form in ("md", "latex"):
        text = (markdown if form == "md" else latex)(*boards_of(records))
    elif form == "json":
        text = jsonl.dumps(list(number_rows(records))) + "\n"
    else:
        frame = number_frame(records)
        if form == "parquet":
            if output is None:
                raise OlmesError("parquet is a binary format; name a file with -o FILE.parquet.")
            output.parent.mkdir(parents=True, exist_ok=True)
            frame.to_parquet(output, index=False)
            return None
        text = frame.map(inert).to_csv(index=False)
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
