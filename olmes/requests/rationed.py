"""A model that stops asking before a budget is overdrawn.

Requests go out in waves; one whose likely cost does not fit into what is left is not put, and fails
with the reason.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from olmes.models.base import Done, EncodedPrompt, Model
from olmes.requests.refusals import Watch
from olmes.types import JsonObject, Request, Response

WAVE = 64
"""Requests put at once while a budget is watched."""
CHARACTERS_A_TOKEN = 3.0
"""Low on purpose: what a request may cost must not be guessed too small."""


class Ration(ABC):
    """What may be spent on a model's answers."""

    @abstractmethod
    def affordable(self, requests: Sequence[Request]) -> Sequence[Request]:
        """The first of `requests` whose likely costs fit into what is left, together."""

    @abstractmethod
    def pay(self, response: Response) -> None:
        """Count what an answer cost."""

    @abstractmethod
    def refuse(self, count: int) -> str:
        """Note that so many requests are not put; why not, in a clause."""


class RationedModel(Model):
    """A model within a ration.

    Args:
        model: who is asked.
        ration: what that may cost.
        watch: ends the run where the model refuses everything alike; None watches nothing.
        wave: requests put at once.
    """

    def __init__(
        self, model: Model, ration: Ration, watch: Watch | None, *, wave: int = WAVE
    ) -> None:
        self.model, self.ration, self.watch, self.wave = model, ration, watch, wave
        self.name = model.name
        self.cacheable = model.cacheable

    @property
    def fingerprint(self) -> str:
        """The model's own."""
        return self.model.fingerprint

    @property
    def engine(self) -> JsonObject:
        """The model's own."""
        return self.model.engine

    @property
    def encoding(self) -> str:
        """The model's own."""
        return self.model.encoding

    def encode(self, request: Request) -> EncodedPrompt:
        """As the model does."""
        return self.model.encode(request)

    def generate(self, requests: Sequence[Request], done: Done) -> None:
        """Answer what the ration allows; the rest fails with the reason.

        Raises:
            OlmesError: the model refuses all requests alike.
        """
        start = 0
        while start < len(requests):
            wave = self.ration.affordable(requests[start : start + self.wave])
            if not wave:
                break
            self.put(wave, start, done)
            start += len(wave)
        if start == len(requests):
            return
        reason = self.ration.refuse(len(requests) - start)
        for position in range(start, len(requests)):
            done(position, Response(finish="error", error=reason))

    def put(self, wave: Sequence[Request], start: int, done: Done) -> None:
        """Ask the model, and count what it cost."""

        def answered(position: int, response: Response) -> None:
            self.ration.pay(response)
            done(start + position, response)

        ask = self.model.generate
        (self.watch.over(ask) if self.watch else ask)(wave, answered)

    def loglikelihood(self, requests: Sequence[Request], done: Done) -> None:
        """Report every request as failed: a ration is for words."""
        for position in range(len(requests)):
            done(
                position, Response(finish="error", error="it is asked for words, not to weigh them")
            )


def likely_tokens(request: Request) -> float:
    """What a request may cost: its prompt, estimated, and the longest answer."""
    characters = sum(len(message["content"]) for message in request.messages)
    characters += len(request.prompt or "") + len(request.prefill)
    return characters / CHARACTERS_A_TOKEN + request.generation.max_tokens


def within(requests: Sequence[Request], left: float, price: float = 1.0) -> Sequence[Request]:
    """The first of `requests` whose likely tokens fit into what is left, together."""
    for position, request in enumerate(requests):
        left -= likely_tokens(request) * price
        if left < 0:
            return requests[:position]
    return requests
