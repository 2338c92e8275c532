"""A response as the journal and the response cache store it: as JSON, open or packed.

Packed (JSON, compressed, in base64) is what a run under seal stores, so that nobody reads it by chance.
What is read back is held against what a response is: a row that is damaged, or that a newer olmes has
written, counts as none, and its request is asked again.
"""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

from olmes.records.check import FieldError, converted
from olmes.tools.jsonl import dumps
from olmes.types import Request, Response, ResponseJson

MOST_BYTES = 1 << 25
"""Of a stored response, also unpacked: no answer is near that, and damage may be a gigabyte."""
MOST_TOKENS = 1 << 53
FIELDS = ResponseJson.__required_keys__ | ResponseJson.__optional_keys__
COUNTS = ("prompt_tokens", "completion_tokens", "prompt_truncated", "reasoning_tokens")


class DamagedError(Exception):
    """What is stored is no response."""


class NewerError(DamagedError):
    """What is stored has fields that this olmes does not know, and may mean more than it would read."""


def pack(response: Response) -> str:
    """A response as packed text."""
    compressed = zlib.compress(dumps(response.to_json()).encode("utf-8"))
    return base64.b64encode(compressed).decode("ascii")


def unpack(text: object) -> Any:
    """The JSON of a packed response.

    Raises:
        DamagedError: it is not whole.
    """
    if not isinstance(text, str):
        raise DamagedError
    try:
        engine = zlib.decompressobj()
        raw = engine.decompress(base64.b64decode(text, validate=True), MOST_BYTES)
    except (ValueError, zlib.error):
        raise DamagedError from None
    if not engine.eof or engine.unused_data:
        raise DamagedError
    return parse(raw)


def parse(raw: bytes) -> Any:
    """A JSON value.

    Raises:
        DamagedError: it is none.
    """
    try:
        return json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError):
        raise DamagedError from None


def response_of(value: Any) -> Response:
    """The response of its JSON.

    Raises:
        NewerError: it has fields that this olmes does not know.
        DamagedError: it is no response, or one that failed, which nobody stores.
    """
    if isinstance(value, dict) and not value.keys() <= FIELDS:
        raise NewerError
    try:
        row = converted(value, ResponseJson)
    except FieldError:
        raise DamagedError from None
    response = Response.from_json(row)
    counts = [getattr(response, name) for name in COUNTS]
    if response.error or not all(0 <= count < MOST_TOKENS for count in counts):
        raise DamagedError
    return response


def fits(request: Request, response: Response) -> bool:
    """Whether a stored response can be one to a request: it weighs what was to be weighed."""
    if request.top_logprobs and not response.first_token_logprobs:
        return False
    weighed = len(response.logprobs), len(response.rewards)
    asked = len(request.continuations), len(request.answers)
    return not any(asked) or weighed == asked
