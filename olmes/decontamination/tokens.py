"""What a token is, where texts are compared: a word or a number, however it is written.

1. Characters are folded by Unicode's compatibility caseless matching (Unicode 3.13, D146): case
   ("Straße", "STRASSE"), accents composed or not, full-width forms, ligatures, superscripts and
   unit signs are the same. What has no width (zero-width spaces and joiners, soft hyphens, marks of
   direction, variation selectors) vanishes. An accent does tell: "resume" is not "résumé".
2. A token is a longest run of letters, digits and the marks on them. Everything else separates:
   spaces, punctuation, quotes of every shape, the underscore, symbols.
3. Of a script that puts no spaces between words (Chinese, Japanese, Thai, Lao, Khmer, Burmese and
   their kin) every character is a token, with the marks on it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache

WORDS = "".join(chr(n).lower() if chr(n).isalnum() else " " for n in range(128))
"""ASCII, as it is compared."""
SEPARATORS = "’‘“”–—…•\u00a0"
"""Usual beside ASCII: without them most texts that are nearly ASCII are."""
IGNORED = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)
"""Unicode's Default_Ignorable_Code_Point, which `unicodedata` does not have."""
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aaf\u2e80-\u2fdf\u3005-\u3007"
    "\u3021-\u3029\u3031-\u3035\u3038-\u303c\u3041-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\ua4cf\ua980-\ua9ff\uaa60-\uaadf\uf900-\ufaff\U00016fe0-\U00018cff\U0001aff0-\U0001b2ff"
    "\U00020000-\U0003ffff"
)
"""Letters of scripts without spaces between words."""
APOSTROPHE = "\u02bc"
"""A letter by its category, and one more shape of a quote."""
JAMO = re.compile("[\u1160-\u11ff\ud7b0-\ud7ff]")
"""Parts of a Korean syllable that join the character before them."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token and where its text stands."""

    text: str
    start: int
    """Characters before it."""
    end: int


def tokens(text: str) -> list[str]:
    """The tokens of a text, in order."""
    if not text.isascii():
        for separator in SEPARATORS:
            text = text.replace(separator, " ")
        if not text.isascii():
            return word().findall(folded(text))
    return text.translate(WORDS).split()


def folded(text: str) -> str:
    """A text as it is compared: Unicode's NFKC_Casefold."""
    decomposed = unicodedata.normalize("NFD", IGNORED.sub("", text)).casefold()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKD", decomposed).casefold())


@cache
def word() -> re.Pattern[str]:
    """A token of a folded text."""
    marks = "".join(
        chr(code)
        for code in (*range(0x300, 0x20000), *range(0xE0100, 0xE01F0))
        if unicodedata.category(chr(code)) in ("Mn", "Mc")
    )
    letter = rf"[^\W_{UNSPACED}{APOSTROPHE}]"
    return re.compile(rf"(?=\w)[{UNSPACED}][{marks}]*|{letter}(?:{letter}|[{marks}])*")


def placed(text: str) -> Iterator[Token]:
    """The tokens of a text with their places in it: the same as `tokens`, for marking them.

    A character that is folded into several tokens ("½": 1, 2) is the place of each.
    """
    if text.isascii():
        for found in re.finditer("[a-z0-9]+", text.lower()):
            yield Token(found[0], found.start(), found.end())
        return
    parts, starts, ends = list[str](), list[int](), list[int]()
    for start, end in characters(text):
        part = folded_character(text[start:end])
        parts.append(part)
        starts += [start] * len(part)
        ends += [end] * len(part)
    for found in word().finditer("".join(parts)):
        yield Token(found[0], starts[found.start()], ends[found.end() - 1])


def characters(text: str) -> Iterator[tuple[int, int]]:
    """Where each character with what joins it begins and ends: parts that are folded by themselves."""
    start = 0
    for at, char in enumerate(text):
        if at > start and not joins(char):
            yield start, at
            start = at
    if text:
        yield start, len(text)


@lru_cache(1 << 14)
def joins(char: str) -> bool:
    """Whether folding may join a character with the one before it."""
    first = unicodedata.normalize("NFKD", char)[0]
    return (
        unicodedata.category(first)[0] == "M"
        or JAMO.match(first) is not None
        or IGNORED.match(char) is not None
    )


@lru_cache(1 << 14)
def folded_character(text: str) -> str:
    """`folded`, of one character with what joins it."""
    return folded(text)
