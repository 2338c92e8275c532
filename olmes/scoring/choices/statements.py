r"""Explicit statements of an answer: "the answer is (C)", "Answer: C", "C is the correct answer".

Read from text that `options.simplified` has made plain.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from olmes.scoring.answers.announcement import (
    REACH,
    announcements,
    attributed,
    hypothetical,
    taken_back,
)
from olmes.scoring.choices.options import SEVERAL, Options

# What announces an answer; the plural ("answer choices:") and the verb ("to answer") do not.
NOUN = re.compile(
    r"\b(?:(?<!to )answer|ans|(?:the|my|our)\s(?:choice|option|selection|pick|guess)"
    r"|(?:correct|right|best|only|final|appropriate|suitable|likely|accurate|logical|plausible)"
    r"\s(?:choice|option|response|statement|conclusion|one))\b|答案",
    re.IGNORECASE,
)
CHOSEN = re.compile(
    r"\b(?:I|we)(?:['’](?:d|ll))?\s(?:(?:would|will|should|must|have\sto|therefore|thus)\s){0,3}"
    r"(?:choose|chose|pick|picked|select|selected|go\swith|opt\sfor)\b",
    re.IGNORECASE,
)
FILLER = re.compile(
    r"(?:[\s:,\"“‘'(\[<=→–—-]|(?:therefore|thus|hence|so|then|clearly|definitely|certainly|indeed"
    r"|simply|likely|probably|most\slikely|option|choice|letter|answer|statement|the)(?!\w))*",
    re.IGNORECASE,
)
OPENERS = "([<\"“‘'"
CLOSING = re.compile(r"\s*[)\]>\"”’']")
# What may follow a letter without brackets: neither "A kite" nor "C. S. Lewis" names an option.
STANDS_ALONE = re.compile(
    r"\s*(?:\Z|\n|[;:!?,—–)\]]|\.(?!\w)(?!\s*[A-Z]\.))"
    r"|\s(?:\(|(?:because|since|as|for|which|and|or|but|due|given|based|so|where|while|is|being"
    r"|according|in|by|from)\b)"
)
ENDS_LINE = re.compile(r"[).:\]]*[ \t]*(?:\n|\Z)")
SECOND = re.compile(
    r"\s*[)\]>\"”’']?\s*\.?(?:,\s*(?:and|or)\b|,|/|&|and/or\b|and\b|or\b|(?=\())\s*"
    r"(?:(?:possibly|maybe|perhaps|also|even|option|choice|answer|either)\s)*"
    r"[(\[]?\s*(?P<letter>[A-Z])(?:\s*[)\]]|(?=\s*(?:[.,;!?]|\n|\Z)))"
    r"(?!\s*(?:is|are|was|were|being|does|do|can|cannot|would|fails?)\b)"
)

# Without brackets a letter is the subject only where a clause begins: "vitamin C is" names no option.
CLAUSE = (
    r"(?:^|[.,;:!?>(–—-]\s*|\b(?:option|choice|answer|letter|so|thus|hence|therefore|that|think"
    r"|believe|because|since|then|only|but|and)\s)"
)
LETTER = (
    r"(?:(?<!\w)[(\[]\s?(?P<closed>[A-Z])\s?[)\]]"
    rf"|(?i:{CLAUSE})(?P<bare>[A-Z])[).]?)"
)
IS = (
    r"\s(?:is|was|must\sbe|would\sbe|should\sbe|has\sto\sbe|seems\sto\sbe|remains)\s"
    r"(?:(?:therefore|thus|clearly|indeed|likely|probably|definitely|then|certainly)\s)*"
)
PRAISE = (
    r"(?:only|single|final|correct|right|best|logical|likely|true|valid|possible"
    r"|most\s(?!of\b)\w+)"
)
IS_THE_ANSWER = re.compile(
    rf"{LETTER}{IS}(?:(?:the|my|our)\s)?(?:{PRAISE}\s)*(?:answer|choice|option|response)\b",
    re.MULTILINE,
)
IS_RIGHT = re.compile(rf"{LETTER}{IS}(?:the\s)?(?:correct|right|best)\b", re.MULTILINE)


def announced(text: str, options: Options) -> str | None:
    """The letter the last explicit statement names; SEVERAL when it names more; None without one."""
    found: dict[int, str | None] = {}
    for start, place in _announcements(text):
        if found.get(start) is None:
            found[start] = _named_first(text[place : place + options.longest + REACH], options)
    for match in IS_THE_ANSWER.finditer(text):
        found[match.start()] = options.one([match["closed"] or match["bare"]])
    letters = [
        letter
        for start, letter in sorted(found.items())
        if letter is not None and not (hypothetical(text, start) or attributed(text, start))
    ]
    if len(options.letters) > 1 and "".join(letters).endswith(options.letters):
        return SEVERAL  # "the answer is (A) ... the answer is (B) ...", through all the options
    return letters[-1] if letters else None


def called_right(text: str, options: Options) -> str | None:
    """The letter that is called correct, right or best, if it is only one anywhere."""
    right = options.one(
        match["closed"] or match["bare"]
        for match in IS_RIGHT.finditer(text)
        if not hypothetical(text, match.start())
    )
    return right or None


def _announcements(text: str) -> Iterator[tuple[int, int]]:
    """Where an announcement starts, and where what it announces may begin."""
    for match in CHOSEN.finditer(text):
        yield match.start(), match.end()
    yield from ((found.start, found.at) for found in announcements(text, NOUN))


def _named_first(text: str, options: Options) -> str | None:
    """The option `text` begins with, by its letter or its whole text; SEVERAL; None."""
    start = FILLER.match(text).end()  # type: ignore[union-attr]  # it may match nothing
    given, rest = text[start : start + 1], text[start + 1 :]
    letter = given.upper()
    if letter not in options.letters or not given:
        return options.opening(text[start:])
    closed = text[:start].rstrip()[-1:] in tuple(OPENERS) and CLOSING.match(rest)
    if not closed:
        by_text = options.opening(text[start:])
        if by_text is not None:
            return by_text
        if not _stands_alone(given, rest) and not (
            given == letter and rest[:1] in " .)" and options.opens_with(letter, rest.lstrip(" .)"))
        ):
            return None
    if taken_back(rest, 0):
        return None
    second = SECOND.match(rest) or SECOND.match(options.after_text(letter, rest))
    return SEVERAL if second and options.one([letter, second["letter"]]) == SEVERAL else letter


def _stands_alone(given: str, rest: str) -> bool:
    """Whether a letter without brackets is a label: not an article, an initial, a variable."""
    return (STANDS_ALONE if given.isupper() else ENDS_LINE).match(rest) is not None
