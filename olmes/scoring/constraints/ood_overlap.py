"""A text that shares a given part of its trigrams, of words and of characters, with another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby, product
from random import Random
from typing import TYPE_CHECKING

from olmes.scoring.text import words

if TYPE_CHECKING:
    from olmes.scoring.constraints.ood_ratio import Overlap

# In no English reference text, so that what is written with them overlaps with nothing.
LETTERS = "αβγδεζηθικλμνξοπρστυφχψωбгдёжзийлпфцчшщъыьэюя"
CONSONANTS = ("qz", "zx", "xj", "jq", "vq", "zj", "xz", "qv")


def overlapping(constraint: Overlap, before: str = "") -> str:
    """A text that begins with `before` and meets the constraint by words and by characters.

    It goes on with the reference text, and ends with made-up words. Where no such text is found,
    as with a reference text of two words, the last that was tried.
    """
    return _first(constraint, before, constraint.reference_text, clusters=False)


def overlapping_in(constraint: Overlap, is_allowed: Callable[[str], bool]) -> str:
    """A text that meets the constraint with the longest run of allowed words of the reference text.

    The made-up words after it begin with two consonants.
    """
    runs = groupby(constraint.reference_text.split(), key=is_allowed)
    longest = max((" ".join(run) for allowed, run in runs if allowed), key=_count, default="")
    return _first(constraint, "", longest, clusters=True)


def _count(run: str) -> int:
    return len(words(run))


def _first(constraint: Overlap, before: str, shared: str, *, clusters: bool) -> str:
    text = shared
    for text in candidates(constraint, before, shared, clusters=clusters):
        if constraint.check(text) and constraint.reference(text):
            return text
    return text


def candidates(constraint: Overlap, before: str, shared: str, *, clusters: bool) -> Iterator[str]:
    """Both texts, with about as many made-up words and letters after them as the share wants."""
    from olmes.scoring.constraints.ood_ratio import trigrams

    share = max(constraint.percentage, 1) / 100
    known = (len(trigrams(words(shared.lower()))), len(trigrams(shared)))
    count, length = (round(number * (1 - share) / share) for number in known)
    start = f"{before} {shared}".strip()
    # What `before` adds is made up for by fewer made-up words.
    shifts = sorted(range(-60, 41), key=abs) if before else sorted(range(-8, 9), key=abs)
    step = 4 if length > 100 else 1
    for by_words, by_characters in product(shifts, shifts):
        number, letters = count + by_words, length + step * by_characters
        if 0 <= number <= letters:
            yield f"{start} {made_up(number, letters, clusters=clusters)}".strip()


def made_up(count: int, length: int, *, clusters: bool = False) -> str:
    """`count` words of `length` letters and blanks together, beginning with `clusters` if wanted."""
    rng = Random(f"{count} {length}")  # noqa: S311 (a text, not a secret)
    letters = max(length - count, count)
    ends = [letters * (number + 1) // count for number in range(count)]
    starts = [0, *ends[:-1]]
    made = [
        "".join(rng.choices(LETTERS, k=end - start))
        for start, end in zip(starts, ends, strict=count > 0)
    ]
    return (
        " ".join(rng.choice(CONSONANTS) + word[2:] for word in made) if clusters else " ".join(made)
    )
