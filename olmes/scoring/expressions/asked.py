"""What a question asks to be done, and whether an answer only repeats its expression."""

from __future__ import annotations

import re
from functools import lru_cache

from olmes.scoring.expressions.answer_math import (
    Form,
    expanded,
    factored,
    simplified,
    surd,
)
from olmes.scoring.expressions.expression import Expression, UnreadableExpressionError, letters
from olmes.scoring.expressions.notation import tidied

FORMULA = re.compile(
    r"\$\$(.+?)\$\$|\$(.+?)\$|\\\[(.+?)\\\]|\\\((.+?)\\\)"
    r"|\\begin\{(?:align|equation|gather)\*?\}(.+?)\\end\{(?:align|equation|gather)\*?\}",
    re.DOTALL,
)
TASK = re.compile(
    r"(?:^|[.:!?,]\s+|\n\s*|\b(?:completely|please|and|then|fully)\s+)(?:completely\s+|fully\s+)?"
    r"(?P<verb>factor|expand|simplify)\b",
    re.IGNORECASE,
)
BASE = re.compile(r"base[ -]?\$?\{?(\d+|[a-z]+)\b|_\{?(\d+)", re.IGNORECASE)
BLANK = re.compile(r"[\s(){}\[\]*\\$]|(?<=\d)\.0+(?!\d)")
DRESS = re.compile(r"\\(?:left|right|displaystyle|[,;:! ]|[bB]igg?[lr]?)(?![a-zA-Z])")
PLAIN = re.compile(r"-?[\d.,]*|[a-zA-Z]")
"""A number or a letter, in which nothing is to be worked out."""
NUMBER_WORDS = {
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "eleven": 11,
    "twelve": 12,
    "sixteen": 16,
}


def simple(gold: Expression, found: Expression) -> bool:
    """Whether an expression is as simple as the gold one, with or without letters."""
    if letters(gold) | letters(found):
        return simplified(gold, found)
    return surd(gold, found)


FORMS: dict[str, Form] = {"factor": factored, "expand": expanded, "simplify": simple}


def form_of(question: str) -> Form | None:
    """What an answer must look like; None where the question does not say."""
    found = TASK.search(question)
    return FORMS[found["verb"].lower()] if found else None


def bases_of(question: str) -> frozenset[int]:
    """The bases of numerals that a question speaks of."""
    found = (one or other for one, other in BASE.findall(question))
    return frozenset(
        int(word) if word.isdigit() else NUMBER_WORDS.get(word.lower(), 10) for word in found
    )


def repeats(question: str, answer: str, gold: str) -> bool:
    """Whether an answer is an expression of the question with something to be worked out.

    It may be the gold answer all the same: of several numbers one may be asked for.
    """
    formulas = written_and_read(question)
    written, read = as_written(answer), as_read(answer)
    if any(written == one and not PLAIN.fullmatch(one) for one, _ in formulas):
        same = read == as_read(gold) and len(formulas) > 1
        return written != as_written(gold) and not same
    known = any(read == one and one and not PLAIN.fullmatch(one) for _, one in formulas)
    return known and read != as_read(gold)


@lru_cache(maxsize=1024)
def written_and_read(question: str) -> tuple[tuple[str, str], ...]:
    """The expressions of a question: `as_written`, and `as_read`."""
    found = ("".join(groups) for groups in FORMULA.findall(question))
    return tuple((as_written(each), as_read(each)) for each in found)


def as_written(formula: str) -> str:
    """A formula without blanks, brackets and what only sets its size."""
    bare = DRESS.sub("", formula).replace("dfrac", "frac").replace("tfrac", "frac")
    return BLANK.sub("", bare).rstrip(".,;:?")


def as_read(formula: str) -> str:
    """A formula in plain notation without blanks, brackets and multiplication signs."""
    try:
        return BLANK.sub("", tidied(formula)).rstrip(".,;:?!").casefold()
    except UnreadableExpressionError:
        return ""
