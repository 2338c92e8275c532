"""Links into the sample browser: its whole state is the URL fragment."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote, urlencode

Link = Callable[..., str]
"""What `samples_link` and `sealed_link` are: filters in, fragment out."""

HELD_OUT = "#held-out"
"""Where a page says what is under seal and how it is opened."""


def samples_link(**filters: str) -> str:
    """The fragment that sets the browser's filters.

    Args:
        filters: any of `task`, `subtask`, `metric`, `verdict` (right, partly, wrong, none), `flag`,
            `q` (the words searched for) and `sample` (`task[/subtask]/doc_id[~repeat]`).
    """
    return "#" + urlencode(
        {key: value for key, value in filters.items() if value}, safe="/~", quote_via=quote
    )


def sealed_link(**filters: str) -> str:
    """Where a number leads whose samples are under seal, whatever they would be filtered by."""
    del filters
    return HELD_OUT
