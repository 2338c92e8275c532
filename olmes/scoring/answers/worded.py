r"""Answers that words announce: "the answer is 18", "18 is the answer", "Answer: 18", `#### 18`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from itertools import groupby
from operator import attrgetter

from olmes.scoring.answers import content
from olmes.scoring.answers.announcement import (
    ANSWER,
    Announcement,
    announcements,
    attributed,
    hypothetical,
    spoken_of,
    taken_back,
)
from olmes.scoring.answers.clause import LEADING_WORD, WRONG, sentence, sentences
from olmes.scoring.answers.mark import Found, Mark, Origin

BEFORE_IT = re.compile(
    r"(?:[\s:：]|\*{1,3}(?=\s)|_{1,2}(?=\s)|\*{2}(?=\$?\\boxed)|[}\"](?=[\s:,$]))*"
)
"""What closes the mark's own dress, and blank lines."""
HEADING = re.compile(r"[\W\d_]*(?:(?:the|my|our|your|final|correct|short)\s)*", re.IGNORECASE)
QUOTED = re.compile(r",\s*\"[^\"\n]*\"\s*:")
HASHES = re.compile(r"####[ \t]*(?=\S)")
NUMBERED = re.compile(r"\d{1,3}[.)]\s+[A-Za-z]")
AFTERWARDS = re.compile(
    r"\s(?:is|are|must be|will be|would be)\s(?:(?:therefore|thus|then|indeed)\s)?(?:the|our|my)\s"
    r"(?:(?:final|correct|required|desired|right)\s)*answers?\b",
    re.IGNORECASE,
)
REACH = 200


def nouns(text: str) -> Iterator[Mark]:
    """Every "answer" that has a verb or a colon, or is a heading."""
    for start, links in groupby(announcements(text, ANSWER), attrgetter("start")):
        if not spoken_of(text, start):
            yield Mark(start, partial(_noun, text, tuple(links)))


def _noun(text: str, links: tuple[Announcement, ...]) -> Found | None:
    """What the first of a noun's links that announces anything announces."""
    for number, link in enumerate(links):
        if link.verb:
            found = _phrase(text, link)
        elif number and text[link.at - 1] not in ":：":
            continue  # "the answer is - 12": the dash is not the noun's
        else:
            heading = text[link.at - 1] == "\n"
            found = None if heading and not _is_heading(text, link.start) else _label(text, link.at)
        # Nor is the verb in "Answer: 5 eggs are left".
        if found or not link.verb:
            return found
    return None


def hashes(text: str) -> Iterator[Mark]:
    """Every `####`, as in GSM8K's own solutions, that is no numbered heading."""
    for found in HASHES.finditer(text):
        if not NUMBERED.match(text, found.end()):
            yield Mark(found.end(), partial(_label, text, found.end()))


def _is_heading(text: str, start: int) -> bool:
    """Whether nothing but words such as "final" stands before `start` on its line."""
    line = text.rfind("\n", max(0, start - 60), start) + 1 or max(0, start - 60)
    return HEADING.fullmatch(text, line, start) is not None


def _phrase(text: str, found: Announcement) -> Found | None:
    """What follows the verb."""
    if hypothetical(text, found.start) or attributed(text, found.start):
        return None
    said, end = sentence(text, BEFORE_IT.match(text, found.at).end())  # type: ignore[union-attr]
    if WRONG.search(said) or taken_back(text, end) or not content.after_verb(said):
        return None
    return Found(said, Origin.PHRASE, end)


def _label(text: str, at: int) -> Found | None:
    """What follows a label or a heading."""
    said, end = sentence(text, BEFORE_IT.match(text, at).end())  # type: ignore[union-attr]
    if other := QUOTED.search(said):  # the next field of a JSON object
        said = said[: other.start()]
    if taken_back(text, end) or not content.after_label(said, text[end:]):
        return None
    return Found(said, Origin.LABEL, end)


def afterwards(text: str) -> Iterator[Mark]:
    """Every "is the answer" with the answer in front of it."""
    for verb in AFTERWARDS.finditer(text):
        yield Mark(verb.start(), partial(_afterwards, text, verb.start()))


def _afterwards(text: str, verb: int) -> Found | None:
    """The end of the sentence that "is the answer" ends."""
    before = text[max(0, verb - REACH) : verb].rpartition("\n")[2]
    said = next(iter(reversed(list(sentences(before)))), "")
    said = LEADING_WORD.sub("", said, count=1).strip()
    if r"\boxed" in said or taken_back(text, verb):
        return None
    return Found(said, Origin.PHRASE, verb) if content.after_label(said, "") else None
