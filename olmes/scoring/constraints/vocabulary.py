"""Plain words and sentences for made-up arguments and made-up answers."""

from __future__ import annotations

from random import Random

# Short everyday words: for every letter a good many that do without it.
WORDS = (
    "garden", "river", "window", "market", "summer", "teacher", "bridge", "letter", "winter", "music",
    "story", "kitchen", "morning", "forest", "pocket", "castle", "island", "doctor", "mirror", "engine",
    "cloud", "paper", "silver", "basket", "village", "number", "ocean", "candle", "stone", "yellow",
    "this", "that", "with", "many", "light", "hand", "long", "walk", "until", "wind",
    "old", "full", "is", "it", "and", "in", "all", "sun", "mist", "small",
    "we", "the", "there", "home", "where", "here", "were", "tree", "some", "more",
)  # fmt: skip


def draw_words(rng: Random, count: int) -> tuple[str, ...]:
    """`count` different nouns."""
    return tuple(rng.sample(WORDS[:30], count))
