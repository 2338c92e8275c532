"""Content hashes of requests; those that differ in their repeat alone share the work."""

from __future__ import annotations

import hashlib
from typing import Any

from olmes.tools.hashing import canonical_json
from olmes.types import Request


class RequestHasher:
    """`content_hash(request.to_json())` of requests: repeats that follow one another share the work.

    Behind `repeat` a request's canonical JSON has at most `top_logprobs`, so that everything before it
    is hashed once.
    """

    def __init__(self) -> None:
        self.last: tuple[Request, Any] | None = None
        """The request whose prefix was hashed last, and the hash up to its repeat."""

    def digest(self, request: Request) -> str:
        """64 hex digits of the request's content."""
        last = self.last
        if last is None or not differ_in_repeat_only(last[0], request):
            text, end = canonical_json(request.to_json()), tail(request)
            assert text.endswith(b',"repeat":' + end)
            last = self.last = (request, hashlib.sha256(text[: -len(end)]))
        found = last[1].copy()
        found.update(tail(request))
        return str(found.hexdigest())


def tail(request: Request) -> bytes:
    """The end of a request's canonical JSON, from the value of its `repeat` on."""
    if request.top_logprobs:
        return b'%d,"top_logprobs":%d}' % (request.repeat, request.top_logprobs)
    return b"%d}" % request.repeat


def differ_in_repeat_only(one: Request, other: Request) -> bool:
    """Whether two requests share all their parts, so that only their repeat can differ."""
    return (
        one.messages is other.messages
        and one.prompt is other.prompt
        and one.prefill is other.prefill
        and one.generation is other.generation
        and one.continuations is other.continuations
        and one.answers is other.answers
        and one.top_logprobs == other.top_logprobs
    )
