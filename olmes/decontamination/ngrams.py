"""N-grams of the evaluations, found among those of training data by numbers instead of texts.

A token is a number; an n-gram of tokens t has the 64-bit hash `sum(mix[t_k] * FACTOR ** (n - 1 - k))`
(modulo 2 ** 64), with random values `mix`, so that those of a million positions are a few operations
on arrays. A hash only points: whether the tokens are the same is looked at, so what is found is
exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int32]
"""Tokens: 0 is one that no evaluation has, and the end of a text."""
Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]

FACTOR = 0x9E3779B97F4A7C15
"""Odd: nothing of the hash of a part is lost."""
SEED = 20241122
BITS_PER_NGRAM = 64


class Hashing:
    """Hashes of the n-grams of some tokens, by size."""

    def __init__(self, numbers: Numbers, mix: Hashes) -> None:
        self.hashes: dict[int, Hashes] = {1: mix[numbers]}

    def of(self, size: int) -> Hashes:
        """Of the n-gram that begins at each token; those beyond the end are of zeros."""
        if size not in self.hashes:
            # The largest power of two below it, and the rest: sizes share their parts.
            first = 1 << (size - 1).bit_length() - 1
            self.hashes[size] = joined(self.of(first), self.of(size - first), first, size - first)
        return self.hashes[size]


def joined(left: Hashes, right: Hashes, first: int, rest: int) -> Hashes:
    """The hashes of n-grams by those of their first tokens and of the others."""
    whole = left * np.uint64(pow(FACTOR, rest, 1 << 64))
    whole[:-first] += right[first:]
    return whole


class Sieve:
    """A set of hashes that answers "perhaps" or "no": a bit for each, many times as many bits."""

    def __init__(self, hashes: Hashes) -> None:
        width = max(10, (len(hashes) * BITS_PER_NGRAM).bit_length())
        self.shift = np.uint64(64 - width)
        places = hashes >> self.shift
        self.bits = np.zeros(1 << width - 3, np.uint8)
        np.bitwise_or.at(self.bits, places >> np.uint64(3), bit_of(places))

    def perhaps(self, hashes: Hashes) -> Places:
        """The places of hashes that may be in it."""
        places = hashes >> self.shift
        return np.flatnonzero(self.bits[places >> np.uint64(3)] & bit_of(places))


def bit_of(places: Hashes) -> npt.NDArray[np.uint8]:
    """The bit of each place in its byte."""
    return np.left_shift(np.uint8(1), (places & np.uint64(7)).astype(np.uint8))


@dataclass(frozen=True)
class NGrams:
    """Those of one size that evaluations have."""

    size: int
    corpus: Numbers
    """The tokens of every evaluation, one text behind the other."""
    hashes: Hashes
    """Sorted, one an n-gram."""
    offsets: Places
    """Where in `starts` those of each n-gram begin; and the end."""
    starts: Places
    """Where in the corpus they stand, n-gram by n-gram."""

    @classmethod
    def of(cls, size: int, corpus: Numbers, starts: Places, hashes: Hashes) -> NGrams | None:
        """The n-grams that begin at some tokens of the corpus; None where two share a hash."""
        mine = hashes[starts]
        order = np.argsort(mine, kind="stable")
        mine, starts = mine[order], starts[order]
        new = np.append(True, mine[1:] != mine[:-1])
        for part in range(0, len(starts), 1 << 17):
            at = part + np.flatnonzero(~new[part : part + (1 << 17)])
            window = np.arange(size)
            if (
                corpus[starts[at][:, None] + window] != corpus[starts[at - 1][:, None] + window]
            ).any():
                return None
        offsets = np.append(np.flatnonzero(new), len(starts)).astype(np.int64)
        return cls(size, corpus, mine[new], offsets, starts)

    def find(self, numbers: Numbers, at: Places, hashes: Hashes) -> tuple[Places, Places]:
        """Which of these stand in a text.

        Args:
            numbers: tokens, and as many zeros behind them as an n-gram is long.
            at: where one may begin.
            hashes: of the n-grams there.

        Returns:
            The places where one begins, and which it is.
        """
        which = np.searchsorted(self.hashes, hashes)
        which[which == len(self.hashes)] = 0
        good = np.flatnonzero(self.hashes[which] == hashes)
        at, which = at[good], which[good]
        same = np.ones(len(at), np.bool_)
        first = self.starts[self.offsets[which]]
        for token in range(self.size):
            same &= numbers[at + token] == self.corpus[first + token]
        return at[same], which[same]

    def any_of(self, places: Places) -> npt.NDArray[np.bool_]:
        """Which n-grams stand at one of some places of the corpus."""
        return np.logical_or.reduceat(np.isin(self.starts, places), self.offsets[:-1])
