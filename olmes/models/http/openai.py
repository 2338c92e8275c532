"""Models behind a server that speaks the OpenAI protocol: vLLM's, SGLang's, a vendor's.

The server has tokenizer, chat template and weights; it is asked in text and answers in text. See
docs/servers.md for what that means to a number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TypeVar

from olmes.errors import OlmesError
from olmes.models.base import Done, EncodedPrompt, Model
from olmes.models.hf.generation_rows import check_settings
from olmes.models.http import bodies, probes
from olmes.models.http.bodies import Continuation, Place
from olmes.models.http.calls import Calls
from olmes.models.http.client import Call, HTTPClient, RequestFailure
from olmes.models.http.dialect import Dialect
from olmes.models.http.endpoint import OFFICIAL, Endpoint
from olmes.models.http.keys import Key, find_key
from olmes.models.http.notes import Notes
from olmes.models.http.pace import Patience
from olmes.models.http.probes import Continues, Glimpse
from olmes.models.http.wire import ScoredContinuation
from olmes.models.options import ASKED, Asking
from olmes.reasoning import FAMILIES, Reader
from olmes.reasoning.families import WORDS
from olmes.tools import jsonl
from olmes.tools.hashing import content_hash
from olmes.types import JsonObject, Request, Response

Read = TypeVar("Read")
MOST_AT_ONCE = 32
STABLE = ("owned_by", "root", "max_model_len")
"""What a list of models says that is the same at every call (vLLM's `created` is the time of day)."""
SLOWEST = 20.0
"""Tokens of a thought a second that an answer is waited for."""
MARKS = tuple(family for family in FAMILIES if family.name not in WORDS)
"""What may end a thought that the server's template has begun."""
ModelCard = dict[str, str | int]
"""What a server's list of models says of a model, as far as it is `STABLE`."""
NO_CHAT_LOGPROBS = (
    "a server gives no log-probabilities of answers to a chat, because it renders the chat itself; "
    "evaluate the model with hf:"
)


class OpenAIModel(Model):
    """A model behind a server.

    Nothing is sent before the fingerprint or an answer is asked for. `done` is called by the thread
    that called `generate` or `loglikelihood`, never by another, so it may write files and use
    SQLite. The key is read from the environment at the first request, and left out of every text.

    Args:
        name: what the user called it.
        endpoint: the model's name there and the server's address.
        batch_size: requests at once, at most; by default 32. How many it is depends on the server.
        patience: how long to wait and how often to try.
        asking: how the model is asked.

    Raises:
        OlmesError: `asking` holds what a server cannot do. From any method but `encode`: the server
            cannot be reached, refuses the key, has no such model or fails every request.
    """

    def __init__(
        self,
        name: str,
        endpoint: Endpoint,
        *,
        batch_size: int | None = None,
        patience: Patience | None = None,
        asking: Asking = ASKED,
    ) -> None:
        if batch_size is not None and batch_size < 1:
            raise OlmesError(f"batch_size is {batch_size}; give 1 or more.")
        self.name = name
        self.served = True
        self.endpoint = endpoint
        self.batch_size = batch_size or MOST_AT_ONCE
        self.asking = asking
        bodies.check_asking(asking)
        self.thought = bodies.budget_of(asking)
        default = Patience()
        self.patience = patience or replace(default, answer=default.answer + self.thought / SLOWEST)
        self.dialect = Dialect()
        self.seen = Notes()

    @cached_property
    def key(self) -> Key:
        """The key for the server, from the environment."""
        return find_key(self.endpoint)

    @cached_property
    def client(self) -> HTTPClient:
        """What talks to the server."""
        return HTTPClient(self.endpoint, self.key, most=self.batch_size, patience=self.patience)

    @cached_property
    def card(self) -> ModelCard:
        """What the server's list of models says of this one and does not change; often nothing.

        Raises:
            OlmesError: nothing answers, or the key is refused.
        """
        answer = self.client.look_up(self.endpoint.of("models"))
        try:
            listed = answer.json() if answer else None
        except ValueError:
            listed = None
        rows = listed.get("data") if isinstance(listed, dict) else None
        for row in rows if isinstance(rows, list) else ():
            if isinstance(row, dict) and row.get("id") == self.endpoint.model:
                return {key: row[key] for key in STABLE if isinstance(row.get(key), str | int)}
        return {}

    @property
    def window(self) -> int | None:
        """Tokens of prompt and answer together, where the server says it (vLLM does)."""
        window = self.card.get("max_model_len")
        return window if type(window) is int and window > 0 else None

    @cached_property
    def server(self) -> str:
        """Which program serves, with its version, where that is known."""
        owner = str(self.card.get("owned_by", ""))
        if owner != "vllm" or not self.endpoint.url.endswith("/v1"):
            return owner
        answer = self.client.look_up(f"{self.endpoint.url.removesuffix('/v1')}/version")
        try:
            found = answer.json().get("version") if answer else None
        except (ValueError, AttributeError):
            found = None
        return f"vllm {found}" if isinstance(found, str) else owner

    @cached_property
    def fingerprint(self) -> str:
        """64 hex digits over name, address and what the server says of the model.

        No weights can be seen: a server that changes them behind a name goes unnoticed.
        """
        known = {"name": self.endpoint.model, "url": self.endpoint.url, "card": self.card}
        return content_hash(known | ({"query": self.endpoint.query} if self.endpoint.query else {}))

    @property
    def engine(self) -> JsonObject:
        """Where and by what the model is served, as far as that is known."""
        return {
            "backend": "openai",
            "url": self.endpoint.host,
            "server": self.server,
            "max_length": self.window,
            **self.asking.to_json(),
        }

    def encode(self, request: Request) -> EncodedPrompt:
        """What is sent: the plain prompt, or the chat as JSON. The server makes tokens of it."""
        asking = self.asking
        if request.prompt is not None:
            return EncodedPrompt(text=request.prompt + request.prefill, token_ids=())
        body: JsonObject = {**bodies.chat_messages(request)}
        for switch in bodies.switches(asking, Place(self.endpoint.hostname))[:1]:
            body |= switch
        text = jsonl.dumps(bodies.laid_over(body, asking.request_body))
        return EncodedPrompt(text=text, token_ids=())

    @property
    def reader(self) -> Reader:
        """How responses are taken apart: where a thought is asked for, its closing mark will do."""
        return self.asking.reader(MARKS if self.asking.thinking == "on" else ())

    @cached_property
    def thinks(self) -> bool:
        """Whether the model thinks: as it is asked to, or else as a request of a few tokens shows."""
        if self.asking.thinking != "auto" or self.thought:
            return self.asking.thinking != "off"
        try:
            shown = probes.shows_thought(self._probe)
        except OlmesError:  # a server that is not there is the run's to tell
            return False
        self.seen.thoughts += shown
        return shown

    @property
    def notes(self) -> Sequence[str]:
        """What was found out about the server that a reader of the numbers must know."""
        return self.seen.sentences(self.asking, self.dialect, self.endpoint, self.key)

    @cached_property
    def continuation(self) -> Continues:
        """How the server continues a begun answer, and else why it does not."""
        if self.endpoint.url == OFFICIAL:
            return Continues(None, why_not=probes.NO_PREFILL)
        return probes.find_continuation(self._probe)

    @property
    def continues(self) -> bool:
        """Whether the server continues a begun answer."""
        return self.continuation.how is not None

    def _probe(
        self, wanted: Mapping[str, tuple[Request, Continuation]]
    ) -> dict[str, Glimpse | RequestFailure]:
        found: dict[int, Glimpse | RequestFailure] = {}
        calls = [self.calls.probe(request, how) for request, how in wanted.values()]
        self.client.ask(calls, found.__setitem__)
        return dict(zip(wanted, (found[at] for at in range(len(calls))), strict=True))

    @cached_property
    def calls(self) -> Calls:
        """What makes the calls."""
        program = str(self.card.get("owned_by", ""))
        place = Place(self.endpoint.hostname, program, self.window)
        return Calls(self.endpoint.model, place, self.dialect, self.asking, self.reader)

    @cached_property
    def no_logprobs(self) -> str:
        """Why the server gives no log-probabilities of a prompt; empty when it does."""
        found: dict[int, ScoredContinuation | RequestFailure] = {}
        self.client.ask([self.calls.scoring("One two", " three")], found.__setitem__)
        return found[0].reason if isinstance(found[0], RequestFailure) else ""

    def refusal(self, request: Request) -> str:
        """Why a request cannot be answered: what the server is known to lack, found out by a probe.

        Raises:
            OlmesError: it cannot be reached, or refuses the key.
        """
        _ = self.card  # a server that cannot be reached is found out by one request
        if request.continuations:
            return NO_CHAT_LOGPROBS if request.prompt is None else self.no_logprobs
        unable = request.prompt is None and request.prefill and not self.continues
        return self.continuation.why_not if unable else ""

    def generate(self, requests: Sequence[Request], done: Done) -> None:
        """Answer every request; `done` is called by this thread."""
        for generation in {request.generation for request in requests}:
            check_settings(generation)
        _ = self.card  # a server that cannot be reached is found out by one request
        calls: list[Call[Response]] = []
        positions: list[int] = []
        for index, request in enumerate(requests):
            if request.prompt is None and request.prefill and not self.continues:
                done(index, Response(finish="error", error=self.continuation.why_not))
                continue
            if request.prompt is not None:
                calls.append(self.calls.plain(request))
            else:
                calls.append(
                    self.calls.chat(request, self.continuation if request.prefill else None)
                )
            positions.append(index)

        def report(at: int, result: Response | RequestFailure) -> None:
            if isinstance(result, RequestFailure):
                result = Response(finish="error", error=result.reason)
            self.seen.note(result)
            done(positions[at], result)

        self.client.ask(calls, report)

    def loglikelihood(self, requests: Sequence[Request], done: Done) -> None:
        """Score every request's continuations, each by a request; `done` is called by this thread.

        A chat's cannot be scored; such a request is reported as failed.
        """
        _ = self.card
        calls: list[Call[ScoredContinuation]] = []
        positions: list[tuple[int, int]] = []
        waiting: dict[int, dict[int, ScoredContinuation | RequestFailure]] = {}

        def settle(index: int) -> None:
            if len(waiting[index]) < len(requests[index].continuations):
                return
            found = [result for _, result in sorted(waiting.pop(index).items())]
            failed = next((one.reason for one in found if isinstance(one, RequestFailure)), "")
            scored = [one for one in found if isinstance(one, ScoredContinuation)]
            done(
                index,
                Response(finish="error", error=failed)
                if failed
                else ScoredContinuation.response(scored),
            )

        def report(at: int, result: ScoredContinuation | RequestFailure) -> None:
            index, number = positions[at]
            waiting[index][number] = result
            settle(index)

        for index, request in enumerate(requests):
            reason = NO_CHAT_LOGPROBS if request.prompt is None else self.no_logprobs
            if reason:
                done(index, Response(finish="error", error=reason))
                continue
            waiting[index] = {}
            context = (request.prompt or "") + request.prefill
            for number, continuation in enumerate(request.continuations):
                if not continuation:  # nothing is certain
                    waiting[index][number] = ScoredContinuation(0.0, 0, 0)
                    continue
                calls.append(self.calls.scoring(context, continuation))
                positions.append((index, number))
            settle(index)
        self.client.ask(calls, report)
