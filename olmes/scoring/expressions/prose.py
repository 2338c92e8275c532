"""The one formula or number of a sentence: of "there are 12 ways to do so", 12."""

from __future__ import annotations

import re

from olmes.scoring.expressions.units import MODIFIERS

FORMULA = re.compile(r"\$([^$]+)\$|\\\((.+?)\\\)")
NUMBER = re.compile(r"(?<![\w.,/^*+$\\{}-])-?\d[\d,]*(?:\.\d+)?(?:/\d+)?(?![\w/^*+=<>\\{}-])")
WORD = re.compile(r"[a-zA-Z']+")
FEWEST_WORDS = 2


def only_formula(sentence: str) -> str | None:
    """What a sentence states where it holds one formula, or else one number.

    None where it holds more, or says more or less, not, or half of it.
    """
    words = [word.lower() for word in WORD.findall(FORMULA.sub(" ", sentence))]
    if len(words) < FEWEST_WORDS or MODIFIERS.intersection(words):
        return None
    if formulas := FORMULA.findall(sentence):
        return "".join(formulas[0]) if len(formulas) == 1 else None
    numbers = NUMBER.findall(sentence)
    alone = len(re.findall(r"\d[\d,.]*", sentence)) == len(numbers) == 1 or (
        len(numbers) == 1 and "/" in numbers[0]
    )
    return numbers[0].rstrip(",") if alone and "\\" not in sentence else None
