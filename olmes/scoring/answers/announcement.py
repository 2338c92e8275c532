r"""Where words announce an answer: "the answer is", "Answer:", "the answer to the question is".

The finder of places only. What a place states is for `statement` (mathematics) and `choices` (options).
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

ANSWER = re.compile(
    r"\b(?<!to )(?:answers?|ans)(?![a-z0-9_]|\s(?:the|this|your)\b)|答案", re.IGNORECASE
)
"""What announces an answer in words; the verb ("to answer") does not."""
LINK = re.compile(
    r"(?P<verb>\b(?:is|are|was|be|becomes|equals|comes\s(?:out\s)?to)\b|[是为])"
    r"|[:：=→]|\s[-–—]+\s|\A[ *_#]*\n",
    re.IGNORECASE,
)
# All that may stand between the noun and a colon; a verb may stand further off.
BEFORE_COLON = re.compile(
    r"\W*(?:(?:choice|option|letter|is|as follows|to (?:the|this) question|to question \d+)\W*)*",
    re.IGNORECASE,
)
REACH = 120
"""Characters between a noun and its verb, as in "the answer to the question above is"."""
MOST_NOUNS = 200
"""A response with more is a loop, which ends as it goes on."""
SENTENCE_END = re.compile(r"[.!?](?=\s|\Z)|\n")
LINE_END = re.compile(r"(?:[ *_#]*\n)?")
# Words before a statement, or between its noun and its verb, that make it none.
HYPOTHESIS = re.compile(
    r"\b(?:if|whether|suppose|supposing|assume|assuming|unless|were)\s(?:that\s)?(?:the\s|an?\s)?"
    r"(?:(?:final|correct|right)\s)*\Z",
    re.IGNORECASE,
)
NO_STATEMENT = re.compile(
    r"\b(?:not|no|neither|never|cannot|incorrect|wrong|whether|if|than|choices|options|between)\b"
    r"|n['’]t\b",
    re.IGNORECASE,
)


class Announcement(NamedTuple):
    """A noun with one of its verbs or its colon."""

    start: int
    """Where the noun stands."""
    at: int
    """Where what it announces may begin."""
    verb: bool
    """Whether it is said ("the answer is"), not put as a label ("Answer:")."""


def announcements(text: str, noun: re.Pattern[str]) -> Iterator[Announcement]:
    """Of each of the last nouns in turn one announcement for each verb or colon in its sentence.

    Args:
        text: what is looked through.
        noun: the words that announce.
    """
    for found in deque(noun.finditer(text), MOST_NOUNS):
        reach = text[found.end() : found.end() + REACH]
        end = SENTENCE_END.search(reach, LINE_END.match(reach).end())  # type: ignore[union-attr]
        for link in LINK.finditer(reach[: end.start()] if end else reach):
            if NO_STATEMENT.search(reach, 0, link.start()):
                break
            if link["verb"] or BEFORE_COLON.fullmatch(reach, 0, link.start()):
                at = found.end() + link.end()
                yield Announcement(found.start(), at, verb=bool(link["verb"]))


def hypothetical(text: str, start: int) -> bool:
    """Whether what is announced at `start` is only supposed."""
    return HYPOTHESIS.search(text[max(0, start - 40) : start]) is not None


SPOKEN_OF = re.compile(
    r"\b(?:(?:(?:check|verify|confirm|find)(?:ing|ed)?|verified)\s(?:(?:the|our|my|this|your)\s)?"
    r"(?:(?:final|correct)\s)?|(?:this|that|these|those|such\san|any|no|an|another)\s)\Z",
    re.IGNORECASE,
)
# Who would say so is not the response: "some would say the answer is".
ATTRIBUTED = re.compile(
    r"\b(?:some|one|many|people|you|they|others|students?|someone)\s(?:\w+\s)?"
    r"(?:say|think|believe|guess|expect|claim|conclude|argue)s?\b[^.!?\n]{0,30}\Z",
    re.IGNORECASE,
)
TAKEN_BACK = re.compile(
    r"[^\w\n?]{0,6}\?"
    r"|[^\w\n]{0,6}\s?(?:but\s)?(?:which|that|this)\s(?:is|was|would\sbe|cannot\sbe|can['’]t\sbe)\s"
    r"(?:wrong|incorrect|false|impossible|not\s(?:right|correct|possible|true))\b"
    r"|[^\w\n]{0,8}\s(?:(?:oh|but|hmm|oops|wait|no)\b\W{0,3}){1,3}(?:no\b|I\smade\b"
    r"|(?:th(?:at|is)|it)(?:['’]s|\s(?:is|was))\s(?:not|wrong|incorrect)\b)",
    re.IGNORECASE,
)


def spoken_of(text: str, start: int) -> bool:
    """Whether the noun at `start` is not the answer given: "to check our answer", "this answer"."""
    return SPOKEN_OF.search(text[max(0, start - 40) : start]) is not None


def attributed(text: str, start: int) -> bool:
    """Whether what is announced at `start` is said to be what somebody else would say."""
    return ATTRIBUTED.search(text[max(0, start - 60) : start]) is not None


def taken_back(text: str, end: int) -> bool:
    """Whether what is stated up to `end` is asked or taken back: "18? No", "18, which is wrong"."""
    return TAKEN_BACK.match(text[end : end + 100]) is not None
