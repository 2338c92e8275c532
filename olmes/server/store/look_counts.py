"""How many looks at held-out tasks went before each, counted over every ledger here.

A ledger counts the looks of its own store. The server has the ledgers of all stores that pushed, where
the same weights, or what they come from, may have been looked at before.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from olmes.seal.counting import BY_A_PERSON, LOOKS, trainings
from olmes.seal.ledger import Entry
from olmes.server.store.kept_line import KeptLine

CLOCK = 60.0
"""Seconds by which a clock may be set back without a word."""
UNKNOWN = float("-inf")


@dataclass(frozen=True, slots=True)
class LookedAt:
    """What a look was at, as far as others are counted by it."""

    family: str
    fingerprint: str
    read: bool
    """Whether people read items: they may use what they saw for any model."""

    @classmethod
    def of(cls, entry: Entry) -> LookedAt:
        """What a line's look was at."""
        read = entry.get("event") in BY_A_PERSON
        return cls(word(entry, "family"), word(entry, "fingerprint"), read)

    @property
    def keys(self) -> set[tuple[str, str]]:
        """By what it is found from another look."""
        named = (("family", self.family), ("fingerprint", self.fingerprint))
        return {key for key in named if key[1]} | ({("read", "")} if self.read else set())


def looks_before(lines: Iterable[KeptLine]) -> dict[str, int]:
    """By the hash of a look's line, how many went before it.

    Counted are the looks at the same weights, of the same family and of those that its lineage names,
    and the items that people read; looks at demo data show nothing of a benchmark and do not count.

    Args:
        lines: every line there is, each after the one that it follows.
    """
    looks = [
        (moment, place, line)
        for place, (line, moment) in enumerate(in_time(lines))
        if line.entry.get("event") in LOOKS
    ]
    counted: Counter[LookedAt] = Counter()
    kin: defaultdict[tuple[str, str], set[LookedAt]] = defaultdict(set)
    before = {}
    for _, _, line in sorted(looks, key=lambda look: look[:2]):
        what = LookedAt.of(line.entry)
        keys = what.keys | {("family", name) for name in ancestors(line.entry)} | {("read", "")}
        before[line.hash] = sum(counted[one] for one in {one for key in keys for one in kin[key]})
        if not line.entry.get("sample_data"):
            counted[what] += 1
            for key in what.keys:
                kin[key].add(what)
    return before


def in_time(lines: Iterable[KeptLine]) -> Iterable[tuple[KeptLine, float]]:
    """Each line with the second at which it was written, as far as that can be believed.

    Never before the line that it follows, and never after it was here.
    """
    moments: dict[str, float] = {}
    for line in lines:
        moment = max(seconds(line.time), moments.get(line.previous, UNKNOWN))
        if line.arrived:
            moment = min(moment, seconds(line.arrived))
        moments[line.hash] = moment
        yield line, moment


def back_in_time(lines: Iterable[KeptLine]) -> set[str]:
    """The hashes of the lines that say they were written before the line that they follow."""
    said: dict[str, float] = {}
    found = set()
    for line in lines:
        said[line.hash] = own = seconds(line.time)
        if own < said.get(line.previous, UNKNOWN) - CLOCK:
            found.add(line.hash)
    return found


def seconds(text: str) -> float:
    """A time as seconds; the earliest there is for what is none."""
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return UNKNOWN


def ancestors(entry: Entry) -> set[str]:
    """The families that a model descends from, by what the line says of its lineage."""
    lineage = entry.get("lineage")
    return trainings(lineage) if isinstance(lineage, list) else set()


def word(facts: Mapping[str, Any], key: str) -> str:
    """A text of a line; '' where it has none or something else."""
    value = facts.get(key)
    return value if isinstance(value, str) else ""
