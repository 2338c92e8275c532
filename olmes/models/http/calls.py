"""From a request to what is sent for it and how its answer is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from olmes.models.http import bodies, probes, wire
from olmes.models.http.answers import Reading, has_thought
from olmes.models.http.bodies import Continuation, Place
from olmes.models.http.client import Call, never
from olmes.models.http.dialect import Asked, Dialect
from olmes.models.http.errors import RequestRefusedError
from olmes.models.http.probes import Continues, Glimpse
from olmes.models.http.wire import CHAT, COMPLETIONS, RequestBody, ScoredContinuation
from olmes.models.options import Asking
from olmes.reasoning import Reader
from olmes.types import Request, Response

Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class Calls:
    """Makes the calls to one server.

    Bodies are made when they are sent, by what the server has been found to take until then.
    """

    model: str
    """Its name on the server."""
    place: Place
    dialect: Dialect
    asking: Asking
    reader: Reader
    """How responses are taken apart into thought and answer."""

    def probe(self, request: Request, how: Continuation) -> Call[Glimpse]:
        """A request of a few tokens, its begun answer to be continued in a given way."""
        prompt = partial(bodies.chat_messages, request, how)
        return self.call(CHAT, Asked(request), prompt, probes.glimpse(Reading(path=CHAT)))

    def plain(self, request: Request) -> Call[Response]:
        """A plain prompt, to be gone on with."""
        prompt = partial(plain_prompt, (request.prompt or "") + request.prefill)
        read = Reading(
            path=COMPLETIONS,
            stops=request.generation.stop,
            reader=self.reader,
            top_logprobs=request.top_logprobs,
        )
        return self.call(COMPLETIONS, Asked(request), prompt, read, self.asking_again(read))

    def chat(self, request: Request, continues: Continues | None = None) -> Call[Response]:
        """A chat, and how the server continues its prefill where it has one."""
        how = continues.how if continues and continues.how else "fields"
        thought = bodies.budget_of(self.asking)
        read = Reading(
            path=CHAT,
            stops=request.generation.stop,
            prefill=request.prefill,
            echoes=continues is not None and continues.echoes,
            reader=self.reader,
            thinking=thought > 0,
            top_logprobs=request.top_logprobs,
        )
        prompt = partial(bodies.chat_messages, request, how)
        return self.call(CHAT, Asked(request, thought), prompt, read, self.asking_again(read))

    def scoring(self, context: str, continuation: str) -> Call[ScoredContinuation]:
        """A continuation to be weighed behind its context."""
        # One token more than is needed: some servers break on max_tokens=0. It is ignored.
        request = Request(generation=probes.TINY, prompt=context + continuation)

        def prompt() -> RequestBody:
            return {"prompt": context + continuation, "echo": True, "logprobs": 1}

        read = wire.continuation_reader(context, continuation)
        return self.call(COMPLETIONS, Asked(request), prompt, read)

    def asking_again(self, read: Reading) -> Callable[[Response, RequestBody], bool]:
        """Whether to ask again without stop strings: one that has ended a thought is for the answer."""

        def again(found: Response, sent: RequestBody) -> bool:
            if "stop" not in sent or not has_thought(found):
                return False
            self.dialect.lacks.add((read.path, "stop"))
            return read.cut_short(found)

        return again

    def call(
        self,
        path: str,
        asked: Asked,
        prompt: Callable[[], RequestBody],
        read: Callable[[Any], Read],
        again: Callable[[Read, RequestBody], bool] = never,
    ) -> Call[Read]:
        """A call of any kind."""
        ways = bodies.switches(self.asking, self.place) if path == CHAT else []
        given = [name for way in ways for name in way]

        def body() -> RequestBody:
            whole = bodies.complete(prompt(), path, asked, self.dialect, self.place, self.asking)
            return {"model": self.model, **whole}

        def adapt(error: RequestRefusedError, refused: RequestBody) -> bool:
            return self.dialect.adapt(path, error, refused, asked, len(ways))

        def explain(error: RequestRefusedError, refused: RequestBody) -> str:
            return self.dialect.explain(path, error, refused, given)

        return Call(path, body, read, adapt, explain, again)


def plain_prompt(text: str) -> RequestBody:
    """A body's prompt that is no chat."""
    return {"prompt": text}
