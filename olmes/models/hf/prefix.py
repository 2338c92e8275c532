"""Which token sequences share a prefix, and how to compute each shared prefix once.

A trie over a whole stream of prompts, in two parts. A long prefix that many share (few-shot
exemplars) becomes a `PrefixGroup`: computed once and cached. What a handful share is found by
`TokenTree`, which lays the rest of some sequences out as one, each distinct token once.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

MIN_TOKENS = 48
"""A prefix shorter than this (a chat template's first words) is not worth a group."""
MIN_MEMBERS = 4
"""Fewer sequences than these go through the model together anyhow, and share there..."""
MIN_SAVED = 256
"""... unless their prefix is so long that they do not: what it must save them, in tokens."""


@dataclass(slots=True, eq=False)
class PrefixGroup:
    """Sequences that share a prefix."""

    tokens: array[int]
    """The shared prefix, the parent's included."""
    parent: PrefixGroup | None
    order: tuple[int, ...]
    """Groups sort by it, each behind its parent."""
    waiting: int = 0
    """Members, those of inner groups included, that still need the prefix."""
    states: list[tuple[object, object]] = field(default_factory=list)
    """Keys and values by layer, `[1, key-value heads, tokens, head size]`; empty until computed."""

    def join(self, members: int = 1) -> None:
        """So many more sequences need the prefix."""
        group: PrefixGroup | None = self
        while group is not None:
            group.waiting += members
            group = group.parent

    def release(self) -> None:
        """A member is finished; the last one frees the states."""
        group: PrefixGroup | None = self
        while group is not None:
            group.waiting -= 1
            if group.waiting <= 0:
                group.states = []
            group = group.parent


def common_length(left: array[int], right: array[int]) -> int:
    """Length of the longest common prefix of two sequences, by bisection over slices."""
    low, high = 0, min(len(left), len(right))
    if left[:high] == right[:high]:
        return high
    while high - low > 1:
        middle = (low + high) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle
    return low


def prefix_groups(sequences: Sequence[array[int]]) -> list[PrefixGroup | None]:
    """The innermost group of each sequence, or None.

    At least one token of every sequence stays outside its group's prefix, for it is the last
    token's output that is asked for. Nested prefixes give nested groups.
    """
    found: list[PrefixGroup | None] = [None] * len(sequences)
    order = sorted(range(len(sequences)), key=lambda at: sequences[at])
    # alike[k]: the length of the common prefix of the k-th and the next in order.
    alike = [common_length(sequences[a], sequences[b]) for a, b in pairwise(order)]
    stack: list[tuple[int, int, PrefixGroup | None]] = [(0, len(order), None)]
    serial = 0
    while stack:
        start, end, around = stack.pop()
        members = end - start
        if members < 2:
            continue
        least = min(alike[start : end - 1])
        shortest = min(len(sequences[at]) for at in order[start:end])
        usable = min(least, shortest - 1)
        group = around
        own = usable - (len(around.tokens) if around else 0)
        if own >= MIN_TOKENS and (members >= MIN_MEMBERS or own * (members - 1) >= MIN_SAVED):
            serial += 1
            path = (*(around.order if around else ()), serial)
            group = PrefixGroup(sequences[order[start]][:usable], around, path)
            for at in order[start:end]:
                found[at] = group
        cuts = [at for at in range(start, end - 1) if alike[at] == least]
        edges = [start, *(cut + 1 for cut in cuts), end]
        stack.extend((begin, until, group) for begin, until in pairwise(edges))
    for innermost in found:
        if innermost:
            innermost.join()
    return found


def running_order(
    sequences: Sequence[array[int]], groups: Sequence[PrefixGroup | None]
) -> list[int]:
    """The order in which to run: groups together, the longest first, equal sequences adjacent.

    The longest go first so that it shows at once when memory does not suffice.
    """
    longest: dict[int, int] = {}
    for sequence, group in zip(sequences, groups, strict=True):
        if group:
            outer = group.order[0]
            longest[outer] = max(longest.get(outer, 0), len(sequence))

    def key(at: int) -> tuple[object, ...]:
        group, sequence = groups[at], sequences[at]
        if group is None:
            return (-len(sequence), 0, (), 0, sequence, at)
        outer = group.order[0]
        return (-longest[outer], outer, group.order, -len(sequence), sequence, at)

    return sorted(range(len(sequences)), key=key)


@dataclass(slots=True)
class TokenTree:
    """Some sequences laid out as one: a trie whose nodes are numbered parents first."""

    tokens: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    """The node before each; -1 for a first token."""
    depths: list[int] = field(default_factory=list)
    """Tokens before each node in its sequence."""
    paths: list[list[int]] = field(default_factory=list)
    """The nodes of each sequence, in its order."""
    children: dict[tuple[int, int], int] = field(default_factory=dict)

    def add(self, sequence: Sequence[int]) -> None:
        """Lay out one more sequence; the prefix it shares with an earlier one is not repeated."""
        node, path = -1, []
        for depth, token in enumerate(sequence):
            child = self.children.get((node, token))
            if child is None:
                child = len(self.tokens)
                self.children[node, token] = child
                self.tokens.append(token)
                self.parents.append(node)
                self.depths.append(depth)
            node = child
            path.append(node)
        self.paths.append(path)

    @property
    def chain(self) -> bool:
        """Whether every node follows the one before it, so that plain causality holds."""
        return all(parent == at - 1 for at, parent in enumerate(self.parents))
