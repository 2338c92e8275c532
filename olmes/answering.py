"""Getting every response of a run: from its journal, from the cache, or from the model.

Equal requests are sent once. What is left goes to the model as one stream, so that the backend, not
the task, decides on order, batching and sharing of prefixes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from olmes.cache import Keys, ResponseCache
from olmes.journal import Journal
from olmes.models.base import Model
from olmes.types import Request, Response

Origin = Literal["journal", "cache", "model", "twin"]
"""Where a response came from; a twin is the answer to an equal request of the same run."""

Answered = Callable[[int, Response, Origin], None]
"""Called with an item's position, its response and where that came from."""


class Asking(Protocol):
    """What can be asked and written down: an item of a plan, or a question for a judge."""

    @property
    def request(self) -> Request:
        """What goes to the model."""

    @property
    def key(self) -> str:
        """Name in the journal."""


Asked = tuple[str, list[int], Request]
"""A response key, the positions of the items that share it, and their request."""


def answer_all(
    items: Sequence[Asking],
    model: Model,
    journal: Journal,
    cache: ResponseCache | None,
    answered: Answered,
) -> None:
    """Call `answered` once for every item, as responses come in.

    Each response from elsewhere than the journal is written there first, unless it failed: a failed
    request is asked again when the run goes on.
    """

    def arrived(positions: Sequence[int], response: Response, origin: Origin) -> None:
        for at in positions:
            if not response.error:
                journal.append(items[at].key, response)
            answered(at, response, "twin" if origin == "model" and at != positions[0] else origin)

    missing = []
    for position, item in enumerate(items):
        if stored := journal.responses.get(item.key):
            answered(position, stored, "journal")
        else:
            missing.append(position)
    if not missing:
        return
    equal = equal_requests(items, missing, model, cache)
    asked: list[tuple[str, list[int]]] = []
    for key, positions in equal.items():
        if cache and model.cacheable and (found := cache.get(key)):
            arrived(positions, found, "cache")
        else:
            asked.append((key, positions))

    def from_model(key: str, positions: list[int], response: Response) -> None:
        if cache and model.cacheable:
            cache.put(key, response)
        arrived(positions, response, "model")

    ask(items, asked, model, from_model)


def equal_requests(
    items: Sequence[Asking],
    positions: Sequence[int],
    model: Model,
    cache: ResponseCache | None = None,
) -> dict[str, list[int]]:
    """Positions by response key, in order: those under one key have the same response."""
    keys = Keys(model, cache)
    equal: dict[str, list[int]] = {}
    for position in positions:
        item = items[position]
        # A model without tokens (a recording) cannot tell equal prompts; every item is its own.
        key = keys.key(item.request) if model.cacheable else item.key
        equal.setdefault(key, []).append(position)
    return equal


def ask(
    items: Sequence[Asking],
    asked: Sequence[tuple[str, list[int]]],
    model: Model,
    from_model: Callable[[str, list[int], Response], None],
) -> None:
    """Send one request a key to the model: those to be weighed, then those to be gone on with."""
    for weighed, respond in ((True, model.loglikelihood), (False, model.generate)):
        chosen = [
            (key, positions, items[positions[0]].request)
            for key, positions in asked
            if bool(items[positions[0]].request.continuations) == weighed
        ]

        def done(at: int, response: Response, chosen: Sequence[Asked] = tuple(chosen)) -> None:
            key, positions, _ = chosen[at]
            from_model(key, positions, response)

        if chosen:
            respond([request for _, _, request in chosen], done)
