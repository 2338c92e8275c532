"""The OpenAI protocol: the fields of bodies and answers, and log-probabilities of a prompt.

Source: the published API reference of chat completions and of (legacy) completions. Fields beyond it
(`continue_final_message`, `add_generation_prompt`, `chat_template_kwargs`) are those of vLLM's server.
Bodies are made in `bodies`, answers are read in `answers`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NotRequired, TypedDict

from olmes.models.hf.generation_rows import UnanswerableError
from olmes.types import Message, Response

CHAT = "chat/completions"
COMPLETIONS = "completions"
MOST_STOPS = 4
"""Stop strings the protocol takes; the text is cut here at all of them."""


class GenerationSettings(TypedDict, total=False):
    """The generation settings of a request's body."""

    max_tokens: int
    max_completion_tokens: int
    """In place of `max_tokens`, where the server asks for it."""
    temperature: float
    top_p: float
    stop: list[str]
    seed: int
    top_k: int
    """No part of the protocol, as those that follow; vLLM, SGLang and llama.cpp have them."""
    min_p: float
    repetition_penalty: float
    repeat_penalty: float
    """What llama.cpp calls it."""


class Turn(Message):
    """A turn of a body's chat."""

    prefix: NotRequired[Literal[True]]
    """Of a last turn that is to be continued, as Mistral and DeepSeek ask for it."""


class RequestBody(GenerationSettings, total=False):
    """The JSON body of a request: model, prompt of either kind, settings."""

    model: str
    messages: list[Turn]
    continue_final_message: bool
    """With a prefill, which is the last message then; so is the next field."""
    add_generation_prompt: bool
    prompt: str
    echo: bool
    """For log-probabilities of the prompt's own tokens, as is `logprobs`."""
    logprobs: int
    """For how many likeliest tokens; of a chat `true`, and `top_logprobs` says how many."""
    top_logprobs: int
    stream: bool
    stream_options: dict[str, bool]
    chat_template_kwargs: dict[str, Any]
    reasoning_effort: str


class Choice(TypedDict, total=False):
    """The one choice of an answer. A server may send anything, so nothing in it has a type yet."""

    finish_reason: object
    message: object
    """Of a chat."""
    text: object
    """Of a completion."""
    logprobs: object


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


def tokens_of(answer: Mapping[str, Any], name: str) -> int:
    """A count of the answer's usage; 0 where the server does not count."""
    usage = answer.get("usage")
    count = usage.get(name) if isinstance(usage, dict) else None
    return count if type(count) is int and count > 0 else 0


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
