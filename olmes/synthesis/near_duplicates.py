"""Near-duplicates among prompts: candidates by MinHash, decided by the Jaccard similarity itself.

Broder 1997, "On the resemblance and containment of documents". Signatures of 256 values in 64 bands of
4 find a pair of similarity 0.7 but for two times in a hundred million (1 - (1 - 0.7^4)^64), and what
they find is compared exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from olmes.decontamination.tokens import tokens
from olmes.errors import OlmesError
from olmes.tools.hashing import content_hash

BANDS, ROWS = 64, 4
Shingles = frozenset[tuple[str, ...]]


def shingles(text: str, size: int) -> Shingles:
    """The runs of `size` tokens of a text; a shorter text is one run."""
    words = tokens(text)
    last = max(1, len(words) - size + 1)
    return frozenset(tuple(words[start : start + size]) for start in range(last))


def jaccard(one: Shingles, other: Shingles) -> float:
    """How much of two sets is common, from 0 to 1."""
    return len(one & other) / len(one | other) if one or other else 1.0


class NearDuplicates:
    """Remembers what was kept, and tells what is nearly the same.

    Args:
        threshold: the Jaccard similarity from which two prompts are duplicates.
        size: tokens of a shingle.
        seed: decides which of several duplicates is kept.

    Raises:
        OlmesError: the library is not installed.
    """

    def __init__(self, threshold: float, size: int, seed: int) -> None:
        try:
            from datasketch import MinHash, MinHashLSH
        except ImportError:
            raise OlmesError(
                "near-duplicates are found by datasketch, which is not installed; "
                "pip install 'olmes[synth]'."
            ) from None
        self.threshold, self.size, self.seed = threshold, size, seed
        self.kept: list[Shingles] = []
        self.index: Any = MinHashLSH(num_perm=BANDS * ROWS, params=(BANDS, ROWS))
        self.empty: Any = MinHash(num_perm=BANDS * ROWS)

    def keep(self, texts: Sequence[str]) -> list[int]:
        """The places of those texts that are like none kept before them, ascending.

        Among the texts of one call the order does not matter: they are tried in an order that their
        content and the seed decide.
        """
        order = sorted(range(len(texts)), key=lambda n: (content_hash([self.seed, texts[n]]), n))
        return sorted(place for place in order if self.add(texts[place]))

    def add(self, text: str) -> bool:
        """Keep a text unless it is like one that was kept; whether it was."""
        own = shingles(text, self.size)
        signature = self.signature(own)
        if any(jaccard(own, other) >= self.threshold for other in self.candidates(signature)):
            return False
        self.index.insert(len(self.kept), signature)
        self.kept.append(own)
        return True

    def candidates(self, signature: Any) -> Iterable[Shingles]:
        """What was kept and shares a band."""
        return (self.kept[place] for place in self.index.query(signature))

    def signature(self, own: Shingles) -> Any:
        """The MinHash values of a set."""
        found = self.empty.copy()
        found.update_batch([" ".join(shingle).encode("utf-8") for shingle in own])
        return found
