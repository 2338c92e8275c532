"""A response as a thought and an answer."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from olmes.reasoning.families import FAMILIES, PAIRED, SHARED, WORDS, Marks, exactly, tagged
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

    What a server has sent in a field of its own is thought already, and its text is read all the
    same: a thought may go on there. `unfinished_thinking` is set where the thought was never closed,
    so that there is no answer; the verbatim way leaves such a response its text.
    """
    if response.logprobs or response.rewards or response.error:
        return response
    sent, text = response.reasoning, response.text
    found = None
    if reader.marks:
        # What the prompt has opened is closed where a server has told the thought apart.
        how = replace(reader, opened=False) if sent else reader
        found = take_apart(text, how)
        if reader.way == "verbatim":
            open_end = found is not None and not found.closed
            found = verbatim(text, how)
            if found is None and open_end:
                return unfinished(response)
    if found is None:
        cut = bool(sent) and response.finish == "length" and not text.strip()
        return unfinished(response) if cut else response
    parted = replace(response, text=found.answer, reasoning=joined([sent, found.reasoning]))
    return parted if found.closed else unfinished(parted)


def unfinished(response: Response) -> Response:
    """A response that is all thought, and so are its tokens."""
    tokens = response.reasoning_tokens or response.completion_tokens
    return replace(response, unfinished_thinking=True, reasoning_tokens=tokens)


def take_apart(text: str, reader: Reader) -> Thought | None:
    """Thought and answer of a text; None where it holds no thought."""
    begun = opening_of(text, reader)
    if begun:
        family, start = begun
    else:
        closing = first_closing(text, reader)
        if closing is None:
            if reader.opened:
                return Thought(text.strip(), "", closed=False)
            answer = unwrapped(text, reader.marks)
            return None if answer is None else Thought("", answer, closed=True)
        family, start = closing, 0
    thoughts: list[str] = []
    while True:
        end = end_of(text, family, start)
        if end is None:
            return Thought(joined([*thoughts, text[start:]]), "", closed=False)
        thoughts.append(text[start : end.start()])
        text = behind(text[end.end() :], family)
        again = patterns(family).opening.match(text)
        if again is None:
            inside = unwrapped(text, (family,), everything=True)
            return Thought(
                joined(thoughts), text.strip() if inside is None else inside, closed=True
            )
        start = again.end()


def end_of(text: str, family: Marks, start: int) -> re.Match[str] | None:
    """The mark that closes the thought which begins at `start`.

    Marks that open inside a thought close inside it too, as long as there are marks to close them.
    """
    closings = patterns(family).closing.finditer(text, start)
    end = next(closings, None)
    if end is None or family.opening == "" or family.name in WORDS:
        return end
    inner = len(patterns(family).inside.findall(text, start, end.start()))
    for _ in range(inner):
        later = next(closings, None)
        if later is None or patterns(family).inside.search(text, end.end(), later.start()):
            return end
        end = later
    return end


def verbatim(text: str, reader: Reader) -> Thought | None:
    """Everything behind the last closing mark; None where there is none."""
    begun = opening_of(text, reader)
    own = begun[0].name if begun else ""
    ends = [
        (match.end(), match.start())
        for family in reader.marks
        # What ends other things too ends a thought where one was opened.
        if family.name not in SHARED or reader.opened or family.name == own
        for match in patterns(family).closing.finditer(text)
    ]
    if not ends:
        return None
    end, start = max(ends)
    return Thought(text[begun[1] if begun else 0 : start].strip(), text[end:], closed=True)


@dataclass(frozen=True, slots=True)
class Patterns:
    """The compiled marks of a family."""

    opening: re.Pattern[str]
    """At the beginning of a text."""
    inside: re.Pattern[str]
    """The opening mark anywhere."""
    closing: re.Pattern[str]


@lru_cache(maxsize=64)
def patterns(family: Marks) -> Patterns:
    """The compiled marks; white space may stand before an opening, and its label behind it."""
    opening, closing = exactly(family.opening), exactly(family.closing)
    label = rf"(?:{family.label}\b[ \t]*\n?)?" if family.label else ""
    beginning = rf"\s*{opening}{label}"
    if family.name in PAIRED:
        beginning += rf"(?=.*{closing})"
    return Patterns(re.compile(beginning, re.DOTALL), re.compile(opening), re.compile(closing))


def opening_of(text: str, reader: Reader) -> tuple[Marks, int] | None:
    """The family a text opens with, and where its thought begins."""
    for family in reader.marks:
        if found := patterns(family).opening.match(text):
            return family, found.end()
    by_name = None if reader.known else tagged(text)
    if by_name and (found := patterns(by_name).opening.match(text)):
        return by_name, found.end()
    return None


def first_closing(text: str, reader: Reader) -> Marks | None:
    """The family whose closing mark comes first, in a text that opens with none.

    Of unknown marks, a closing one alone says nothing; nor do words, and what ends other things too
    says something only where the prompt has opened a thought.
    """
    if not (reader.opened or reader.known):
        return None
    found = [
        (match.start(), at)
        for at, family in enumerate(reader.marks)
        if family.name not in (WORDS if reader.opened else (*WORDS, *SHARED))
        and (match := patterns(family).closing.search(text))
    ]
    return reader.marks[min(found)[1]] if found else None


def behind(text: str, family: Marks) -> str:
    """What follows a closed thought, without what may stand between."""
    for mark in family.between:
        text = text.lstrip().removeprefix(mark)
    return text


def joined(thoughts: list[str]) -> str:
    """Several thoughts as one."""
    return "\n\n".join(thought.strip() for thought in thoughts if thought.strip())


def unwrapped(text: str, marks: tuple[Marks, ...], *, everything: bool = False) -> str | None:
    """The answer inside the marks that a family puts round it; None where there are none.

    Args:
        text: what stands behind the thought, or where there was none.
        marks: the families that may have put them there.
        everything: whether tags that any text may hold are read so too (`<answer>`); without, only
            what is a token of its own.
    """
    answer = text.strip()
    for family in marks:
        for mark in family.between:
            answer = answer.removeprefix(mark)
        for beginning, end in family.answers:
            if not answer.startswith(beginning) or not (everything or beginning.startswith("<|")):
                continue
            inside, _, rest = answer.removeprefix(beginning).partition(end)
            if family.name in SHARED:
                inside = inside.removesuffix(family.closing)
            return (inside.rstrip() + rest).strip()
    return None
