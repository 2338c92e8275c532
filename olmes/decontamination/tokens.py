"""What a token is, where texts are compared: a word or a number, however it is written.

1. Characters are folded by Unicode's compatibility caseless matching (Unicode 3.13, D146): case
   ("Straße", "STRASSE"), accents composed or not, full-width forms, ligatures, superscripts and
   unit signs are the same. What has no width (zero-width spaces and joiners, soft hyphens, marks of
   direction, variation selectors) vanishes, and so does an apostrophe: "don't" is "dont". An accent
   does tell: "resume" is not "résumé".
2. A token is a longest run of letters, digits and the marks on them; a comma before groups of three
   digits is no end of one: "80,000" is "80000". Everything else separates: spaces, punctuation, other
   quotes, the underscore, symbols.
3. Of a script that puts no spaces between words (Chinese, Japanese, Thai, Lao, Khmer, Burmese and
   their kin) every character is a token, with the marks on it.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache

WORDS = [chr(n).lower() if chr(n).isalnum() else None if chr(n) == "'" else " " for n in range(128)]
"""ASCII, as it is compared; None vanishes."""
THOUSANDS = re.compile(r",(?<=[0-9],)(?=[0-9]{3}(?![0-9]))")
"""A comma that groups digits; the look back stands behind it, so that digits alone cost nothing."""
OTHERS = re.compile(r"[^\x00-\x7f][0-9A-Za-z',\x80-\U0010ffff]*")
"""From a character that is not ASCII on, as long as there may be one token."""
JOINED = string.ascii_letters + string.digits + "',"
"""ASCII that may be of one token with a character behind it."""
SEPARATORS = "“”–—…•\u00a0"
APOSTROPHES = "’‘"
"""Both usual beside ASCII: without them most texts that are nearly ASCII are."""
IGNORED = re.compile(
    "['‘’‛\u02bc\uff07\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)
"""Apostrophes, and Unicode's Default_Ignorable_Code_Point, which `unicodedata` does not have."""
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aaf\u2e80-\u2fdf\u3005-\u3007"
    "\u3021-\u3029\u3031-\u3035\u3038-\u303c\u3041-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\ua4cf\ua980-\ua9ff\uaa60-\uaadf\uf900-\ufaff\U00016fe0-\U00018cff\U0001aff0-\U0001b2ff"
    "\U00020000-\U0003ffff"
)
"""Letters of scripts without spaces between words."""
APOSTROPHE = "\u02bc"
"""A letter by its category, which "ŉ" is folded to."""
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
        for apostrophe in APOSTROPHES:
            text = text.replace(apostrophe, "'")
    if text.isascii():
        return ascii_tokens(text)
    found, end = list[str](), 0
    for other in OTHERS.finditer(text):
        # Other ASCII joins nothing: what lies between is folded by itself.
        apart = text[end : other.start()].rstrip(JOINED)
        found += ascii_tokens(apart)
        found += folded_tokens(text[end + len(apart) : other.end()])
        end = other.end()
    return found + ascii_tokens(text[end:])


def ascii_tokens(text: str) -> list[str]:
    """`tokens`, of ASCII."""
    return (THOUSANDS.sub("", text) if "," in text else text).translate(WORDS).split()


def folded_tokens(text: str) -> list[str]:
    """`tokens` by their definition."""
    return [found.replace(",", "") for found in word().findall(folded(text))]


def folded(text: str) -> str:
    """A text as it is compared: Unicode's NFKC_Casefold."""
    decomposed = unicodedata.normalize("NFD", IGNORED.sub("", text)).casefold()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKD", decomposed).casefold())


@cache
def word() -> re.Pattern[str]:
    """A token of a folded text."""
    marks = [
        chr(code)
        for code in (*range(0x300, 0x20000), *range(0xE0100, 0xE01F0))
        if unicodedata.category(chr(code)) in ("Mn", "Mc")
    ]
    # Those beyond 16 bits are looked through one by one: only for a character that is one of them.
    near = "".join(mark for mark in marks if mark < "\U00010000")
    far = "".join(mark for mark in marks if mark >= "\U00010000")
    mark = rf"(?:[{near}]|(?=[\U00010000-\U0010ffff])[{far}])"
    letter = rf"(?:[^\W_{UNSPACED}{APOSTROPHE}]|{THOUSANDS.pattern})"
    return re.compile(rf"{letter}+(?:{mark}+{letter}*)*|(?=\w)[{UNSPACED}]{mark}*")


def placed(text: str) -> Iterator[Token]:
    """The tokens of a text with their places in it: the same as `tokens`, for marking them.

    A character that is folded into several tokens ("½": 1, 2) is the place of each.
    """
    parts, starts, ends = list[str](), list[int](), list[int]()
    for start, end in characters(text):
        part = folded_character(text[start:end])
        parts.append(part)
        starts += [start] * len(part)
        ends += [end] * len(part)
    for found in word().finditer("".join(parts)):
        text = found[0].replace(",", "")
        yield Token(text, starts[found.start()], ends[found.end() - 1])


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
