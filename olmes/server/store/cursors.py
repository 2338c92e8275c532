"""Places in a list of runs as text, for a reader who asks for what follows.

A place is the sort key of the last run that was seen: its moment and its name where runs are sorted by
time, or '' and its number where they are sorted by arrival.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Literal

from olmes.records.schema import LARGEST
from olmes.server.intake.fields import RUN_ID
from olmes.server.refusals import RefusedError

Order = Literal["arrived", "created"]
Place = tuple[str, str | int]
MOMENT = re.compile(r"[0-9TZ:.+-]{0,40}")


def cursor(place: Place) -> str:
    """A place in a list, as text."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def read_cursor(text: str | None, by: Order) -> Place | None:
    """The place in a list, sorted `by`, that a text stands for.

    Raises:
        RefusedError: it is not one that this server gave.
    """
    if text is None:
        return None
    try:
        found = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or not fits(found, by):
        raise RefusedError(422, "after: is not a place in this list.", "after")
    return found[0], found[1]


def fits(place: list[object], by: Order) -> bool:
    """Whether it is a place in a list that is sorted so."""
    match place:
        case [str(moment), str(run)] if by == "created":
            return bool(MOMENT.fullmatch(moment) and re.fullmatch(RUN_ID, run))
        case ["", int(seq)] if by == "arrived" and type(seq) is int:
            return abs(seq) <= LARGEST
    return False
