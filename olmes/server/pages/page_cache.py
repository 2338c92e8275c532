"""Pages kept: in memory and on disk by their content, the leaderboard by the store's generation."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from anyio import CapacityLimiter, to_thread

from olmes.server.observe import log
from olmes.server.pages import report_pages
from olmes.server.pages.report_pages import Page, pages_version, tag_of
from olmes.server.service import Service
from olmes.server.store.private import inner_folder
from olmes.tools.hashing import content_hash

MOST_IN_MEMORY = 48 << 20
"""Bytes of pages in memory."""
MOST_ON_DISK = 5000
"""Pages on disk."""
MOST_WAITING = 2000
"""Runs whose pages are made before somebody asks."""
PATIENCE = 0.1
"""Seconds a reader waits for the newest leaderboard before the one before is shown."""
BELIEVED = 1.0
"""Seconds for which the store's generation is not asked for again: another server may change it."""

THREADS = 4
"""Threads that look for pages, so that these do not queue behind the API's questions."""


class PageCache:
    """Every page of a service, made once."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.folder = inner_folder(inner_folder(service.settings.work_folder / "pages") / "cache")
        self.memory: OrderedDict[str, Page] = OrderedDict()
        self.size = 0
        self.making: dict[str, asyncio.Task[Any]] = {}
        self.latest: dict[str, tuple[int, Any]] = {}
        self.asked = (0.0, -1)
        self.changes = 0
        self.limiter = CapacityLimiter(THREADS)
        self.arrived: asyncio.Queue[str] = asyncio.Queue(MOST_WAITING)
        service.on_run.append(self.note)
        self.hashes: dict[str, tuple[str, bool]] = {}

    async def warm(self) -> None:
        """Make the pages of runs that arrive before somebody asks, one at a time."""
        while True:
            run = await self.arrived.get()
            try:
                await self.run(run)
            except Exception as error:  # a reader who asks for it gets the reason
                facts = {"run": run, "why": f"{type(error).__name__}: {error}"}
                log.warning("the page of a run was not made", extra={"facts": facts})

    def note(self, run: str) -> None:
        """A run arrived. Where too many do, their pages wait for a reader."""
        self.expire()
        with contextlib.suppress(asyncio.QueueFull):
            self.arrived.put_nowait(run)

    async def generation(self) -> int:
        """The store's generation.

        While readers come it is asked for beside them, because the database may be busy; they wait
        for it when this server changed something, and after a pause.
        """
        until, known = self.asked
        if (clock := time.monotonic()) > until:
            task = self._task("generation", self._ask)
            if clock > until + BELIEVED:
                known = await asyncio.shield(task)
        return known

    async def _ask(self) -> int:
        changes = self.changes
        found = await to_thread.run_sync(self.service.store.generation, limiter=self.limiter)
        if found > self.asked[1]:
            self.hashes.clear()
        # It only grows; and an answer that a change overtook is not believed any longer.
        until = time.monotonic() + BELIEVED if changes == self.changes else 0.0
        self.asked = (until, max(found, self.asked[1]))
        return self.asked[1]

    def expire(self) -> None:
        """Ask for the generation again: this server changed something."""
        self.asked = (0.0, self.asked[1])
        self.changes += 1
        # One that is asked for now may be of before the change.
        self.making.pop("generation", None)

    async def hash_of(self, run: str) -> tuple[str, bool]:
        """What a run's page depends on.

        Raises:
            RefusedError: there is no such run.
        """
        await self.generation()
        if run not in self.hashes:
            self.hashes[run] = await to_thread.run_sync(
                self.service.store.run_hash, run, limiter=self.limiter
            )
        return self.hashes[run]

    async def run(self, run: str) -> Page:
        """The page of a run."""
        key = content_hash(["run", run, *await self.hash_of(run), pages_version()])
        return await self.kept(
            key, lambda: self.work(report_pages.run_page, self.service.settings, run)
        )

    async def comparison(self, a: str, b: str, margin: float, *, force: bool) -> Page:
        """The page of a comparison."""
        key = await self.comparison_key("page", a, b, margin, force)
        return await self.kept(
            key,
            lambda: self.work(
                report_pages.comparison_page,
                self.service.settings,
                (a, b),
                margin=margin,
                force=force,
            ),
        )

    async def comparison_key(self, *parts: Any) -> str:
        """A key over what a comparison depends on."""
        hashes = [await self.hash_of(run) for run in parts[1:3]]
        return content_hash(["compare", *parts, *hashes, pages_version()])

    async def leaderboard(self) -> Page:
        """The page of the leaderboard."""
        page: Page = await self.newest(
            "leaderboard", lambda: self.work(report_pages.board_page, self.service.settings)
        )
        return page

    async def checkpoints(self, family: str) -> Page:
        """The page of a training."""
        page: Page = await self.newest(
            f"checkpoints {family}",
            lambda: self.work(report_pages.checkpoints_page, self.service.settings, family),
        )
        return page

    def work(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Awaitable[Any]:
        """Call a function in the worker that makes pages."""
        return self.service.rendering.run(function, *args, **kwargs)

    async def kept(self, key: str, make: Callable[[], Awaitable[Page]]) -> Page:
        """A page by its key: from memory, from disk, or made (once, however many wait)."""
        page = self.memory.get(key)
        if page is None:
            found = await to_thread.run_sync(self._read, key, limiter=self.limiter)
            if found is None:

                async def made() -> Page:
                    # Written by whoever makes it, not by everybody who waits for it.
                    fresh = await make()
                    await to_thread.run_sync(self._write, key, fresh, limiter=self.limiter)
                    return fresh

                fresh: Page = await asyncio.shield(self._task(key, made))
                found = fresh
            self._remember(key, found)
            return found
        self.memory.move_to_end(key)
        return page

    async def newest(self, name: str, make: Callable[[], Awaitable[Any]]) -> Any:
        """What depends on the whole store: made anew when the store has changed.

        While it is made, readers get the one before; the live updates say what is new.
        """
        generation = await self.generation()
        known = self.latest.get(name)
        if known and known[0] == generation:
            return known[1]

        async def made() -> Any:
            found = await make()
            if len(self.latest) > 100:
                self.latest.clear()
            self.latest[name] = (generation, found)
            return found

        task = self._task(name, made)
        if known is None:
            return await asyncio.shield(task)
        await asyncio.wait([task], timeout=PATIENCE)
        done = task.done() and not task.cancelled() and task.exception() is None
        return task.result() if done else known[1]

    def _task(self, key: str, make: Callable[[], Awaitable[Any]]) -> asyncio.Task[Any]:
        if key not in self.making:

            async def run() -> Any:
                try:
                    return await make()
                finally:
                    if self.making.get(key) is task:
                        del self.making[key]

            task = asyncio.create_task(run())
            # Somebody may have stopped waiting: a failure is theirs who did not.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
            self.making[key] = task
        return self.making[key]

    def _remember(self, key: str, page: Page) -> None:
        if key in self.memory or len(page.body) > MOST_IN_MEMORY // 4:
            return
        self.memory[key] = page
        self.size += len(page.body)
        while self.size > MOST_IN_MEMORY:
            _, old = self.memory.popitem(last=False)
            self.size -= len(old.body)

    def _read(self, key: str) -> Page | None:
        path = self.folder / key
        try:
            head, _, body = path.read_bytes().partition(b"\n")
            path.touch()
        except FileNotFoundError:
            return None
        try:
            page = Page(body, **json.loads(head))
        except (ValueError, TypeError):
            return None
        # Not flushed when it was written: a power cut may have left anything of it.
        return page if page.tag == tag_of(body) else None

    def _write(self, key: str, page: Page) -> None:
        temporary = self.folder / f"{key}.writing"
        head = json.dumps({"policy": page.policy, "tag": page.tag}).encode()
        try:
            temporary.write_bytes(head + b"\n" + page.body)
            temporary.replace(self.folder / key)
        except OSError as error:  # a full disk, say: the page is made again, and can be read now
            log.warning("a page was not kept", extra={"facts": {"why": str(error)}})
            return
        if int(key[:2], 16) == 0:  # now and then
            self._tidy()

    def _tidy(self) -> None:
        found = sorted(self.folder.iterdir(), key=modified)
        for path in found[: max(0, len(found) - MOST_ON_DISK)]:
            path.unlink(missing_ok=True)


def modified(path: Path) -> float:
    """When a file was last used; 0 if it is gone."""
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_mtime
    return 0.0
