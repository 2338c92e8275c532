"""A judge: a language model that answers questions about responses, within a budget of tokens.

Any model backend can be one. Its answers are cached and journaled like every model's, so a judgement
is paid for once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from olmes.models.base import Done, EncodedPrompt, Model
from olmes.records.schema import JudgeModel
from olmes.requests.refusals import Watch
from olmes.types import JsonObject, Request, Response

WAVE = 64
"""Questions put at once while a budget is watched."""
CHARACTERS_A_TOKEN = 3.0
"""Low on purpose: what a question may cost must not be guessed too small."""


@dataclass(kw_only=True)
class Judge:
    """Who judges, and how many tokens that may cost."""

    model: Model
    budget: int | None = None
    """Tokens read and written by the judge in this run, at most; answers that were paid for before
    cost nothing. None sets no limit."""
    spent: int = field(default=0, init=False)
    """Tokens read and written so far."""
    unasked: int = field(default=0, init=False)
    """Questions that were not put, because the budget was used up."""

    def describe(self) -> JudgeModel:
        """What a record says of the judge."""
        return JudgeModel(
            name=self.model.name, fingerprint=self.model.fingerprint, engine=self.model.engine
        )


class BudgetedModel(Model):
    """A judge's model that stops asking before its budget is overdrawn.

    Questions go out in waves; one whose likely cost (its prompt at three characters a token, and all
    the tokens it may answer with) does not fit into what is left is not put.
    """

    def __init__(self, judge: Judge) -> None:
        self.judge = judge
        self.watch = Watch.of(judge.model, judge=True)
        self.name = judge.model.name
        self.cacheable = judge.model.cacheable

    @property
    def fingerprint(self) -> str:
        """The model's own."""
        return self.judge.model.fingerprint

    @property
    def engine(self) -> JsonObject:
        """The model's own."""
        return self.judge.model.engine

    def encode(self, request: Request) -> EncodedPrompt:
        """As the model does."""
        return self.judge.model.encode(request)

    def generate(self, requests: Sequence[Request], done: Done) -> None:
        """Answer what the budget allows; the rest fails with the reason.

        Raises:
            OlmesError: the judge refuses all questions alike.
        """
        start = 0
        while start < len(requests):
            wave = self.affordable(requests[start : start + WAVE])
            if not wave:
                break
            self.put(wave, start, done)
            start += len(wave)
        reason = f"the judge's budget of {self.judge.budget} tokens is used up"
        self.judge.unasked += len(requests) - start
        for position in range(start, len(requests)):
            done(position, Response(finish="error", error=reason))

    def affordable(self, requests: Sequence[Request]) -> Sequence[Request]:
        """The first of `requests` whose likely costs fit into the budget together."""
        if self.judge.budget is None:
            return requests
        left = float(self.judge.budget - self.judge.spent)
        for position, request in enumerate(requests):
            left -= likely_tokens(request)
            if left < 0:
                return requests[:position]
        return requests

    def put(self, wave: Sequence[Request], start: int, done: Done) -> None:
        """Ask the model, and count what it cost."""

        def answered(position: int, response: Response) -> None:
            self.judge.spent += response.prompt_tokens + response.completion_tokens
            done(start + position, response)

        ask = self.judge.model.generate
        (self.watch.over(ask) if self.watch else ask)(wave, answered)

    def loglikelihood(self, requests: Sequence[Request], done: Done) -> None:
        """Report every request as failed: judges are asked for words."""
        for position in range(len(requests)):
            done(position, Response(finish="error", error="a judge weighs no continuations"))


def likely_tokens(request: Request) -> float:
    """What a question may cost: its prompt, estimated, and the longest answer."""
    characters = sum(len(message["content"]) for message in request.messages)
    characters += len(request.prompt or "") + len(request.prefill)
    return characters / CHARACTERS_A_TOKEN + request.generation.max_tokens
