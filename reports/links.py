"""Links: into the sample browser, whose whole state is the URL fragment, and to the page of a run."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, urlencode

Link = Callable[..., str]
"""What `samples_link` and `sealed_link` are: filters in, fragment out."""

HELD_OUT = "#held-out"
"""Where a page says what is under seal and how it is opened."""
PAGE = "report.html"
"""The page in a run's folder."""


def samples_link(**filters: str) -> str:
    """The fragment that sets the browser's filters.

    Args:
        filters: any of `task`, `subtask`, `metric`, `verdict` (right, partly, wrong, none), `flag`,
            `part` (a kind of instruction; behind `!` where it is not followed), `sort`,
            `q` (the words searched for) and `sample` (`task[/subtask]/doc_id[~repeat]`).
    """
    return "#" + urlencode(
        {key: value for key, value in filters.items() if value},
        safe="/~",
        errors="replace",  # half of a surrogate pair, which no link can have
        quote_via=quote,
    )


def sealed_link(**filters: str) -> str:
    """Where a number leads whose samples are under seal, whatever they would be filtered by."""
    del filters
    return HELD_OUT


def page_link(folder: Path | None, output: Path, fragment: str = "") -> str:
    """The link from the page `output` to that of a run; '' where the run has none.

    Args:
        folder: of the run.
        output: the page that links.
        fragment: where in it, with its `#`.
    """
    if folder is None or not (folder / PAGE).is_file():
        return ""
    path = os.path.relpath(folder.resolve() / PAGE, output.resolve().parent)
    return quote(os.fsencode(Path(path).as_posix())) + fragment
