"""Finding and comparing the number a response ends with, as GSM8K's protocol does, faults included."""

from __future__ import annotations

import re

PROTOCOL_NUMBER = re.compile(r"[-+]?\d*\.\d+|\d+")
THOUSANDS = re.compile(r"(\d),(\d)")


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
