"""Training data against evaluations: which items overlap with which rows (Tülu 3, section 3.2).

A token of an item is matched by a training instance where some 8-gram with it stands in one of the
instance's turns too; an item overlaps where more than half of its tokens are, those of all its texts
together. No n-gram spans two texts or two turns; the turns of an instance add up.

A text of fewer than 8 tokens has no 8-gram, and is compared whole: it is matched where its tokens
stand in a turn in a row, one of three or fewer where they are a turn by themselves; and the signs of
arithmetic between its tokens tell (`signs`). An item without tokens never overlaps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from olmes.decontamination.batch import Batch, Row
from olmes.decontamination.evaluations import Evaluation
from olmes.decontamination.matches import MATCHED, NGRAM, Match
from olmes.decontamination.ngrams import SEED, Hashing, NGrams, Places, Sieve
from olmes.decontamination.signs import Signs, same, signs
from olmes.decontamination.tokens import placed

IN_A_TURN = 4
"""Tokens of the shortest text that is looked for inside a turn: shorter ones are everywhere."""
AT_ONCE = 1 << 20
"""Places in evaluations that are looked at together."""


class Index:
    """Every n-gram of some evaluations."""

    def __init__(self, evaluations: Sequence[Evaluation]) -> None:
        self.evaluations = evaluations
        self.words: dict[str, int] = {}
        """The tokens of evaluations, and their numbers from 1."""
        items = [item for one in evaluations for item in one.items]
        self.lengths = np.array([item.length for item in items], np.int64)
        self.first_items = np.cumsum([0, *(len(one.items) for one in evaluations)])
        corpus, of_token, sizes = list[int](), list[int](), list[int]()
        self.signs: dict[int, Signs] = {}
        """Of short texts that have some, by where they stand in the corpus."""
        starts: dict[int, list[int]] = {}
        for number, item in enumerate(items):
            for text, found in zip(item.texts, item.tokens, strict=True):
                size, start = min(NGRAM, len(found)), len(corpus)
                if not size:
                    continue
                corpus += (self.words.setdefault(word, len(self.words) + 1) for word in found)
                begins = range(start, len(corpus) - size + 1)
                starts.setdefault(size, []).extend(begins)
                if size < NGRAM and any(own := signs(text, tuple(placed(text)))):
                    self.signs[start] = own
                sizes += [size] * len(found)
                of_token += [number] * len(found)
        self.corpus = np.array(corpus + [0] * NGRAM, np.int32)
        self.item_of = np.array(of_token, np.int32)
        self.size_of = np.array(sizes, np.int64)
        self.hash_ngrams({size: np.array(found, np.int64) for size, found in starts.items()})

    @classmethod
    def of(cls, evaluations: Sequence[Evaluation]) -> Index:
        """The index of evaluations."""
        return cls(evaluations)

    def hash_ngrams(self, starts: dict[int, Places]) -> None:
        """Find random values under which no two n-grams share a hash."""
        random = np.random.default_rng(SEED)
        while True:
            self.mix = random.integers(0, 1 << 64, len(self.words) + 1, np.uint64)
            hashing = Hashing(self.corpus, self.mix)
            made = {
                size: NGrams.of(size, self.corpus, found, hashing.of(size))
                for size, found in sorted(starts.items())
            }
            self.ngrams = {size: one for size, one in made.items() if one is not None}
            if len(self.ngrams) == len(starts):
                break
        within = [starts[size] for size in range(IN_A_TURN, NGRAM) if size in starts]
        begun = hashing.of(IN_A_TURN)[np.concatenate([np.zeros(0, np.int64), *within])]
        self.sieves = {IN_A_TURN: Sieve(begun)}
        ends = np.cumsum([0, *(len(one.starts) for one in self.ngrams.values())])
        self.base = dict(zip(self.ngrams, map(int, ends), strict=False))
        self.starts = np.concatenate(
            [np.zeros(0, np.int64), *(one.starts for one in self.ngrams.values())]
        )
        self.signed = {
            size: one.any_of(np.array(sorted(self.signs), np.int64))
            for size, one in self.ngrams.items()
            if size < NGRAM
        }
        if NGRAM in self.ngrams:
            self.sieves[NGRAM] = Sieve(self.ngrams[NGRAM].hashes)

    def matches(self, row: int, turns: Sequence[str]) -> Iterator[Match]:
        """The items that overlap with a training instance.

        Args:
            row: its number.
            turns: its texts; no n-gram spans two of them, and what is matched adds up over them.
        """
        yield from self.matches_of([(row, turns)])

    def matches_of(self, rows: Sequence[Row]) -> Iterator[Match]:
        """The items that overlap with some training instances, in their order, then in the items'."""
        texts = Batch(rows, self.words)
        found = [np.zeros((0, 3), np.int64)]
        for size, at, which in self.found(texts):
            found += self.places(texts, size, at, which)
        yield from self.overlapping(rows, np.concatenate(found))

    def found(self, texts: Batch) -> Iterator[tuple[int, Places, Places]]:
        """The n-grams that stand in some texts, by size: where each begins, and which it is."""
        hashing = Hashing(texts.numbers, self.mix)
        inside = self.sieves[IN_A_TURN].perhaps(hashing.of(IN_A_TURN))
        for size, ngrams in self.ngrams.items():
            at = inside
            if size < IN_A_TURN:
                at = texts.turns_of(size)
            elif size == NGRAM:
                at = self.sieves[size].perhaps(hashing.of(size))
            yield size, *ngrams.find(texts.numbers, at, hashing.of(size)[at])

    def places(self, texts: Batch, size: int, at: Places, which: Places) -> Iterator[Places]:
        """Where in the corpus n-grams stand that were found.

        Yields:
            Lines of three: the row, in which place of `starts` its places begin, and how many.
        """
        ngrams, base = self.ngrams[size], self.base[size]
        if size < NGRAM and len(at):
            signed = self.signed[size][which]
            for begin, one in zip(at[signed], which[signed], strict=True):
                own = texts.signs(int(begin), size)
                row = texts.row_of(begin)
                for place in range(*ngrams.offsets[one : one + 2]):
                    if same(self.signs.get(int(ngrams.starts[place]), ()), own):
                        yield np.array([[row, base + place, 1]], np.int64)
            at, which = at[~signed], which[~signed]
        rows, which = np.divmod(
            np.unique(texts.row_of(at) * len(ngrams.hashes) + which), len(ngrams.hashes)
        )
        begin, end = ngrams.offsets[which], ngrams.offsets[which + 1]
        yield np.stack([rows, base + begin, end - begin], axis=1)

    def overlapping(self, rows: Sequence[Row], found: Places) -> Iterator[Match]:
        """The items of which enough stands in a row.

        Args:
            rows: the rows.
            found: as `places` gives them, of all sizes.
        """
        if not len(found):
            return
        found = found[np.argsort(found[:, 0], kind="stable")]
        first = np.flatnonzero(np.diff(found[:, 0], prepend=-1))
        total = np.cumsum(np.add.reduceat(found[:, 2], first))
        # Some whole rows at a time: an n-gram may stand in a thousand items.
        for part in np.split(found, first[1:][np.diff(total // AT_ONCE) > 0]):
            yield from self.overlapping_rows(rows, part)

    def overlapping_rows(self, rows: Sequence[Row], found: Places) -> Iterator[Match]:
        """`overlapping`, of as much as is looked at together."""
        counts = found[:, 2]
        inner = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        starts = self.starts[np.repeat(found[:, 1], counts) + inner]
        stride = len(self.corpus)  # with room behind the last token: no two rows touch
        keys = np.repeat(found[:, 0], counts) * stride + starts
        keys.sort()
        row, start = np.divmod(keys, stride)
        # An n-gram matches its tokens, less those that the next one of the same row matches too.
        new = np.minimum(self.size_of[start], np.diff(keys, append=keys[-1:] + stride))
        item = self.item_of[start]
        first = np.flatnonzero(np.append(True, (np.diff(row) != 0) | (np.diff(item) != 0)))
        matched = np.add.reduceat(new, first)
        row, item = row[first], item[first]
        for one in np.flatnonzero(matched > MATCHED * self.lengths[item]):
            number = int(np.searchsorted(self.first_items, item[one], side="right")) - 1
            yield Match(
                rows[row[one]][0],
                self.evaluations[number].task,
                int(item[one] - self.first_items[number]),
                int(matched[one]),
                int(self.lengths[item[one]]),
            )
