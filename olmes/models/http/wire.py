"""The OpenAI protocol: requests as JSON bodies, JSON answers as responses.

Source: the published API reference of chat completions and of (legacy) completions. Fields beyond it
(`continue_final_message`, `add_generation_prompt`) are those of vLLM's server.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

from olmes.models.hf.generation_rows import UnanswerableError, cut_at_stop
from olmes.models.http.errors import RequestRefusedError
from olmes.tools.hashing import content_hash
from olmes.types import Finish, Message, Request, Response

CHAT = "chat/completions"
COMPLETIONS = "completions"
MOST_STOPS = 4
"""Stop strings the protocol takes; the text is cut here at all of them."""
ADAPTABLE = ("max_tokens", "stop", "seed")
"""Fields that can be named otherwise, or left out."""
NOT_TAKEN = re.compile(
    r"unsupported|not supported|not compatible|unexpected|unrecogni[sz]ed|unknown|extra",
    re.IGNORECASE,
)


class GenerationSettings(TypedDict, total=False):
    """The generation settings of a request's body."""

    max_tokens: int
    max_completion_tokens: int
    """In place of `max_tokens`, where the server asks for it."""
    temperature: float
    top_p: float
    stop: list[str]
    seed: int


class RequestBody(GenerationSettings, total=False):
    """The JSON body of a request: model, prompt of either kind, settings."""

    model: str
    messages: list[Message]
    continue_final_message: bool
    """With a prefill, which is the last message then; so is the next field."""
    add_generation_prompt: bool
    prompt: str
    echo: bool
    """For log-probabilities of the prompt's own tokens; so is the next field."""
    logprobs: int


class Choice(TypedDict, total=False):
    """The one choice of an answer. A server may send anything, so nothing in it has a type yet."""

    finish_reason: object
    message: object
    """Of a chat."""
    text: object
    """Of a completion."""
    logprobs: object


@dataclass
class Dialect:
    """Fields that a server has refused, by path and name."""

    lacks: set[tuple[str, str]] = field(default_factory=set)

    def adapt(self, path: str, error: RequestRefusedError, body: RequestBody) -> bool:
        """Learn from a refusal; whether the next body will differ from the refused one.

        `max_tokens` becomes `max_completion_tokens` where the refusal asks for that. A server that
        takes no `stop` generates on, and the text is cut here; without `seed`, sampled responses
        are not reproducible.
        """
        if error.status not in (400, 422):
            return False
        for name in ADAPTABLE:
            if name in body and self.refuses(name, path, error):
                self.lacks.add((path, name))
                return True
        return False

    def refuses(self, name: str, path: str, error: RequestRefusedError) -> bool:
        """Whether a refusal says that the server does not know the field."""
        if name == "max_tokens":
            return path == CHAT and "max_completion_tokens" in error.words
        named = error.parameter == name or re.search(rf"['\"`]{name}['\"`]", error.words)
        return bool(named and NOT_TAKEN.search(error.words))


def settings(
    path: str, request: Request, dialect: Dialect, window: int | None
) -> GenerationSettings:
    """The generation settings of a body.

    A limit above the server's window is lowered to it: servers refuse such a limit, and there it
    means "what there is room for". The seed is mixed with the prompt, or all items would be sampled
    with the same noise; it is left out of greedy requests, where it means nothing.
    """
    generation = request.generation
    limit = generation.max_tokens if window is None else min(generation.max_tokens, window)
    renamed = (path, "max_tokens") in dialect.lacks
    found: GenerationSettings = {}
    found["max_completion_tokens" if renamed else "max_tokens"] = limit
    found["temperature"] = generation.temperature
    if generation.top_p is not None:
        found["top_p"] = generation.top_p
    if generation.stop and (path, "stop") not in dialect.lacks:
        found["stop"] = list(generation.stop[:MOST_STOPS])
    if generation.temperature > 0 and (path, "seed") not in dialect.lacks:
        prompt = [request.messages, request.prompt, request.prefill]
        mixed = content_hash([generation.seed + request.repeat, prompt])
        found["seed"] = int(mixed[:8], 16) >> 1  # 31 bits: some servers hold no more
    return found


def chat_messages(request: Request) -> RequestBody:
    """The turns of a chat; with a prefill the last one is the model's own, to be continued."""
    turns = list(request.messages)
    if not request.prefill:
        return {"messages": turns}
    return {
        "messages": [*turns, {"role": "assistant", "content": request.prefill}],
        "continue_final_message": True,
        "add_generation_prompt": False,
    }


def first_choice(answer: Any) -> Choice:
    """The one choice of an answer.

    Raises:
        ValueError: there is none, or the server aborted it.
    """
    choices = answer.get("choices") if isinstance(answer, dict) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise ValueError("it has no choices")
    choice: Choice = answer["choices"][0]
    if choice.get("finish_reason") in ("abort", "error"):
        raise ValueError("the server aborted the generation")
    return choice


def chat_text(choice: Choice) -> str:
    """The text of a chat's choice: the content, or the refusal.

    A reasoning model's thoughts come in a field of their own and are not part of the text.

    Raises:
        ValueError: there is no message.
    """
    message = choice.get("message")
    if not isinstance(message, dict):
        raise ValueError("its choice has no message")
    content = message.get("content") or message.get("refusal") or ""
    if isinstance(content, list):  # of parts, some of which are texts
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        content = "".join(part for part in parts if isinstance(part, str))
    if not isinstance(content, str):
        raise ValueError("its message has no text")
    return content


def plain_text(choice: Choice) -> str:
    """The text of a completion's choice.

    Raises:
        ValueError: there is none.
    """
    text = choice.get("text")
    if not isinstance(text, str):
        raise ValueError("its choice has no text")
    return text


def tokens_of(answer: Mapping[str, Any], name: str) -> int:
    """A count of the answer's usage; 0 where the server does not count."""
    usage = answer.get("usage")
    count = usage.get(name) if isinstance(usage, dict) else None
    return count if type(count) is int and count > 0 else 0


def reader(path: str, stops: Sequence[str]) -> Callable[[Any], Response]:
    """What makes a response of an answer; it raises ValueError and UnanswerableError."""

    def read(answer: Any) -> Response:
        choice = first_choice(answer)
        text = chat_text(choice) if path == CHAT else plain_text(choice)
        reason = choice.get("finish_reason")
        if not text and reason == "content_filter":
            raise UnanswerableError("the server's content filter withheld the answer")
        text, stopped = cut_at_stop(text, stops)
        finish: Finish = "length" if reason == "length" and not stopped else "stop"
        return Response(
            text=text,
            finish=finish,
            prompt_tokens=tokens_of(answer, "prompt_tokens"),
            completion_tokens=tokens_of(answer, "completion_tokens"),
        )

    return read


@dataclass(frozen=True, slots=True)
class ScoredContinuation:
    """The log-likelihood of one continuation of one request."""

    logprob: float
    """Summed over its tokens, natural logarithm."""
    tokens: int
    tokens_before: int

    @classmethod
    def response(cls, continuations: Sequence[ScoredContinuation]) -> Response:
        """The response to a request whose continuations are all scored."""
        return Response(
            logprobs=tuple(one.logprob for one in continuations),
            prompt_tokens=max((one.tokens_before for one in continuations), default=0),
            completion_tokens=sum(one.tokens for one in continuations),
        )


def continuation_reader(context: str, continuation: str) -> Callable[[Any], ScoredContinuation]:
    """What sums the continuation's part of an echoed prompt; raises as `reader` does.

    A token that spans the boundary belongs to the continuation, as with the other backends.
    """

    def read(answer: Any) -> ScoredContinuation:
        logprobs = first_choice(answer).get("logprobs")
        if not isinstance(logprobs, dict):
            raise UnanswerableError(
                "the server gives no log-probabilities of a prompt (echo and logprobs); serve the "
                "model with vLLM, or evaluate it with hf:"
            )
        tokens, values = logprobs.get("tokens"), logprobs.get("token_logprobs")
        if not isinstance(tokens, list) or not isinstance(values, list):
            raise ValueError("its log-probabilities are not lists")
        if len(tokens) != len(values) or not all(isinstance(token, str) for token in tokens):
            raise ValueError("its log-probabilities do not match its tokens")
        if count := tokens_of(answer, "prompt_tokens"):
            tokens, values = tokens[:count], values[:count]
        ends = len(context) + len(continuation)
        starts = token_starts(tokens, logprobs.get("text_offset"), context + continuation)
        spans = zip(starts, [*starts[1:], ends], values, strict=True)
        chosen = [
            value
            for start, end, value in spans
            if start < ends and (start >= len(context) or end > len(context))
        ]
        tokens_read = sum(start < ends for start in starts)
        if values[:1] == [None] and len(chosen) == tokens_read:
            raise UnanswerableError(
                "the continuation has no token before it, because the server adds no "
                "begin-of-sequence token"
            )
        return ScoredContinuation(total(chosen), len(chosen), tokens_read - len(chosen))

    return read


def token_starts(tokens: Sequence[str], offsets: Any, text: str) -> list[int]:
    """Where each token starts in `text`; a begin-of-sequence token before it starts below 0.

    Where the tokens spell the text, their lengths are added up, since not every server's
    `text_offset` is right. They do not where a character is spread over tokens; then the offsets
    are used.

    Raises:
        UnanswerableError: neither is possible.
    """
    added = len(tokens[0]) if tokens and not text.startswith(tokens[0]) else 0
    if "".join(tokens)[added:].startswith(text):
        starts, offset = [], -added
        for token in tokens:
            starts.append(offset)
            offset += len(token)
        return starts
    if (
        isinstance(offsets, list)
        and len(offsets) >= len(tokens) > 0
        and all(type(offset) is int for offset in offsets)
        and offsets == sorted(offsets)
        and offsets[0] == 0
    ):
        return [offset - added for offset in offsets[: len(tokens)]]
    raise UnanswerableError(
        "the server's tokens do not spell the prompt, so the continuation's cannot be found"
    )


def total(values: Sequence[Any]) -> float:
    """The sum of log-probabilities.

    Raises:
        ValueError: one is not a number.
    """
    if not values or not all(type(one) in (int, float) and math.isfinite(one) for one in values):
        raise ValueError("its log-probabilities are not numbers")
    return math.fsum(values)
