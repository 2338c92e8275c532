"""A text that shares a given part of its trigrams, of words and of characters, with another."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from olmes.scoring.constraints.ood_ratio import Overlap

# In no English reference text, so that what is written with them overlaps with nothing.
LETTERS = "αβγδεζηθικλμνξοπρστυφχψωбгдёжзийлпфцчшщъыьэюя"


def overlapping(constraint: Overlap, before: str = "") -> str:
    """A text that begins with `before` and meets the constraint by words and by characters.

    The last candidate where none does, as with a reference text of two words.
    """
    text = constraint.reference_text
    for text in candidates(constraint, before):
        if constraint.check(text) and constraint.reference(text):
            return text
    return text


def candidates(constraint: Overlap, before: str) -> Iterator[str]:
    """The reference text with more and more made-up words of more and more letters after it."""
    share = max(constraint.percentage, 1) / 100
    shared = (len(constraint.word_trigrams), len(constraint.character_trigrams))
    words, characters = (round(count * (1 - share) / share) for count in shared)
    start = f"{before} {constraint.reference_text}".strip()
    # What `before` adds is made up for by fewer made-up words.
    shifts = sorted(range(-60, 41), key=abs) if before else sorted(range(-8, 9), key=abs)
    for by_words, by_characters in product(shifts, shifts):
        count, length = words + by_words, characters + 4 * by_characters
        if 0 <= count <= length:
            yield f"{start} {made_up(count, length)}".strip()


def made_up(count: int, length: int) -> str:
    """`count` words of `length` letters and blanks together."""
    rng = Random(f"{count} {length}")  # noqa: S311 (a text, not a secret)
    letters = max(length - count, count)
    ends = [letters * (number + 1) // count for number in range(count)]
    starts = [0, *ends[:-1]]
    return " ".join(
        "".join(rng.choices(LETTERS, k=end - start))
        for start, end in zip(starts, ends, strict=count > 0)
    )
