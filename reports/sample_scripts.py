"""The scripts of a page that shows samples, and whether it needs those that draw mathematics."""

from __future__ import annotations

import re

from olmes.records.schema import ResponseRow

COMMAND = re.compile(r"\\(?:[a-zA-Z]{2,}|[(\[])")
DOLLARS = re.compile(r"\$([^$\n]{1,200})(?=\$)")
"""What stands between two dollar signs, which may be a price's."""


def sample_scripts(*own: str, mathematics: bool) -> tuple[str, ...]:
    """Files in `assets/` in the order they run in.

    Args:
        own: the page's scripts, which come last.
        mathematics: whether any sample holds some, so that the page needs Temml (168 kB).
    """
    temml = ("vendored/temml.min.js",) if mathematics else ()
    return (
        "text.js", *temml, "vendored/marked.umd.js", "rendered.js", "virtual-list.js", "sample-view.js",
        *own,
    )  # fmt: skip


def has_latex(row: ResponseRow) -> bool:
    """Whether what a page shows of a sample holds mathematics in LaTeX."""
    response = row.get("response")
    texts = [one["content"] for one in row.get("messages") or []]
    texts += [row.get("prompt") or "", response["text"] if response else "", str(row.get("gold"))]
    return any(map(holds_latex, texts))


def holds_latex(text: str) -> bool:
    """Whether a text has a LaTeX command, or a power or an index between dollar signs."""
    return bool("\\" in text and COMMAND.search(text)) or (
        "$" in text and any({"^", "_"} & {*found[1]} for found in DOLLARS.finditer(text))
    )


def sample_styles(*, mathematics: bool) -> tuple[str, ...]:
    """The style sheets of such a page, beside that of all pages."""
    return ("vendored/temml.css",) if mathematics else ()


class Mathematics:
    """Whether any sample holds mathematics, as the rows pass (a `RowCollector`)."""

    def __init__(self) -> None:
        self.seen = False

    def see(self, task: str, row: ResponseRow) -> None:  # noqa: ARG002
        """Look at a row until one holds some."""
        self.seen = self.seen or has_latex(row)
