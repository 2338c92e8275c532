"""The log-probabilities of an answer's first token, as servers give them.

Of a chat `choices[0].logprobs.content[0].top_logprobs` is a list of tokens, of a completion
`choices[0].logprobs.top_logprobs[0]` a mapping. Source: the published API reference of both, which
the servers of vLLM, SGLang and llama.cpp follow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from olmes.models.hf.generation_rows import UnanswerableError
from olmes.models.http.wire import Choice
from olmes.models.token_logprobs import by_text

NOT_GIVEN = (
    "this server gives no log-probabilities of its answers' tokens (logprobs, top_logprobs): ask a "
    "model that gives them, served by vLLM, SGLang or llama.cpp, or as hf: or vllm:"
)


def first_tokens(choice: Choice, most: int) -> dict[str, float]:
    """Natural-log probabilities of the likeliest first tokens by their text, the likeliest first.

    Raises:
        UnanswerableError: the answer holds none.
    """
    found = [
        (text, float(value))
        for text, value in alternatives(choice.get("logprobs"))
        if type(value) in (int, float) and math.isfinite(value)
    ]
    if not found:
        raise UnanswerableError(NOT_GIVEN)
    return by_text(found, most)


def alternatives(logprobs: Any) -> Iterator[tuple[str, Any]]:
    """Text and log-probability of each alternative to the first token, unchecked."""
    if not isinstance(logprobs, dict):
        return
    content, tops = logprobs.get("content"), logprobs.get("top_logprobs")
    if isinstance(content, list) and content and isinstance(content[0], dict):
        listed = content[0].get("top_logprobs")
        for one in listed if isinstance(listed, list) else ():
            if isinstance(one, dict) and isinstance(one.get("token"), str):
                yield one["token"], one.get("logprob")
    elif isinstance(tops, list) and tops and isinstance(tops[0], dict):
        yield from tops[0].items()
