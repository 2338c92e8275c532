r"""The answer a response states, in whatever form: what a reader would take for its answer.

One place of a response counts, the first of these that it has: after its last "final answer is",
"final answer:" or heading; its last box; after its last "answer is" or "answer:"; its last line.
"""

from __future__ import annotations

import re

from olmes.scoring.latex.minerva import boxed_answer

FINAL = re.compile(
    r"final\s{1,9}answer(?:\*\*|:|\s{0,9}\bis\b|\s{0,9}=|(?=\s{0,9}\n))+", re.IGNORECASE
)
ANSWER = re.compile(r"\banswer(?:\*\*|:|\s{0,9}\bis\b|\s{0,9}=)+", re.IGNORECASE)
HOPE = re.compile(r"\.?\s{0,9}I hope (?:it|this) is correct", re.IGNORECASE)
DISPLAYS = {r"\[": r"\]", "$$": "$$"}
SENTENCE_END = re.compile(r"\.(?=\s{1,9}[A-Z(*])|\.?<(?:\||/?s>|end_of)")
"""A full stop before a sentence, or a token that ends a turn."""
LEADING_WORD = re.compile(r"(?:(?:so|thus|hence|therefore|then)\b,? ?)+", re.IGNORECASE)
MOST_CHARACTERS = 2000
LONGEST_LINE = 200


def stated_answer(text: str, *, complete: bool = True) -> str | None:
    """The statement of a response that holds its answer; None when there is none.

    Args:
        text: the response.
        complete: whether it ended by itself. The last line of one that was cut off states nothing.
    """
    if (found := last_statement(FINAL, text)) is not None:
        return found
    if (boxed := boxed_answer(text)) is not None:
        return boxed
    if (found := last_statement(ANSWER, text)) is not None:
        return found
    line = text.rstrip().rpartition("\n")[2]
    return LEADING_WORD.sub("", line.strip()) if complete and len(line) <= LONGEST_LINE else None


def last_statement(opening: re.Pattern[str], text: str) -> str | None:
    """What follows the last match of `opening`, up to the end of its sentence; None without one."""
    mark = None
    for mark in opening.finditer(text):  # noqa: B007 (the last one is wanted)
        pass
    return statement(text[mark.end() : mark.end() + MOST_CHARACTERS]) if mark else None


def statement(rest: str) -> str | None:
    """The first sentence of `rest`: a displayed formula, or a line up to its full stop."""
    rest = rest.lstrip(" \t\n\r:")
    for opening, closing in DISPLAYS.items():
        if rest.startswith(opening):
            return rest[len(opening) :].partition(closing)[0].strip() or None
    line = rest.partition("\n")[0]
    if hope := HOPE.search(line):
        line = line[: hope.start()]
    if end := SENTENCE_END.search(line):
        line = line[: end.start()]
    return line.strip() or None
