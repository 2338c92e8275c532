"""What is shown although the store has changed since, because the newer one could not be made."""

from __future__ import annotations

import gzip
import html
import time
from dataclasses import dataclass, replace

from starlette.responses import Response

from olmes.server.pages.report_pages import Page, tag_of

MARK = b'<div class="stale" role="status">'
SLOW = 10.0
"""Seconds for which what is behind the store is shown without a word: the newer one is being made."""
SOONEST, LATEST = 2.0, 60.0
"""Seconds until what could not be made is tried again, doubled from time to time."""


@dataclass(slots=True)
class Behind:
    """That something is shown although the store has changed since it was made."""

    made: float
    """When it was made; `time.time`."""
    since: float
    """Since when it is behind; `time.monotonic`."""
    failed: bool = False
    """Whether the newer one could not be made."""
    again: float = 0.0
    """When that is tried again; `time.monotonic`."""
    pause: float = SOONEST

    @property
    def worth_saying(self) -> bool:
        """Whether a reader is told."""
        return self.failed or time.monotonic() - self.since > SLOW

    def fail(self) -> None:
        """Note that the newer one could not be made."""
        self.failed = True
        self.again = time.monotonic() + self.pause
        self.pause = min(2 * self.pause, LATEST)


def say_so(response: Response, behind: Behind | None) -> None:
    """Say in the headers of an answer that it is stale, and how old it is."""
    if behind is not None and behind.worth_saying:
        response.headers["age"] = str(max(0, int(time.time() - behind.made)))
        response.headers["warning"] = '110 olmes "Response is Stale"'
        response.headers["x-olmes-stale"] = "failed" if behind.failed else "slow"


def marked(page: Page, behind: Behind | None) -> Page:
    """A page with a line that says that it is stale, where it is."""
    if behind is None or not behind.worth_saying:
        return page
    made = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(behind.made))
    why = "cannot be made" if behind.failed else "is still being made"
    words = f"This page is of {made} UTC: the newer one {why}. What came since is not in it."
    text = gzip.decompress(page.body)
    before, nav, after = text.partition(b"</nav>\n")
    line = MARK + html.escape(words).encode() + b"</div>\n"
    body = gzip.compress(before + nav + line + after, compresslevel=1, mtime=0)
    return replace(page, body=body, tag=tag_of(body))
