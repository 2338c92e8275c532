"""Chats as tokens, and which of the tokens are learned: whole batches at a time.

A training template marks what the assistant says; transformers tells where the marks stand in the
rendered text. The tokens that lie in a mark, or reach into it, are learned. That is what
`apply_chat_template(return_assistant_tokens_mask=True)` computes too, from the offsets of every
token of every chat; here the tokenizer is only asked about the ends of the marks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

IGNORED = -100
"""The label of a token that nothing is learned from."""

Labelled = tuple[list[int], list[int]]
"""Token ids of a chat and their labels: the id where the assistant speaks, else `IGNORED`."""


def encode_chats(tokenizer: Any, chats: Sequence[Any], template: str) -> list[Labelled]:
    """Token ids and labels of some chats, in order.

    Args:
        tokenizer: of transformers, a fast one; special tokens come from the template alone.
        chats: of each its turns, with role and content.
        template: a training template.
    """
    from transformers.utils.chat_template_utils import render_jinja_template

    if not chats:
        return []
    texts, marks = render_jinja_template(
        conversations=list(chats),
        chat_template=template,
        return_assistant_tokens_mask=True,
        **tokenizer.special_tokens_map,
    )
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    backend.encode_special_tokens = tokenizer.split_special_tokens
    encodings = backend.encode_batch(texts, add_special_tokens=False)
    return [
        labelled(encoding, spans, len(text))
        for encoding, spans, text in zip(encodings, marks, texts, strict=True)
    ]


def labelled(encoding: Any, spans: Sequence[tuple[int, int]], length: int) -> Labelled:
    """Ids and labels of one rendered chat.

    Args:
        encoding: of tokenizers.
        spans: start and end of each mark, in characters, in order.
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
