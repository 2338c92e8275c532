"""Rendered chats as tokens, and which of the tokens are learned: whole batches at a time.

The tokens that lie in an answer, or reach into it, are learned. For the marks of a template that is
what `apply_chat_template(return_assistant_tokens_mask=True)` computes too, from the offsets of every
token of every chat; here the tokenizer is only asked about the ends of the answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

IGNORED = -100
"""The label of a token that nothing is learned from."""

Labelled = tuple[list[int], list[int]]
"""Token ids of a chat and their labels: the id where the assistant speaks, else `IGNORED`."""


def encoded(tokenizer: Any, texts: Sequence[str]) -> Sequence[Any]:
    """Rendered texts as tokens, with their places; none is added to them.

    Args:
        tokenizer: of transformers, a fast one.
        texts: chats as a template renders them.
    """
    if not texts:
        return []
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    backend.encode_special_tokens = tokenizer.split_special_tokens
    found: Sequence[Any] = backend.encode_batch(list(texts), add_special_tokens=False)
    return found


def labelled(encoding: Any, spans: Sequence[tuple[int, int]], length: int) -> Labelled:
    """Ids and labels of one rendered chat.

    Args:
        encoding: of tokenizers.
        spans: start and end of each answer, in characters, in order.
        length: characters of the text.
    """
    ids: list[int] = encoding.ids
    labels = [IGNORED] * len(ids)
    for start, end in spans:
        first, behind = tokens_within(encoding, start, min(end, length), length)
        labels[first:behind] = ids[first:behind]
    return ids, labels


def tokens_within(encoding: Any, start: int, end: int, length: int) -> tuple[int, int]:
    """The first token that reaches into a span of characters, and the one behind the last."""
    if start >= end:
        return 0, 0
    first = encoding.char_to_token(start)
    behind = len(encoding) if end == length else encoding.char_to_token(end)
    if first is None or behind is None:  # no token covers the character: some leave spaces out
        return tokens_by_offset(encoding.offsets, start, end)
    if behind < len(encoding) and encoding.token_to_chars(behind)[0] < end:
        return tokens_by_offset(encoding.offsets, start, end)  # it reaches over the end
    while behind > first and encoding.token_to_chars(behind - 1)[0] >= end:
        behind -= 1  # of no width
    return first, behind


def tokens_by_offset(offsets: Sequence[tuple[int, int]], start: int, end: int) -> tuple[int, int]:
    """As `tokens_within`, from where every token stands."""
    inside = [at for at, (left, right) in enumerate(offsets) if right > start and left < end]
    return (inside[0], inside[-1] + 1) if inside else (0, 0)
