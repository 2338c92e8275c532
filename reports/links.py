"""Links into the sample browser: its whole state is the URL fragment."""

from __future__ import annotations

from urllib.parse import quote, urlencode


def samples_link(**filters: str) -> str:
    """The fragment that sets the browser's filters.

    Args:
        filters: any of `task`, `subtask`, `metric`, `verdict` (right, partly, wrong, none), `flag`,
            `q` (the words searched for) and `sample` (`task[/subtask]/doc_id[~repeat]`).
    """
    return "#" + urlencode(
        {key: value for key, value in filters.items() if value}, safe="/~", quote_via=quote
    )
