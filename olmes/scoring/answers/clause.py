r"""Where a statement ends, and what the sentence says."""

from __future__ import annotations

import re
from collections.abc import Iterator

MOST_CHARACTERS = 2000
MOST_LINES = 40
DISPLAYS = {r"\[": r"\]", "$$": "$$"}
SENTENCE_END = re.compile(
    r"(?P<stop>(?<!\bRs)(?<!approx)[.!?](?=[*\"'”’)\]}$_`]*(?:\s+[A-Z(*\\\"'#$]|\s*\Z))|。)"
    r"|\.?<(?:\||/?s>|end_of|/)|\n"
)
"""A full stop before a sentence, a token that ends a turn, a closing tag, a new line."""
HOPE = re.compile(r"[.,!]?\s{0,9}I hope (?:it|this|that) is correct", re.IGNORECASE)
AS_REQUIRED = re.compile(
    r"\s{0,3},\s{0,3}as (?:was )?"
    r"(?:required|desired|wanted|requested|expected|claimed|needed|asked)\W*\Z",
    re.IGNORECASE,
)
LEADING_WORD = re.compile(
    r"[*_# ]*(?:(?:final|my)\s)?answer[*_ ]*[:：](?:\*\*|__)?\s*"
    r"|(?:(?:so|thus|hence|therefore|then)\b,?\s?)+",
    re.IGNORECASE,
)
"""A label, or words that only connect."""
COPULA = re.compile(
    r"(?:\b(?:is|are|was|were|be|equals?|becomes|gives?|gets?)\b|:(?=\s))[\s,]*(?:equal to\s)?",
    re.IGNORECASE,
)
PLEASANTRY = re.compile(
    r"\W*(?:I hope|Hope th|Let me know|Feel free|Please let|If you have|Is there anything|Thank|Note\b)"
    r"|(?:[^\w\\]|_)*\Z",
    re.IGNORECASE,
)
ASIDE = re.compile(r"\([A-Za-z]?[a-z]+\s[^\n]*")
WRONG = re.compile(
    r"\b(?:which|that|this)\s(?:is|was)\s(?:wrong|incorrect|not (?:right|correct|possible))\b",
    re.IGNORECASE,
)
"""What a sentence says of a statement that is none."""
BRACKETS = re.compile(r"\\[{}]|[{(\[]|[})\]]")
BETWEEN = re.compile(r"[.!?。]?[*\"'”’)\]}_`]*(?:\$(?=\s))?\s*")


def sentence(text: str, at: int) -> tuple[str, int]:
    """The sentence that begins at `at`, and where it ends: a displayed formula, or up to its full stop.

    A bracket that closes what the sentence did not open ends it too; words such as "as required"
    at its end are left out.
    """
    rest = text[at : at + MOST_CHARACTERS]
    for opening, closing in DISPLAYS.items():
        if rest.startswith(opening):
            inner, closed, _ = rest[len(opening) :].partition(closing)
            return inner.strip(), at + len(opening) + len(inner) + len(closed)
    said = rest[: _length(rest)]
    if hope := HOPE.search(said):
        said = said[: hope.start()]
    said = within_brackets(said)
    return AS_REQUIRED.sub("", said).strip(), at + len(said)


def _length(rest: str) -> int:
    """Where the first sentence ends. A stop within dollars ends none, a factorial belongs to it."""
    closing = rest.find("$", 1)
    if rest.startswith("$") and 0 < closing < 400 and "\n" in rest[:closing]:
        return closing + 1
    for end in SENTENCE_END.finditer(rest):
        within = rest.count("$", 0, end.start()) % 2 and "$" in rest[end.end() :].partition("\n")[0]
        if not (end["stop"] and within):
            factorial = end[0] == "!" and rest[end.start() - 1 : end.start()].isalnum()
            return end.end() if factorial else end.start()
    return len(rest)


def within_brackets(text: str) -> str:
    """`text` up to the first bracket that closes what it did not open."""
    depth = 0
    for bracket in BRACKETS.finditer(text):
        if len(bracket[0]) == 1:
            depth += 1 if bracket[0] in "{([" else -1
        if depth < 0 and bracket.start():
            return text[: bracket.start()].removesuffix("\\")
    return text


def last_sentences(text: str) -> Iterator[str]:
    """The sentences of a text's last lines, the last first, without asides and pleasantries."""
    lines = text.rstrip().split("\n")[-MOST_LINES:]
    while lines:
        line = lines.pop().strip()
        if line.endswith((r"\]", "$$")) and not re.match(r"\\\[|\$\$.", line):
            while lines and not line.startswith((r"\[", "$$", "\n$$")):
                line = f"{lines.pop().strip()}\n{line}"
        if not PLEASANTRY.match(line):
            yield from reversed(list(sentences(line[-MOST_CHARACTERS:])))


def sentences(line: str) -> Iterator[str]:
    """The sentences of a line, without words such as "so" in front; no questions, no asides."""
    at = 0
    while at < len(line):
        said, end = sentence(line, at)
        if said and line[end : end + 1] != "?" and not (ASIDE.match(said) or WRONG.search(said)):
            yield LEADING_WORD.sub("", said, count=1) if LEADING_WORD.match(said) else said
        at = max(at + 1, BETWEEN.match(line, end).end())  # type: ignore[union-attr]


def predicate(said: str) -> str:
    """What follows the last verb or colon of a sentence; the whole where there is none."""
    found = None
    for found in COPULA.finditer(said):  # noqa: B007 (the last one is wanted)
        pass
    return (said[found.end() :].strip() if found else "") or said
