"""Pages kept: in memory and on disk by their content, the leaderboard by the store's generation."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from anyio import CapacityLimiter, to_thread

from olmes.server.failures import passing
from olmes.server.observe import log
from olmes.server.pages import report_pages
from olmes.server.pages.newest import Newest
from olmes.server.pages.page_files import PageFiles
from olmes.server.pages.report_pages import Page, pages_version
from olmes.server.pages.server_pages import ledger_page, no_runs_page, runs_page
from olmes.server.pages.stale import Behind, marked
from olmes.server.service import Service
from olmes.tools.hashing import content_hash

MOST_IN_MEMORY = 48 << 20
"""Bytes of pages in memory."""
MOST_WAITING = 2000
"""Runs whose pages are made before somebody asks."""
BELIEVED = 1.0
"""Seconds for which the store's generation is not asked for again: another server may change it."""

TRIES = 5
"""Times that the page of a run is tried before somebody asks."""
SHOWN_MARGIN = 3
"""Decimals of a margin that a page shows: a tenth of a percentage point."""
THREADS = 4
"""Threads that look for pages, so that these do not queue behind the API's questions."""


class PageCache:
    """Every page of a service, made once."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.files = PageFiles(service.settings.work_folder / "pages")
        self.memory: OrderedDict[str, Page] = OrderedDict()
        self.size = 0
        self.making: dict[str, asyncio.Task[Any]] = {}
        self.asked = (0.0, -1)
        self.changes = 0
        self.limiter = CapacityLimiter(THREADS)
        self.long = asyncio.Lock()
        """Held for what takes long, which one worker does at a time."""
        self.arrived: asyncio.Queue[str] = asyncio.Queue(MOST_WAITING)
        service.on_run.append(self.note)
        self.hashes: dict[str, tuple[str, bool, int | None]] = {}
        self.tries: dict[str, int] = {}
        self.boards = Newest(self.generation, self._task, service.background)

    async def warm(self) -> None:
        """Make the page of the next run that arrives, before somebody asks.

        Raises:
            Exception: what the machine did not let happen; the run waits for the next call.
        """
        run = await self.arrived.get()
        try:
            async with self.long:
                await self.run(run)
        except Exception as error:
            self.tries[run] = tries = self.tries.get(run, 0) + 1
            if passing(error) and tries < TRIES:
                with contextlib.suppress(asyncio.QueueFull):
                    self.arrived.put_nowait(run)
                    raise
            # A reader who asks for it gets the reason.
            facts = {"run": run, "why": f"{type(error).__name__}: {error}"}
            log.warning("the page of a run was not made", extra={"facts": facts})
        self.tries.pop(run, None)

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

    async def hash_of(self, run: str) -> tuple[str, bool, int | None]:
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

    async def run(self, run: str, who: str = "") -> Page:
        """The page of a run.

        Args:
            run: its name.
            who: asks, as for `Turns.turn`.
        """
        key = content_hash(["run", run, *await self.hash_of(run), pages_version()])
        work = partial(report_pages.run_page, self.service.settings, run)
        return await self.kept(key, lambda: self.service.rendering.run_for(who, work))

    async def comparison(
        self, a: str, b: str, margin: float, *, force: bool, who: str = ""
    ) -> Page:
        """The page of a comparison; as many margins have one as the page can show."""
        return await self._compared(
            report_pages.comparison_page, (a, b), round(margin, SHOWN_MARGIN), force=force, who=who
        )

    async def comparison_numbers(
        self, a: str, b: str, margin: float, *, force: bool, who: str = ""
    ) -> Page:
        """A comparison for the API."""
        return await self._compared(
            report_pages.comparison_answer, (a, b), margin, force=force, who=who
        )

    async def _compared(
        self,
        make: Callable[..., Page],
        runs: tuple[str, str],
        margin: float,
        *,
        force: bool,
        who: str,
    ) -> Page:
        hashes = [await self.hash_of(run) for run in runs]
        key = content_hash(
            ["compare", make.__name__, *runs, margin, force, *hashes, pages_version()]
        )
        work = partial(make, self.service.settings, runs, margin=margin, force=force)
        return await self.kept(
            key,
            lambda: self.service.rendering.run_for(f"compares {who}", work),
            on_disk=margin == round(margin, SHOWN_MARGIN),
        )

    async def leaderboard(self) -> Page:
        """The page of the leaderboard; while there is no run, what brings one."""

        async def empty() -> Page | None:
            here = await to_thread.run_sync(self.service.store.newest_seq)
            return None if here else await to_thread.run_sync(no_runs_page)

        return await self._of_all("leaderboard", report_pages.board_page, before=empty)

    async def leaderboard_numbers(self) -> Page:
        """The leaderboard for the API."""
        return await self._of_all("leaderboard.json", report_pages.board_answer)

    async def checkpoints(self, family: str) -> Page:
        """The page of a training."""
        return await self._of_all(f"checkpoints {family}", report_pages.checkpoints_page, family)

    async def runs(self, asked: Mapping[str, str | None], after: str | None, address: str) -> Page:
        """A page of the list of runs; the arguments are those of `runs_page`."""
        running = self.service.hub.running()
        state = [await self.generation(), running, asked, after, address]
        make = partial(runs_page, self.service.store, running, asked, after, address)
        return await self.kept(
            content_hash(["runs", *state, pages_version()]),
            lambda: to_thread.run_sync(make),
            on_disk=False,
        )

    async def ledger(self, address: str) -> Page:
        """The page of every look at held-out tasks; `address` is the server's."""
        store = self.service.store
        state = await to_thread.run_sync(store.ledgers.state, limiter=self.limiter)
        key = content_hash(["ledger", *state, address, pages_version()])
        return await self.kept(key, lambda: to_thread.run_sync(ledger_page, store, address))

    async def _of_all(
        self,
        name: str,
        make: Callable[..., Page],
        *args: str,
        before: Callable[[], Awaitable[Page | None]] | None = None,
    ) -> Page:
        """What is made of many runs: one at a time, so that a worker is left to the rest.

        A page that `before` gives stands in its place.
        """

        async def made() -> Page:
            if before is not None and (found := await before()) is not None:
                return found
            async with self.long:
                return await self.service.rendering.run(make, self.service.settings, *args)

        page: Page = await self.newest(name, made)
        return marked(page, self.behind(name)) if page.policy else page

    def behind(self, name: str) -> Behind | None:
        """That a board is shown though the store has changed since, where it is."""
        return self.boards.behind.get(name)

    async def kept(
        self, key: str, make: Callable[[], Awaitable[Page]], *, on_disk: bool = True
    ) -> Page:
        """A page by its key: from memory, from disk, or made (once, however many wait)."""
        page = self.memory.get(key)
        if page is None:
            found = None
            if on_disk:
                found = await to_thread.run_sync(self.files.read, key, limiter=self.limiter)
            if found is None:

                async def made() -> Page:
                    # Written by whoever makes it, not by everybody who waits for it.
                    fresh = await make()
                    if on_disk:
                        await to_thread.run_sync(self.files.write, key, fresh, limiter=self.limiter)
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
        return await self.boards.get(name, make)

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
