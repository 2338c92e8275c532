"""The one word a response answers with, where the answers are words: yes or no, valid or invalid."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from olmes.scoring.answers.mark import Origin
from olmes.scoring.answers.statement import stated_answer
from olmes.scoring.choices.letter import LOOP, REPEATED

DRESS = re.compile(r"\\(?:text|textbf|mathrm)\b|[*_`$\"“”{}\\]")
OPEN = re.compile(r"\bwhether\b|\bnot the case\b", re.IGNORECASE)
LONG = 4
"""Letters from which a word means the answer wherever it stands; "no" is also an article."""


@lru_cache(maxsize=16)
def _patterns(words: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    """The words anywhere, opening a statement, closing one, and one "or" the other."""
    either = rf"\b(?P<word>{'|'.join(words)})\b"
    negated = rf"(?P<negated>\bnot\s(?:[a-z]+ly\s)?)?{either}"
    opening = rf"\W*{either}(?:\W*\Z|[,.;:–-]|\s(?:because|since|as)\b)"
    return (
        re.compile(negated, re.IGNORECASE),
        re.compile(opening, re.IGNORECASE),
        re.compile(rf"{negated}\W*\Z", re.IGNORECASE),
        re.compile(rf"\b(?:{'|'.join(words)})\W+n?or\W+(?:{'|'.join(words)})\b", re.IGNORECASE),
    )


def stated_word(text: str, words: Sequence[str], *, complete: bool = True) -> str | None:
    """The one of two `words` that a response states as its answer, or None.

    Of the statement (`olmes.scoring.answers.statement`) the word that opens it counts, or else the
    one that closes it, or else the only one there is; "not valid" is the other word. A short word
    ("no") only counts at an end. "True or False" answers with neither, and a loop with nothing.

    Args:
        text: The response.
        words: The two answers, in lower case, such as `("valid", "invalid")`.
        complete: Whether the response ended by itself.
    """
    pair = tuple(words)
    found = stated_answer(text, complete=complete, wanted=lambda said: bool(_named(said, pair)))
    if found is None or (found.origin is Origin.LINE and _loops(text)):
        return None
    return _named(found.text, pair)


def _loops(text: str) -> bool:
    """Whether a response ends by saying the same over and over, which concludes nothing."""
    end = text.rstrip()[-REPEATED:]
    return len(end) == REPEATED and text.count(end) >= LOOP


def _named(said: str, pair: tuple[str, ...]) -> str | None:
    anywhere, opening, closing, choice = _patterns(pair)
    plain = DRESS.sub("", said).strip()
    if choice.search(plain) or OPEN.search(plain):
        return None
    if first := opening.match(plain):
        return first["word"].lower()
    if last := closing.search(plain[-80:]):
        return _meant(last, pair)
    named = {_meant(each, pair) for each in anywhere.finditer(plain)}
    if len(named) != 1 or len(only := named.pop()) < LONG:
        return None
    return only


def _meant(found: re.Match[str], pair: tuple[str, ...]) -> str:
    word = found["word"].lower()
    negated = found["negated"] and len(word) >= LONG
    return pair[1 - pair.index(word)] if negated else word
