"""Many requests to one server: at its own pace, retried where that helps, given up where not.

An event loop in a thread of its own does the talking, so that a thousand requests need no thousand
threads, a deadline ends an answer wherever it hangs, and Ctrl-C ends them all. The thread that
called gets the results, one by one as they come.
"""

from __future__ import annotations

import asyncio
import queue
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from olmes.errors import OlmesError
from olmes.models.hf.generation_rows import UnanswerableError
from olmes.models.http.background import in_background
from olmes.models.http.endpoint import Endpoint
from olmes.models.http.errors import (
    Answer,
    PassingError,
    RequestRefusedError,
    Server,
    UnreachableError,
    check_status,
)
from olmes.models.http.keys import Key, to_set
from olmes.models.http.pace import Pace, Patience
from olmes.models.http.proxy import proxy_of
from olmes.models.http.transport import open_session, send
from olmes.models.http.wire import RequestBody

if TYPE_CHECKING:
    from aiohttp import ClientSession

T = TypeVar("T")
LOOKUP_TRIES = 3
GIVEN_UP_IN_A_ROW = 20
"""Requests given up with no success between them, after which the server counts as broken."""


def never(*_: object) -> bool:
    """Whether to ask again, where nothing speaks for it."""
    return False


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request, and how its answer is read."""

    path: str
    body: Callable[[], RequestBody]
    """Made anew for each try."""
    read: Callable[[Any], T]
    """From the JSON of the answer. Raises ValueError when it is not of the protocol (the request
    is tried again), UnanswerableError when it never will be."""
    adapt: Callable[[RequestRefusedError, RequestBody], bool]
    """Given a refusal and the body that was refused: whether the next body will be another one."""
    explain: Callable[[RequestRefusedError, RequestBody], str]
    """Given the same: why the request failed, with the remedy."""
    again: Callable[[T, RequestBody], bool] = never
    """Given what was read and the body that was sent: whether to ask again, by another body."""


@dataclass(frozen=True, slots=True)
class RequestFailure:
    """The reason why a request was given up."""

    reason: str


@dataclass
class Health:
    """How the server has answered lately, over all requests."""

    last_success: float = field(default_factory=time.monotonic)
    misses: int = 0
    """Failed connections since the last answer of any kind."""
    first_miss: float = 0.0
    given_up: int = 0
    """Requests since the last success."""


class HTTPClient:
    """Asks one server.

    Args:
        endpoint: the server, and the model's name there.
        key: sent in a header; never written anywhere.
        most: requests at once, at most.
        patience: how long to wait and how often to try.
    """

    def __init__(self, endpoint: Endpoint, key: Key, *, most: int, patience: Patience) -> None:
        self.endpoint, self.url, self.most, self.patience = endpoint, endpoint.url, most, patience
        self._headers: dict[str, str] = {}
        if key.secret and endpoint.azure:
            self._headers["api-key"] = key.secret
        elif key.secret:
            self._headers["Authorization"] = f"Bearer {key.secret}"
        proxy = proxy_of(self.url)
        self._server = Server(
            model=endpoint.model,
            url=self.url,
            secret=key.secret,
            keys=to_set(endpoint),
            way=f" through {proxy}" if proxy else "",
        )

    def ask(
        self, calls: Sequence[Call[T]], done: Callable[[int, T | RequestFailure], None]
    ) -> None:
        """Make every call; `done` gets each position and result, in the thread that called.

        Raises:
            OlmesError: the server refuses the key, is gone, or fails every request. What was
                answered before is given to `done` first.
        """
        results: queue.SimpleQueue[tuple[int, T | RequestFailure] | None] = queue.SimpleQueue()

        async def work() -> None:
            try:
                await self._answer_all(calls, results.put)
            finally:
                results.put(None)

        with in_background(work()):
            while True:
                try:
                    # Waiting is cut into pieces: not every system lets Ctrl-C into a wait.
                    result = results.get(timeout=0.2)
                except queue.Empty:
                    continue
                if result is None:
                    break
                done(*result)

    def look_up(self, url: str) -> Answer | None:
        """GET an address of the server; None when it has nothing there.

        Raises:
            OlmesError: nothing answers, or the key is refused.
        """
        found: list[Answer | None] = []

        async def get() -> None:
            async with open_session(self.url, self.patience) as session:
                found.append(await self._get(session, url))

        with in_background(get()) as running:
            while running():
                time.sleep(0.002)
        return found[0]

    async def _get(self, session: ClientSession, url: str) -> Answer | None:
        for attempt in range(1, LOOKUP_TRIES + 1):
            try:
                answer = await send(session, url, None, self._headers, self.patience)
                if answer.status != 403:  # a key may be good for asking and not for listing
                    check_status(answer, self._server)
                return answer if answer.status == 200 else None
            except UnanswerableError:
                return None
            except PassingError as error:
                if attempt == LOOKUP_TRIES:
                    if isinstance(error, UnreachableError):
                        raise OlmesError(
                            f"nothing answers at {self.url} ({error}); "
                            f"{error.remedy or 'start the server, or fix the address'}."
                        ) from None
                    return None
                await asyncio.sleep(self.patience.wait(attempt))
        return None

    async def _answer_all(
        self, calls: Sequence[Call[T]], report: Callable[[tuple[int, T | RequestFailure]], None]
    ) -> None:
        """Answer every call with `most` workers, who take turns as the pace allows."""
        waiting = iter(enumerate(calls))
        pace, health = Pace(self.most), Health()
        async with open_session(self.url, self.patience) as session:

            async def work() -> None:
                for position, call in waiting:
                    result = await self._answer(session, call, pace, health)
                    report((position, result))

            async with asyncio.TaskGroup() as workers:
                for _ in range(min(self.most, len(calls))):
                    workers.create_task(work())

    async def _answer(
        self, session: ClientSession, call: Call[T], pace: Pace, health: Health
    ) -> T | RequestFailure:
        """Answer one call, trying again while that may help."""
        failing_since = 0.0
        failures = tries = 0
        while True:
            body = call.body()
            try:
                result = await self._try(session, call, body, pace, health)
            except RequestRefusedError as error:
                if call.adapt(error, body) and call.body() != body:
                    continue
                return RequestFailure(call.explain(error, body))
            except UnanswerableError as error:
                return RequestFailure(str(error))
            except PassingError as error:
                now = time.monotonic()
                failing_since = failing_since or now
                failures += 1
                tries += error.counted
                self._check_pause(error)
                wait = self.patience.wait(failures)
                late = now + wait - failing_since > self.patience.request
                if tries >= self.patience.tries or late:
                    return self._give_up(error, failures, failing_since, health)
                await asyncio.sleep(wait)
            else:
                health.last_success, health.given_up = time.monotonic(), 0
                if call.again(result, body) and call.body() != body:
                    continue
                return result

    async def _try(
        self,
        session: ClientSession,
        call: Call[T],
        body: RequestBody,
        pace: Pace,
        health: Health,
    ) -> T:
        """Send a request once.

        Raises:
            PassingError: trying again may help.
            UnanswerableError: it will not.
            OlmesError: no request will succeed.
        """
        entered = await pace.enter()
        try:
            url = self.endpoint.of(call.path)
            sent = await send(session, url, body, self._headers, self.patience)
            answer = sent.inside()
            health.misses = 0
            check_status(answer, self._server)
            try:
                result = call.read(answer.json())
            except ValueError as error:
                raise PassingError(f"the answer is not of the protocol: {error}") from None
        except UnreachableError as error:
            self._check_silence(error, health)
            raise
        except PassingError as error:
            if error.overload:
                pace.overloaded(entered)
            pace.pause(min(error.retry_after, self.patience.request))
            raise
        finally:
            pace.leave()
        pace.answered()
        return result

    def _check_silence(self, error: UnreachableError, health: Health) -> None:
        """Note a failed connection.

        Raises:
            OlmesError: there have been no others for too long.
        """
        now = time.monotonic()
        health.first_miss = health.first_miss if health.misses else now
        health.misses += 1
        silent = now - health.first_miss
        if health.misses >= self.patience.misses and silent >= self.patience.silence:
            raise OlmesError(
                f"{self.url} has stopped answering ({error}); "
                f"{error.remedy or 'start the server again'}, and the same command resumes the run."
            )

    def _check_pause(self, error: PassingError) -> None:
        """Refuse to wait for longer than a request may take.

        Raises:
            OlmesError: the server asks for more than that.
        """
        if error.retry_after > self.patience.request:
            raise OlmesError(
                f"{self.url} asks to wait for {error.retry_after:.0f} s ({error}); try again then: the "
                "same command resumes the run."
            )

    def _give_up(
        self, error: PassingError, failures: int, since: float, health: Health
    ) -> RequestFailure:
        """Give a request up after its last try.

        Raises:
            OlmesError: no other request fares better.
        """
        health.given_up += 1
        if health.given_up >= GIVEN_UP_IN_A_ROW:
            self._end_run(f"has failed {health.given_up} requests in a row", error)
        if not error.counted and health.last_success < since:
            self._end_run("has refused every request", error)
        times = "once" if failures == 1 else f"{failures} times"
        return RequestFailure(f"the request failed {times}; the last time: {error}")

    def _end_run(self, what: str, error: PassingError) -> NoReturn:
        raise OlmesError(
            f"{self.url} {what} ({error}); see the server's log for the cause; the same "
            "command resumes the run."
        ) from None
