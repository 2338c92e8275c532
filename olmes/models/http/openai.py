"""Models behind a server that speaks the OpenAI protocol: vLLM's, SGLang's, a vendor's.

The server holds tokenizer, chat template and weights; it is asked in text and answers in text. See
docs/servers.md for what that means to a number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any, TypeVar

from olmes.errors import OlmesError
from olmes.models.base import Done, EncodedPrompt, Model
from olmes.models.hf.generation_rows import check_settings
from olmes.models.http import wire as wire
from olmes.models.http.client import Call, HTTPClient, RequestFailure
from olmes.models.http.endpoint import OFFICIAL, Endpoint, find_key
from olmes.models.http.pace import Patience
from olmes.tools import jsonl
from olmes.tools.hashing import content_hash
from olmes.types import Generation, Request, Response

Read = TypeVar("Read")
MOST_AT_ONCE = 32
STABLE = ("owned_by", "root", "max_model_len")
"""What a list of models says that is the same at every call (vLLM's `created` is the time of day)."""
TINY = Generation(max_tokens=1)
NO_CONTINUING = (
    "this task begins the model's answer (prefill), and the server cannot go on with a begun "
    "answer; serve the model with vLLM or SGLang, or do without: --set TASK.prefill="
)
NO_CHAT_WEIGHING = (
    "log-probabilities of answers to a chat cannot be had from a server, which writes the chat out "
    "by itself; evaluate the model with hf:"
)


class OpenAIModel(Model):
    """A model behind a server.

    Nothing is sent before the fingerprint or an answer is asked for. `done` is called by the thread
    that called `generate` or `loglikelihood`, never by another, so it may write files and use
    SQLite. The key is read from the environment at the first request, and kept out of every text.

    Args:
        name: what the user called it.
        endpoint: the model's name there and the server's address.
        batch_size: requests at once, at most; by default 32. How many it is depends on the server.
        patience: how long to wait and how often to try.

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
    ) -> None:
        if batch_size is not None and batch_size < 1:
            raise OlmesError(f"batch_size is {batch_size}; give 1 or more.")
        self.name = name
        self.endpoint = endpoint
        self.batch_size = batch_size or MOST_AT_ONCE
        self.patience = patience or Patience()
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
    def card(self) -> dict[str, Any]:
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
        said = self.card.get("max_model_len")
        return said if type(said) is int and said > 0 else None

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
    def engine(self) -> dict[str, Any]:
        """Where and by what the model is served, as far as that is known."""
        return {
            "backend": "openai",
            "url": self.endpoint.host,
            "server": self.server,
            "max_length": self.window,
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
        """Whether the server goes on with a begun answer (`continue_final_message`).

        Told by the tokens of a prompt: servers that do not know the field close the begun answer
        and open another, which takes more of them, or refuse it.
        """
        if self.endpoint.url == OFFICIAL:
            return False
        chat = Request(
            generation=TINY, messages=({"role": "user", "content": "Count."},), prefill="One"
        )
        counts: dict[int, int | RequestFailure] = {}
        reads = partial(wire.tokens_of, name="prompt_tokens")

        def closed() -> dict[str, Any]:
            turns = {"messages": wire.chat_messages(chat)["messages"]}
            return self._body(turns, wire.CHAT, chat)

        bodies = (partial(self._chat_body, chat), closed)
        self.client.ask([self._call(wire.CHAT, body, reads) for body in bodies], counts.__setitem__)
        continued, ended = counts[0], counts[1]
        return isinstance(continued, int) and isinstance(ended, int) and 0 < continued < ended

    @cached_property
    def cannot_weigh(self) -> str:
        """Why the server gives no log-probabilities of a prompt; empty when it does."""
        said: dict[int, wire.Weight | RequestFailure] = {}
        self.client.ask([self._weighing("One two", " three")], said.__setitem__)
        return said[0].reason if isinstance(said[0], RequestFailure) else ""

    def generate(self, requests: Sequence[Request], done: Done) -> None:
        """Answer every request; `done` is called by this thread."""
        for generation in {request.generation for request in requests}:
            check_settings(generation)
        _ = self.card  # a server that cannot be reached is found out by one request
        calls: list[Call[Response]] = []
        positions: list[int] = []
        for index, request in enumerate(requests):
            if request.prompt is None and request.prefill and not self.continues:
                done(index, Response(finish="error", error=NO_CONTINUING))
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
        """Weigh every request's continuations, each by a request; `done` is called by this thread.

        A chat's cannot be weighed; such a request is reported as failed.
        """
        _ = self.card
        calls: list[Call[wire.Weight]] = []
        places: list[tuple[int, int]] = []
        waiting: dict[int, dict[int, wire.Weight | RequestFailure]] = {}

        def settle(index: int) -> None:
            if len(waiting[index]) < len(requests[index].continuations):
                return
            found = [result for _, result in sorted(waiting.pop(index).items())]
            failed = next((one.reason for one in found if isinstance(one, RequestFailure)), "")
            weights = [one for one in found if isinstance(one, wire.Weight)]
            done(
                index,
                Response(finish="error", error=failed) if failed else wire.Weight.response(weights),
            )

        def report(at: int, result: wire.Weight | RequestFailure) -> None:
            index, place = places[at]
            waiting[index][place] = result
            settle(index)

        for index, request in enumerate(requests):
            reason = NO_CHAT_WEIGHING if request.prompt is None else self.cannot_weigh
            if reason:
                done(index, Response(finish="error", error=reason))
                continue
            waiting[index] = {}
            context = (request.prompt or "") + request.prefill
            for place, continuation in enumerate(request.continuations):
                if not continuation:  # nothing is certain
                    waiting[index][place] = wire.Weight(0.0, 0, 0)
                    continue
                calls.append(self._weighing(context, continuation))
                places.append((index, place))
            settle(index)
        self.client.ask(calls, report)

    def _call(
        self, path: str, body: Callable[[], dict[str, Any]], read: Callable[[Any], Read]
    ) -> Call[Read]:
        return Call(path, body, read, partial(self.dialect.adapt, path))

    def _body(self, prompt: dict[str, Any], path: str, request: Request) -> dict[str, Any]:
        settings = wire.settings(path, request, self.dialect, self.window)
        return {"model": self.endpoint.model, **prompt, **settings}

    def _chat_body(self, request: Request) -> dict[str, Any]:
        return self._body(wire.chat_messages(request), wire.CHAT, request)

    def _plain_body(self, request: Request) -> dict[str, Any]:
        prompt = (request.prompt or "") + request.prefill
        return self._body({"prompt": prompt}, wire.COMPLETIONS, request)

    def _weighing(self, context: str, continuation: str) -> Call[wire.Weight]:
        # One token more than is needed: some servers break on max_tokens=0. It is passed over.
        request = Request(generation=TINY, prompt=context + continuation)

        def body() -> dict[str, Any]:
            return self._plain_body(request) | {"echo": True, "logprobs": 1}

        return self._call(wire.COMPLETIONS, body, wire.weigher(context, continuation))
