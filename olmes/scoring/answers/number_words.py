"""Numbers written as words: "thirteen", "one hundred and five"."""

from __future__ import annotations

import re

from word2number import w2n

ONES = "one|two|three|four|five|six|seven|eight|nine"
TEENS = "zero|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen"
TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
SMALL = rf"(?:(?:{TENS})(?:[\s-](?:{ONES}))?|{TEENS}|{ONES})"
HUNDREDS = rf"(?:(?:{ONES}|{TEENS}|a)\shundred(?:\s(?:and\s)?{SMALL})?|{SMALL})"
THOUSANDS = rf"(?:{HUNDREDS}|a)\s(?:thousand|million|billion)"
AND = r",?\s(?:and\s)?"
NUMBER = re.compile(
    rf"\b(?P<sign>minus\s|negative\s)?"
    rf"(?P<words>{THOUSANDS}(?:{AND}{THOUSANDS})*(?:{AND}{HUNDREDS})?|{HUNDREDS})\b",
    re.IGNORECASE,
)


def in_digits(text: str) -> str:
    """`text` with numbers in digits, where it has none in digits: of "c is thirteen", "c is 13"."""
    if any(character.isdigit() for character in text):
        return text
    return NUMBER.sub(_digits, text)


def _digits(found: re.Match[str]) -> str:
    return ("-" if found["sign"] else "") + str(w2n.word_to_num(found["words"].lower()))
