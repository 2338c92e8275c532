"""Links from one page to another that lies beside it."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

PAGE = "report.html"
"""The page in a run's folder."""


def page_link(folder: Path | None, output: Path, fragment: str = "") -> str:
    """The way from the page `output` to that of a run; '' where the run has none.

    Args:
        folder: of the run.
        output: the page that links.
        fragment: the place in it, with its `#`.
    """
    if folder is None or not (folder / PAGE).is_file():
        return ""
    way = os.path.relpath(folder.resolve() / PAGE, output.resolve().parent)
    return quote(Path(way).as_posix()) + fragment
