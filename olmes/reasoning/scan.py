"""Where a response that is still being written stands: in its thought, between, or in its answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from olmes.reasoning.families import Marks
from olmes.reasoning.split import Reader, bare_answer, first_closing, opening_of, patterns

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
    begun = opening_of(text, reader.marks)
    if begun:
        family, start = begun
    else:
        bare = reader.known and not reader.opened and bare_answer(text, reader.marks)
        closing = None if bare or not reader.known else first_closing(text, reader.marks)
        if closing is None:
            if reader.opened:
                return Place("inside")
            return Place("before" if may_open(text, reader.marks) else "answer")
        family, start = closing, 0
    while True:
        end = patterns(family).closing.search(text, start)
        if end is None:
            return Place("inside", thought=True)
        rest = past(text, end.end(), family)
        again = patterns(family).opening.match(text, rest)
        if again is None:
            state: State = "behind" if may_open(text[rest:], (family,)) else "answer"
            return Place(state, rest, thought=True)
        start = again.end()


def past(text: str, start: int, family: Marks) -> int:
    """The place behind what may stand between a thought and what follows it."""
    for mark in family.between:
        at = start + len(text[start:]) - len(text[start:].lstrip())
        if text.startswith(mark, at):
            start = at + len(mark)
    return start


def may_open(text: str, marks: tuple[Marks, ...]) -> bool:
    """Whether a text may still become an opening mark, or what stands before one."""
    begun = text.lstrip()
    openings = (mark for family in marks for mark in (family.opening, *family.between))
    return any(mark.lower().startswith(begun.lower()) for mark in openings)
