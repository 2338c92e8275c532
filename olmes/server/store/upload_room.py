"""Room for another upload: who has had enough, and whose upload gives way.

An upload that nobody goes on with holds up its owner at most, and its owner only for minutes.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from olmes.server.refusals import RefusedError
from olmes.server.settings import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What an upload takes up."""

    id: str
    who: str
    size: int
    """Bytes of all its files, also of those to come."""
    touched: str
    """When bytes came last."""


def make_room(
    claims: Sequence[Claim], who: str, size: int, limits: Limits, busy: Collection[str] = ()
) -> list[str]:
    """Which uploads give way so that a caller can begin another.

    First those that stand still, the oldest first: the caller's own where the caller has as many as
    one may, anybody's where there is no more room at all. Then one of whoever takes up most, if that is
    more than the caller would. One that is being made a run never does.

    Args:
        claims: of the uploads under way.
        who: begins another.
        size: its bytes.
        limits: of the store.
        busy: ids of uploads that are being made runs.

    Raises:
        RefusedError: there is no room for this caller now.
    """
    left = sorted((one for one in claims if one.id not in busy), key=lambda one: one.touched)
    kept = [one for one in claims if one.id in busy]
    gone: list[str] = []

    def give_way(one: Claim) -> None:
        left.remove(one)
        gone.append(one.id)

    while sum(one.who == who for one in (*left, *kept)) >= limits.open_uploads:
        still = [one for one in left if one.who == who and age(one.touched) > limits.idle]
        if not still:
            raise RefusedError(
                429,
                f"{limits.open_uploads} uploads of yours are under way, which is the most; finish or "
                "drop one (DELETE /api/v1/uploads/ID), or try again in some minutes.",
            )
        give_way(still[0])
    while True:
        everything = (*left, *kept)
        crowded = len(everything) >= limits.all_uploads
        if not crowded and sum(one.size for one in everything) + size <= limits.staging:
            return gone
        taken = Counter[str]()
        for one in everything:
            taken[one.who] += 1 if crowded else one.size
        still = [one for one in left if age(one.touched) > limits.idle]
        if not still:
            most, amount = max(taken.items(), key=lambda item: item[1], default=(who, 0))
            if most != who and taken[who] + (1 if crowded else size) < amount:
                still = [one for one in left if one.who == most]
        if not still:
            raise RefusedError(429, "there is no room for another upload now; try again later.")
        give_way(still[0])


def age(written: str) -> float:
    """Seconds since a time; since for ever where none is written."""
    return time.time() - datetime.fromisoformat(written).timestamp() if written else float("inf")
