"""Finding and comparing the number a response ends with.

The protocol's way (`last_number`, `without_decoration`) is what published GSM8K numbers mean, faults
included; `stated_number` is the honest way that stands beside it.
"""

from __future__ import annotations

import re
from fractions import Fraction

PROTOCOL_NUMBER = re.compile(r"[-+]?\d*\.\d+|\d+")
THOUSANDS = re.compile(r"(\d),(\d)")

# A sign belongs to a number when nothing that could be subtracted from stands before it. The currency
# sign may stand on either side of it. Groups of three digits may be parted by commas.
SIGNED_NUMBER = re.compile(
    r"(?P<sign>(?<![\w)\]}.])[-+\u2212]\s?)?"
    r"[$\u20ac\u00a3]?\s?(?P<sign_after_currency>(?<=[$\u20ac\u00a3])[-+\u2212])?"
    r"(?P<number>\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\d)|\d+(?:\.\d+)?|\.\d+)"
    r"(?:/(?P<denominator>\d+)(?![\d/]))?"
)
# Python refuses to convert more than 4,300 digits, and nobody is asked for as many.
LONGEST_NUMBER = 1000
ANSWER_MARK = re.compile(r"answer\s*(?:is|:|=)|####|\\boxed\s*\{", re.IGNORECASE)
# The statement an answer mark opens ends with its sentence; a full stop inside a number does not.
STATEMENT_END = re.compile(r"\n|[.!?](?!\d)|\}")


def last_number(text: str) -> str | None:
    """The last number in `text`, as the reference finds it (docs/protocol.md, section 3.7).

    Commas between digits are removed first. A sign survives only on decimals.
    """
    # No number has a space in it, so the last word that has one has the last; most words are not read.
    for word in reversed(text.split()):
        if found := PROTOCOL_NUMBER.findall(THOUSANDS.sub(r"\1\2", word)):
            return str(found[-1])
    return None


def without_decoration(text: str) -> str:
    r"""`text` as the reference compares it: its ignored regular expressions deleted, lower-cased.

    They are, in this order: `,`, `\\$`, `(?s).*#### ` and `\\.$`. The third is quadratic as a
    regular expression; cutting after the last "#### " is the same.
    """
    bare = text.replace(",", "").replace("$", "").rpartition("#### ")[2]
    return re.sub(r"\.$", "", bare).lower()


def stated_number(text: str) -> Fraction | None:
    """The number a response gives as its answer, exactly.

    After the last explicit mark ("the answer is", "####", a box) it is the first number of that
    statement, or the first after its last "=". Without a mark it is the last number of the text.
    A sign counts, `18.0` is 18, `1,234` is 1234, `3/4` is three quarters.
    """
    marks = list(ANSWER_MARK.finditer(text))
    if marks:
        rest = text[marks[-1].end() :]
        end = STATEMENT_END.search(rest)
        statement = rest[: end.start()] if end else rest
        found = SIGNED_NUMBER.search(statement.rpartition("=")[2]) or SIGNED_NUMBER.search(rest)
        if found:
            return value_of(found)
    found = None
    for found in SIGNED_NUMBER.finditer(text):  # noqa: B007 (the last one is wanted)
        pass
    return value_of(found) if found else None


def value_of(found: re.Match[str]) -> Fraction | None:
    """The exact value of a match of `SIGNED_NUMBER`; None for one too long to be an answer."""
    if len(found[0]) > LONGEST_NUMBER:
        return None
    number = Fraction(found["number"].replace(",", ""))
    denominator = int(found["denominator"] or 1)
    value = number / denominator if denominator else number
    sign = (found["sign"] or found["sign_after_currency"] or "").strip()
    return -value if sign in ("-", "\u2212") else value
