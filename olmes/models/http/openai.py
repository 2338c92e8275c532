"""Models behind a server that speaks the OpenAI protocol: vLLM's, SGLang's, a vendor's.

The server has tokenizer, chat template and weights; it is asked in text and answers in text. See
docs/servers.md for what that means to a number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any, TypeVar

from olmes.errors import OlmesError
from olmes.models.base import Done, EncodedPrompt, Model
from olmes.models.hf.generation_rows import check_settings
from olmes.models.http import wire
from olmes.models.http.client import Call, HTTPClient, RequestFailure
from olmes.models.http.endpoint import OFFICIAL, Endpoint, find_key
from olmes.models.http.pace import Patience
from olmes.models.http.wire import RequestBody, ScoredContinuation
from olmes.models.options import ASKED, Asking
from olmes.tools import jsonl
from olmes.tools.hashing import content_hash
from olmes.types import Generation, JsonObject, Request, Response

Read = TypeVar("Read")
MOST_AT_ONCE = 32
STABLE = ("owned_by", "root", "max_model_len")
"""What a list of models says that is the same at every call (vLLM's `created` is the time of day)."""
TINY = Generation(max_tokens=1)
ModelCard = dict[str, str | int]
"""What a server's list of models says of a model, as far as it is `STABLE`."""
NO_PREFILL = (
    "this task has a prefill, and the server cannot continue a prefilled answer; serve the model "
    "with vLLM or SGLang, or leave the prefill out: --set TASK.prefill="
)
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
        OlmesError: from any method but `encode`: the server cannot be reached, refuses the key, has
            no such model or fails every request.
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
        self.patience = patience or Patience()
        self.asking = asking
        self.dialect = wire.Dialect()

    @cached_property
    def client(self) -> HTTPClient:
        """What talks to the server."""
        return HTTPClient(
            self.endpoint.url,
            find_key(self.endpoint),
            self.endpoint.model,
            most=self.batch_size,
            patience=self.patience,
        )

    @cached_property
    def card(self) -> ModelCard:
        """What the server's list of models says of this one and does not change; often nothing.

        Raises:
            OlmesError: nothing answers, or the key is refused.
        """
        answer = self.client.look_up(f"{self.endpoint.url}/models")
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
        return content_hash(
            {"name": self.endpoint.model, "url": self.endpoint.url, "card": self.card}
        )

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
        if request.prompt is not None:
            text = request.prompt + request.prefill
        else:
            text = jsonl.dumps(wire.chat_messages(request))
        return EncodedPrompt(text=text, token_ids=())

    @cached_property
    def continues(self) -> bool:
        """Whether the server continues a prefilled answer (`continue_final_message`).

        Measured by the tokens of a prompt: servers that do not know the field close the prefilled
        answer and open another, which takes more of them, or refuse it.
        """
        if self.endpoint.url == OFFICIAL:
            return False
        chat = Request(
            generation=TINY, messages=({"role": "user", "content": "Count."},), prefill="One"
        )
        counts: dict[int, int | RequestFailure] = {}
        reads = partial(wire.tokens_of, name="prompt_tokens")

        def closed() -> RequestBody:
            turns: RequestBody = {"messages": wire.chat_messages(chat)["messages"]}
            return self._body(turns, wire.CHAT, chat)

        bodies = (partial(self._chat_body, chat), closed)
        self.client.ask([self._call(wire.CHAT, body, reads) for body in bodies], counts.__setitem__)
        continued, ended = counts[0], counts[1]
        return isinstance(continued, int) and isinstance(ended, int) and 0 < continued < ended

    @cached_property
    def no_logprobs(self) -> str:
        """Why the server gives no log-probabilities of a prompt; empty when it does."""
        found: dict[int, ScoredContinuation | RequestFailure] = {}
        self.client.ask([self._scoring_call("One two", " three")], found.__setitem__)
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
        return NO_PREFILL if unable else ""

    def generate(self, requests: Sequence[Request], done: Done) -> None:
        """Answer every request; `done` is called by this thread."""
        for generation in {request.generation for request in requests}:
            check_settings(generation)
        _ = self.card  # a server that cannot be reached is found out by one request
        calls: list[Call[Response]] = []
        positions: list[int] = []
        for index, request in enumerate(requests):
            if request.prompt is None and request.prefill and not self.continues:
                done(index, Response(finish="error", error=NO_PREFILL))
                continue
            chat = request.prompt is None
            path = wire.CHAT if chat else wire.COMPLETIONS
            body = partial(self._chat_body if chat else self._plain_body, request)
            calls.append(self._call(path, body, wire.reader(path, request.generation.stop)))
            positions.append(index)

        def report(at: int, result: Response | RequestFailure) -> None:
            if isinstance(result, RequestFailure):
                result = Response(finish="error", error=result.reason)
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
                calls.append(self._scoring_call(context, continuation))
                positions.append((index, number))
            settle(index)
        self.client.ask(calls, report)

    def _call(
        self, path: str, body: Callable[[], RequestBody], read: Callable[[Any], Read]
    ) -> Call[Read]:
        return Call(path, body, read, partial(self.dialect.adapt, path))

    def _body(self, prompt: RequestBody, path: str, request: Request) -> RequestBody:
        settings = wire.settings(path, request, self.dialect, self.window)
        return {"model": self.endpoint.model, **prompt, **settings}

    def _chat_body(self, request: Request) -> RequestBody:
        return self._body(wire.chat_messages(request), wire.CHAT, request)

    def _plain_body(self, request: Request) -> RequestBody:
        prompt = (request.prompt or "") + request.prefill
        return self._body({"prompt": prompt}, wire.COMPLETIONS, request)

    def _scoring_call(self, context: str, continuation: str) -> Call[ScoredContinuation]:
        # One token more than is needed: some servers break on max_tokens=0. It is ignored.
        request = Request(generation=TINY, prompt=context + continuation)

        def body() -> RequestBody:
            return {**self._plain_body(request), "echo": True, "logprobs": 1}

        return self._call(wire.COMPLETIONS, body, wire.continuation_reader(context, continuation))
