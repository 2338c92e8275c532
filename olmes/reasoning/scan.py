"""Where a response that is still being written stands: in its thought, behind it, or in its answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from olmes.reasoning.families import PAIRED, WORDS, Marks
from olmes.reasoning.split import Reader, end_of, first_closing, opening_of, patterns, unwrapped

State = Literal["before", "inside", "behind", "answer"]
"""`before`: nothing is written yet that says it. `behind`: the thought is closed, and another one may
begin, or the answer."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a text has come to."""

    state: State
    offset: int = 0
    """Where the answer begins, or may begin."""
    thought: bool = False
    """Whether there is a thought before it."""


def scan(text: str, reader: Reader) -> Place:
    """Where a text has come to; `olmes.reasoning.split` takes it apart at the same place."""
    begun = opening_of(text, reader)
    if begun:
        family, start = begun
    else:
        closing = first_closing(text, reader)
        if closing is None:
            return without_marks(text, reader)
        family, start = closing, 0
    while True:
        end = end_of(text, family, start)
        if end is None:
            return Place("inside", thought=True)
        rest = past(text, end.end(), family)
        again = patterns(family).opening.match(text, rest)
        if again is None:
            state: State = "behind" if may_open(text[rest:], (family,)) else "answer"
            return Place(state, rest, thought=True)
        start = again.end()


def without_marks(text: str, reader: Reader) -> Place:
    """Where a text has come to that neither opens a thought nor closes one."""
    if reader.opened:
        return Place("inside", thought=True)
    if unwrapped(text, reader.marks) is not None:
        return Place("answer")
    begun = text.lstrip()
    # Some openings are read as such only where they are closed, which may be yet to come.
    paired = (one.opening for one in reader.marks if one.name in PAIRED and one.name not in WORDS)
    if reader.known and any(map(begun.startswith, paired)):
        return Place("inside", thought=True)
    return Place("before" if may_open(text, reader.marks) else "answer")


def past(text: str, start: int, family: Marks) -> int:
    """The place behind what may stand between a thought and what follows it."""
    for mark in family.between:
        rest = text[start:]
        at = start + len(rest) - len(rest.lstrip())
        if text.startswith(mark, at):
            start = at + len(mark)
    return start


def may_open(text: str, marks: tuple[Marks, ...]) -> bool:
    """Whether a text may still become an opening mark, or what stands before one."""
    begun = text.lstrip().lower()
    openings = (mark for family in marks for mark in (family.opening, *family.between))
    return any(mark.lower().startswith(begun) for mark in openings)
