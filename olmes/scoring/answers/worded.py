r"""Answers that words announce: "the answer is 18", "18 is the answer", "Answer: 18", `#### 18`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

from olmes.scoring.answers import content
from olmes.scoring.answers.announcement import (
    ANSWER,
    Announcement,
    announcements,
    attributed,
    hypothetical,
    taken_back,
)
from olmes.scoring.answers.clause import LEADING_WORD, sentence, sentences
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


def phrases_and_labels(text: str) -> Iterator[Mark]:
    """Every verb, colon or heading that the word "answer" has."""
    labelled = -1
    for found in announcements(text, ANSWER):
        if found.verb and found.start == labelled:
            continue  # "Answer: 5 eggs are left": the verb is not the noun's
        if found.verb:
            yield Mark(found.at, Origin.PHRASE, partial(_phrase, text, found))
        elif text[found.at - 1] != "\n" or _is_heading(text, found.start):
            labelled = found.start
            yield Mark(found.at, Origin.LABEL, partial(_label, text, found.at))
    for hashes in HASHES.finditer(text):
        if not NUMBERED.match(text, hashes.end()):
            yield Mark(hashes.end(), Origin.LABEL, partial(_label, text, hashes.end()))


def _is_heading(text: str, start: int) -> bool:
    """Whether nothing but words such as "final" stands before `start` on its line."""
    line = text.rfind("\n", max(0, start - 60), start) + 1 or max(0, start - 60)
    return HEADING.fullmatch(text, line, start) is not None


def _phrase(text: str, found: Announcement) -> Found | None:
    """What follows the verb."""
    if hypothetical(text, found.start) or attributed(text, found.start):
        return None
    said, end = sentence(text, BEFORE_IT.match(text, found.at).end())  # type: ignore[union-attr]
    return Found(said, end) if content.after_verb(said) and not taken_back(text, end) else None


def _label(text: str, at: int) -> Found | None:
    """What follows a label or a heading."""
    said, end = sentence(text, BEFORE_IT.match(text, at).end())  # type: ignore[union-attr]
    if other := QUOTED.search(said):  # the next field of a JSON object
        said = said[: other.start()]
    if taken_back(text, end) or not content.after_label(said, text[end:]):
        return None
    return Found(said, end)


def afterwards(text: str) -> Iterator[Mark]:
    """Every "is the answer" with the answer in front of it."""
    for verb in AFTERWARDS.finditer(text):
        yield Mark(verb.start(), Origin.PHRASE, partial(_afterwards, text, verb.start()))


def _afterwards(text: str, verb: int) -> Found | None:
    """The end of the sentence that "is the answer" ends."""
    before = text[max(0, verb - REACH) : verb].rpartition("\n")[2]
    said = next(iter(reversed(list(sentences(before)))), "")
    said = LEADING_WORD.sub("", said, count=1).strip()
    if r"\boxed" in said or taken_back(text, verb):
        return None
    return Found(said, verb) if content.after_label(said, "") else None
