"""Content hashes of requests; those that differ in their repeat alone share the work."""

from __future__ import annotations

import hashlib
from typing import Any

from olmes.tools.hashing import canonical_json
from olmes.types import Request


class RequestHasher:
    """`content_hash(request.to_json())` of requests: repeats that follow one another share the work.

    `repeat` is the last key of a request's canonical JSON, so that everything before it is hashed once.
    """

    def __init__(self) -> None:
        self.last: tuple[Request, Any] | None = None
        """The request whose prefix was hashed last, and the hash up to its repeat."""

    def digest(self, request: Request) -> str:
        """64 hex digits of the request's content."""
        last = self.last
        if last is None or not differ_in_repeat_only(last[0], request):
            text, end = canonical_json(request.to_json()), b"%d}" % request.repeat
            assert text.endswith(b',"repeat":' + end)
            last = self.last = (request, hashlib.sha256(text[: -len(end)]))
        found = last[1].copy()
        found.update(b"%d}" % request.repeat)
        return str(found.hexdigest())


def differ_in_repeat_only(one: Request, other: Request) -> bool:
    """Whether two requests share all their parts, so that only their repeat can differ."""
    return (
        one.messages is other.messages
        and one.prompt is other.prompt
        and one.prefill is other.prefill
        and one.generation is other.generation
        and one.continuations is other.continuations
    )
