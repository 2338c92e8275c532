"""Places in a list of runs as text, for a reader who asks for what follows."""

from __future__ import annotations

import base64
import binascii
import json
import re

from olmes.records.schema import LARGEST
from olmes.server.refusals import RefusedError


def cursor(order: str, seq: int) -> str:
    """A place in a list, as text."""
    return base64.urlsafe_b64encode(json.dumps([order, seq]).encode()).decode().rstrip("=")


def read_cursor(text: str | None) -> tuple[str, int] | None:
    """The place in a list that a text stands for.

    Raises:
        RefusedError: it is not one that this server gave.
    """
    if text is None:
        return None
    try:
        found = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        found = None
    good = isinstance(found, list) and [type(part) for part in found] == [str, int]
    if not good or not re.fullmatch(r"[0-9TZ:.+-]{0,40}", found[0]) or abs(found[1]) > LARGEST:
        raise RefusedError(422, "after: is not a place in this list.", "after")
    return found[0], found[1]
