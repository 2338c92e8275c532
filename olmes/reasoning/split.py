"""A response as a thought and an answer."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from olmes.reasoning.families import FAMILIES, Marks, exactly
from olmes.types import Response

Way = Literal["trimmed", "verbatim"]
"""`trimmed`: the answer is what follows the thought, without the white space between them. `verbatim`:
the reference's way, everything behind the last closing mark as it is, and all of it when there is
none."""


@dataclass(frozen=True, slots=True)
class Reader:
    """How the responses of one model are read."""

    marks: tuple[Marks, ...] = FAMILIES
    """The marks that may stand round a thought."""
    known: bool = False
    """Whether the marks are this model's own (its template's, its vocabulary's, or the user's word):
    then a closing mark ends a thought even where the opening one is missing. Else a response must
    open with one."""
    opened: bool = False
    """Whether the prompt opens the thought."""
    way: Way = "trimmed"

    def said(self, way: Way) -> Reader:
        """The same, the answer cut out in a given way."""
        return replace(self, way=way)


ANY = Reader()
"""Of a model that nothing is known of."""


@dataclass(frozen=True, slots=True)
class Thought:
    """A response's text, taken apart."""

    reasoning: str
    answer: str
    closed: bool


def split(response: Response, reader: Reader = ANY) -> Response:
    """The response with its thought in `reasoning` and its answer in `text`.

    Where a server has sent the thought in a field of its own, the text is the answer already.
    `unfinished_thinking` is set where the thought was never closed, so that there is no answer.
    """
    text = response.text
    if response.reasoning:
        unfinished = response.finish == "length" and not text.strip()
        return replace(response, unfinished_thinking=unfinished) if unfinished else response
    if not reader.marks or response.logprobs or response.error:
        return response
    found = verbatim(text, reader) if reader.way == "verbatim" else take_apart(text, reader)
    if found is None:
        return response
    return replace(
        response,
        text=found.answer,
        reasoning=found.reasoning,
        unfinished_thinking=not found.closed,
    )


def take_apart(text: str, reader: Reader) -> Thought | None:
    """Thought and answer of a text; None where it holds no thought."""
    begun = opening_of(text, reader.marks)
    if begun:
        family, start = begun
    elif reader.known and not reader.opened and (answer := bare_answer(text, reader.marks)):
        return Thought("", answer, closed=True)
    elif reader.opened or reader.known:
        closing = first_closing(text, reader.marks)
        if closing is None:
            return Thought(text, "", closed=False) if reader.opened else None
        family, start = closing, 0
    else:
        return None
    thoughts: list[str] = []
    while True:
        end = patterns(family).closing.search(text, start)
        if end is None:
            return Thought(joined([*thoughts, text[start:]]), "", closed=False)
        thoughts.append(text[start : end.start()])
        text = behind(text[end.end() :], family)
        again = patterns(family).opening.match(text)
        if again is None:
            return Thought(joined(thoughts), unwrapped(text, family), closed=True)
        start = again.end()


def bare_answer(text: str, marks: tuple[Marks, ...]) -> str:
    """The answer of a text without a thought that has a family's special tokens round it; else ''.

    Only tokens: what looks like a tag may be what was asked for.
    """
    found = text.strip()
    for family in marks:
        for beginning, end in family.answers:
            if "|" in beginning and found.startswith(beginning):
                return unwrapped(found, family)
            if "|" in end and found.endswith(end) and family.closing not in found:
                return found.removesuffix(end).rstrip()
    return ""


def verbatim(text: str, reader: Reader) -> Thought | None:
    """Everything behind the last closing mark; None where there is none."""
    ends = [
        (match.end(), match.start())
        for family in reader.marks
        for match in patterns(family).closing.finditer(text)
    ]
    if not ends:
        return None
    end, start = max(ends)
    begun = opening_of(text, reader.marks)
    return Thought(text[begun[1] if begun else 0 : start].strip(), text[end:], closed=True)


@dataclass(frozen=True, slots=True)
class Patterns:
    """The compiled marks of a family."""

    opening: re.Pattern[str]
    closing: re.Pattern[str]


@lru_cache(maxsize=64)
def patterns(family: Marks) -> Patterns:
    """The compiled marks; white space may stand before an opening."""
    return Patterns(
        re.compile(rf"\s*{exactly(family.opening)}"), re.compile(exactly(family.closing))
    )


def opening_of(text: str, marks: tuple[Marks, ...]) -> tuple[Marks, int] | None:
    """The family a text opens with, and where its thought begins."""
    for family in marks:
        if found := patterns(family).opening.match(text):
            return family, found.end()
    return None


def first_closing(text: str, marks: tuple[Marks, ...]) -> Marks | None:
    """The family whose closing mark comes first."""
    found = [
        (match.start(), at)
        for at, family in enumerate(marks)
        if (match := patterns(family).closing.search(text))
    ]
    return marks[min(found)[1]] if found else None


def behind(text: str, family: Marks) -> str:
    """What follows a closed thought, without what may stand between."""
    for mark in family.between:
        text = text.lstrip().removeprefix(mark)
    return text


def joined(thoughts: list[str]) -> str:
    """Several thoughts as one."""
    return "\n\n".join(thought.strip() for thought in thoughts if thought.strip())


def unwrapped(text: str, family: Marks) -> str:
    """The answer, trimmed, without the marks that a family puts round it."""
    answer = text.strip()
    for beginning, end in family.answers:
        if answer.startswith(beginning):
            inside, _, rest = answer.removeprefix(beginning).partition(end)
            return (inside.rstrip() + rest).strip()
    return answer
