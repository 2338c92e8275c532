"""Preferences as tokens: a prompt, and two answers that each end with the token that ends a turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from olmes.rows.chats import row_tools, whole_chat
from olmes.trainers.templates.answers import AnswerFinder
from olmes.trainers.templates.labels import encoded, tokens_within
from olmes.trainers.templates.pairs import ChatTemplate
from olmes.trainers.templates.rendering import RefusedError, Renderer

SIDES = ("chosen", "rejected")
Preference = tuple[list[int], list[int], list[int]]
"""Token ids of a prompt, of the answer that is chosen and of the rejected one."""


def encode_preferences(
    tokenizer: Any, rows: Sequence[Mapping[str, Any]], template: ChatTemplate
) -> list[Preference | str]:
    """Preferences as tokens; of one that the template refuses, why.

    An answer begins where a model has to write it and ends with the token that ends its turn: what a
    template puts behind that (a line end) is nobody's answer, and would count as a token of it.

    Args:
        tokenizer: of transformers, a fast one.
        rows: of the shape of `DPORow`.
        template: by which they are rendered.
    """
    finder = AnswerFinder(Renderer(tokenizer, template.plain))
    found: list[Preference | str] = []
    for row in rows:
        try:
            found.append(encode_preference(tokenizer, row, finder))
        except RefusedError as error:
            found.append(str(error))
    return found


def encode_preference(tokenizer: Any, row: Mapping[str, Any], finder: AnswerFinder) -> Preference:
    """Token ids of a prompt, of what is chosen and of what is rejected.

    Where a template renders the prompt differently with the two answers, it ends where they part.

    Raises:
        RefusedError: the template does not take the chat.
    """
    prompt, tools = whole_chat(row, "prompt"), row_tools(row)
    found = [finder.find([*prompt, *whole_chat(row, side)], tools) for side in SIDES]
    whole: list[list[int]] = []
    begins: list[int] = []
    for encoding, one in zip(encoded(tokenizer, [one.text for one in found]), found, strict=True):
        answer = one.answers[-1]
        first, behind = tokens_within(encoding, answer.start, answer.end, len(one.text))
        whole.append(encoding.ids[:behind])
        begins.append(first)
    chosen, rejected = whole
    parts = next(
        (i for i, (one, other) in enumerate(zip(chosen, rejected, strict=False)) if one != other),
        min(len(chosen), len(rejected)),
    )
    begin = min(parts, *begins)
    return chosen[:begin], chosen[begin:], rejected[begin:]
