"""Getting every response of a run: from its journal, from the cache, or from the model.

Equal requests are sent once. What is left goes to the model as one stream, so that the backend, not
the task, decides on order, batching and sharing of prefixes.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from olmes.models.base import Model
from olmes.requests.items import LazySequence
from olmes.requests.journal import Journal
from olmes.requests.refusals import Watch
from olmes.requests.response_cache import ResponseCache, ResponseKeys
from olmes.types import Request, Response

Origin = Literal["journal", "cache", "model", "recording", "duplicate"]
"""Where a response came from; a duplicate's is that of an equal request of the same run."""

Answered = Callable[[int, Response, Origin], None]
"""Called with an item's position, its response and where that came from."""


class Askable(Protocol):
    """What is asked and journaled: an item of a plan, or a question for a judge."""

    @property
    def request(self) -> Request:
        """What goes to the model."""

    @property
    def key(self) -> str:
        """Name in the journal."""


def answer_all(
    items: Sequence[Askable],
    model: Model,
    journal: Journal,
    cache: ResponseCache | None,
    answered: Answered,
    watch: Watch | None = None,
) -> None:
    """Call `answered` once for every item, as responses come in.

    Each response from elsewhere than the journal is written there first, unless it failed: a failed
    request is asked again when the run resumes. A stored response that cannot be one to its request is
    none.

    Raises:
        OlmesError: as `watch` does, which hears of each response of the model.
    """
    shared = cache if model.cacheable else None
    made: Origin = "recording" if model.recorded else "model"

    def arrived(position: int, response: Response, origin: Origin) -> None:
        if not response.error:
            journal.append(items[position].key, response)
        answered(position, response, origin)

    scored, rewarded, generated = (PendingRequests(items) for _ in range(3))
    keys, finished = ResponseKeys(model, shared), journal.responses
    for position, item in enumerate(items):
        request = item.request
        if stored := finished.response(item.key, request):
            answered(position, stored, "journal")
            continue
        pending = scored if request.continuations else rewarded if request.answers else generated
        key = equality_key(keys, request)
        if pending.has(key):
            pending.add_duplicate(key, position)
        elif shared and (found := shared.get(key.hex(), request)):
            arrived(position, found, "cache")
        else:
            pending.add(key, position)
    for pending, respond in (
        (scored, model.loglikelihood),
        (rewarded, model.rewards),
        (generated, model.generate),
    ):

        def done(at: int, response: Response, pending: PendingRequests = pending) -> None:
            if shared:
                shared.put(pending.key(at).hex(), response)
            first, *duplicates = pending.positions(at)
            arrived(first, response, made)
            for duplicate in duplicates:
                arrived(duplicate, response, "duplicate")

        pending.numbers.clear()  # nothing is added any more
        if pending:
            (watch.over(respond) if watch else respond)(pending, done)


def equality_key(keys: ResponseKeys, request: Request) -> bytes:
    """32 bytes that two requests share only when they must have the same response.

    Empty for a model without tokens (a recording): it cannot tell equal prompts, and every item is
    its own.
    """
    return bytes.fromhex(keys.key(request)) if keys.model.cacheable else b""


class PendingRequests(LazySequence[Request]):
    """The requests a model is asked, in their order; equal ones are one.

    It stores numbers and hashes, in few bytes a request: requests are made when they are looked at.
    """

    def __init__(self, items: Sequence[Askable]) -> None:
        self.items = items
        self.firsts = array("q")
        """Position of the first item of each request."""
        self.keys = bytearray()
        """The requests' keys, 32 bytes each; none for a model that has no keys."""
        self.numbers: dict[bytes, int] = {}
        """Number of each request by its key."""
        self.duplicates: dict[int, list[int]] = {}
        """Positions of further items by the request's number; few have any."""

    def __len__(self) -> int:
        return len(self.firsts)

    def member(self, position: int) -> Request:
        """The request with a number from 0."""
        return self.items[self.firsts[position]].request

    def has(self, key: bytes) -> bool:
        """Whether a request with this key is pending."""
        return key in self.numbers

    def add(self, key: bytes, position: int) -> None:
        """Add a request."""
        if key:
            self.numbers[key] = len(self.firsts)
            self.keys += key
        self.firsts.append(position)

    def add_duplicate(self, key: bytes, position: int) -> None:
        """Add an item whose request is pending already."""
        self.duplicates.setdefault(self.numbers[key], []).append(position)

    def key(self, number: int) -> bytes:
        """The key of a request."""
        return bytes(self.keys[32 * number : 32 * number + 32])

    def positions(self, number: int) -> list[int]:
        """The items that a request answers."""
        return [self.firsts[number], *self.duplicates.get(number, ())]
