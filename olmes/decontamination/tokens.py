"""What a token is, where texts are compared: a word or a number, however it is written.

Case, punctuation, spacing and Unicode forms are folded: "Café, 3.5 kg" and "cafe\u0301 3 5 KG" have the
same tokens.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

WORD = re.compile(r"[^\W_]+")
"""Letters and digits; the underscore joins no words here."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token and where its text stands."""

    text: str
    start: int
    """Characters before it."""
    end: int


def tokens(text: str) -> list[str]:
    """The tokens of a text, in order."""
    return WORD.findall(folded(text))


def folded(text: str) -> str:
    """A text as it is compared: NFKC, without case."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def placed(text: str) -> Iterator[Token]:
    """The tokens of a text with their places in it, for marking them: equal to `tokens` in number."""
    for found in re.finditer(r"[^\W_]+", text):
        for part in tokens(found[0]):
            yield Token(part, found.start(), found.end())
