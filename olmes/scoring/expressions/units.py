"""What stands behind a number: a unit, a part of the day, a power of ten in words.

A unit that is left out is no other answer, and one that nobody knows ("ways", "students") is taken
for what the question counts. Two known ones must be of the same kind.
"""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass

SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12}
PERCENT = ("%", "percent")
MODIFIERS = frozenset(
    (
        *("or", "more", "less", "fewer", "greater", "mod", "modulo", "not", "than", "but", "no"),
        *("least", "most", "about", "dozen", "half", "halves", "third", "thirds", "quarter"),
        *("quarters", "wrong", "times", "except", "plus", "minus", "over", "base", "maybe"),
        *("approximately", "squared", "cubed", "factorial", "negative", "between", "twice"),
        *("under", "nearly", "almost", "roughly", "around", "up", "exceeds", "never", "percent"),
        *SCALES,
    )
)
"""Words that change what a number says."""
NO_UNITS = MODIFIERS.union(
    ("and", "is", "are", "to", "if", "when", "where", "for", "with", "sqrt", "multiplicity"),
    ("pi", "oo"),
)
DOLLARS = "¤"
KINDS = {
    "meter": ("m", "meter", "metre"),
    "centimeter": ("cm", "centimeter", "centimetre"),
    "millimeter": ("mm", "millimeter", "millimetre"),
    "kilometer": ("km", "kilometer", "kilometre"),
    "inch": ("in", "inch", "inche"),
    "foot": ("ft", "foot", "feet"),
    "yard": ("yd", "yard"),
    "mile": ("mi", "mile"),
    "second": ("s", "sec", "second"),
    "minute": ("min", "minute"),
    "hour": ("h", "hr", "hour"),
    "day": ("day",),
    "week": ("week",),
    "month": ("month",),
    "year": ("yr", "year"),
    "dollar": ("dollar", "¤", "usd", "buck"),
    "cent": ("cent", "¢"),
    "gram": ("g", "gm", "gram"),
    "kilogram": ("kg", "kilogram"),
    "pound": ("lb", "pound"),
    "ounce": ("oz", "ounce"),
    "liter": ("l", "liter", "litre"),
    "degree": ("°", "degree", "deg"),
    "radian": ("rad", "radian"),
    "mile an hour": ("mph",),
}
SPELLINGS = {spelling: kind for kind, spellings in KINDS.items() for spelling in spellings}
MEASURES = frozenset(
    (
        *("square", "sq", "cubic", "cu", "total", "exactly", "whole", "different", "distinct"),
        *("per", "a", "an", "of", "the", "in", "possible", "such", "u", "us"),
    )
)
DIMENSIONS = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}
SINGLE = ("m", "g", "s", "h", "l", "L")
"""Letters that stand for a unit after a blank, and otherwise for themselves."""
PART = re.compile(r"([a-zA-Z]+|[%°¢¤])(?:\.?\s?\*\*\s?(?:\(-?\d\)|-?\d))?\.?")
TAIL = re.compile(
    rf"(?<![a-zA-Z_\\])(?:{PART.pattern})(?:[\s/-]*(?<![a-zA-Z])(?:{PART.pattern})){{0,6}}$"
)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value with what stands around it."""

    value: str
    unit: str = ""
    """One name for all spellings of a known unit; another unit as it is written."""
    power: int = 0
    """2 for an area, 3 for a volume; 0 where nothing says."""
    percent: bool = False
    scale: int = 1
    """What a word such as "million" multiplies by."""


def quantity(text: str, mathematical: Container[str]) -> Quantity:
    """A value and its unit, as far as what follows the value is one.

    Args:
        text: tidied, without what surrounds the answer.
        mathematical: words that belong to a value, such as `pi`.
    """
    currency = text[:1] if text[:1] in "¤€£" else ""
    text = text.removeprefix(currency).strip()
    if text.startswith("-¤"):
        currency, text = "¤", "-" + text[2:].strip()
    start = _end_of_value(text, mathematical)
    value, words = text[:start].strip(), [word.lower() for word in PART.findall(text[start:])]
    unit = SPELLINGS[currency] if currency == "¤" else ""
    scale = SCALES.get(words[0], 1) if words else 1
    words = words[1:] if scale > 1 else words
    if not value or not words:
        return Quantity(value or text, unit, scale=scale) if value else Quantity(text)
    if words[0] in PERCENT:
        return Quantity(value, percent=True) if len(words) == 1 else Quantity(text)
    named = named_unit(words)
    if named is None:
        return Quantity(text)
    power = next((power for word, power in DIMENSIONS.items() if word in words), 0)
    exponent = re.search(r"\*\*\s?\(?(\d)", text[start:])
    return Quantity(value, unit or named, int(exponent[1]) if exponent else power, scale=scale)


def _end_of_value(text: str, mathematical: Container[str]) -> int:
    """Where the words behind a value begin, which are not `pi` or a letter of the value."""
    tail = TAIL.search(text)
    for part in PART.finditer(text, tail.start() if tail else len(text)):
        apart = re.search(r"[^\s/*+-]\s+$", text[: part.start()])
        letter = len(part[1]) == 1 and part[1].isalpha() and not (apart and part[1] in SINGLE)
        if part[1] not in mathematical and not letter:
            return part.start()
    return len(text)


def named_unit(words: list[str]) -> str | None:
    """The unit that words name; None where they are none."""
    if any(word in NO_UNITS for word in words):
        return None
    named = [word for word in words if word not in MEASURES]
    kinds = [SPELLINGS.get(word) or SPELLINGS.get(word.removesuffix("s")) for word in named]
    if not any(kinds) and any(len(word) < 3 for word in named):
        return None
    return next((kind for kind in kinds if kind), " ".join(named))


def compatible(left: Quantity, right: Quantity) -> bool:
    """Whether two units can be meant as the same: unless both are known and differ."""
    if left.power and right.power and left.power != right.power:
        return False
    return left.unit == right.unit or not {left.unit, right.unit} <= set(KINDS)
