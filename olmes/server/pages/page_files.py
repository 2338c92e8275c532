"""Pages on disk, by the hash of what they were made of; those not used for longest go first."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from olmes.server.observe import log
from olmes.server.pages.report_pages import Page, tag_of
from olmes.server.store.private import inner_folder

MOST_PAGES = 5000
MOST_BYTES = 1 << 30
"""Bytes of pages on disk."""
LEFT = 0.9
"""Of either, what is left when there was too much: so that not every page clears for itself."""


class PageFiles:
    """A folder of pages. Several threads may read and write."""

    def __init__(self, pages: Path) -> None:
        self.folder = inner_folder(inner_folder(pages) / "cache")
        self.count, self.size = 0, 0
        self.tidy()

    def read(self, key: str) -> Page | None:
        """A page by its key; None where it is not there."""
        path = self.folder / key
        try:
            head, _, body = path.read_bytes().partition(b"\n")
            facts = json.loads(head)
            page = Page(body, str(facts["policy"]), str(facts["tag"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
            unreadable(key, error)
            return None
        if page.tag != tag_of(body):
            unreadable(key, ValueError("it is not what was written"))
            return None
        with contextlib.suppress(OSError):
            path.touch()
        return page

    def write(self, key: str, page: Page) -> None:
        """Keep a page, where the disk takes it."""
        temporary = self.folder / f"{key}.writing"
        head = json.dumps({"policy": page.policy, "tag": page.tag}).encode()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)  # somebody may have emptied the store
            temporary.write_bytes(head + b"\n" + page.body)
            temporary.replace(self.folder / key)
        except OSError as error:  # a full disk, say: the page is made again, and can be read now
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            log.warning("a page was not kept", extra={"facts": {"why": str(error)}})
            return
        self.count += 1
        self.size += len(page.body)
        if self.count > MOST_PAGES or self.size > MOST_BYTES:
            self.tidy()

    def tidy(self) -> None:
        """Remove what is too much, and count what is there."""
        found = []
        for path in self.folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                found.append((status.st_mtime, status.st_size, path))
        count, size = len(found), sum(one for _, one, _ in found)
        full = count > MOST_PAGES or size > MOST_BYTES
        for _, own, path in sorted(found, key=lambda one: one[0]) if full else ():
            if count <= LEFT * MOST_PAGES and size <= LEFT * MOST_BYTES:
                break
            path.unlink(missing_ok=True)
            count, size = count - 1, size - own
        self.count, self.size = count, size


def unreadable(key: str, error: Exception) -> None:
    """Say that a kept page is made anew."""
    facts = {"page": key, "why": f"{type(error).__name__}: {error}"}
    log.warning("a kept page cannot be read and is made anew", extra={"facts": facts})
