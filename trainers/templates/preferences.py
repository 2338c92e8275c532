"""Preferences as tokens: a prompt, and two answers that each end with the token that ends a turn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from olmes.trainers.data.chats import row_tools, whole_chat
from olmes.trainers.templates.answers import AnswerFinder
from olmes.trainers.templates.encoding import encoded
from olmes.trainers.templates.labels import tokens_within
from olmes.trainers.templates.pairs import ChatTemplate
from olmes.trainers.templates.rendering import RefusedError, Renderer

SIDES = ("chosen", "rejected")
TOKENS = ("prompt_ids", "chosen_ids", "rejected_ids")


def encode_preferences(
    tokenizer: Any, rows: Mapping[str, list[Any]], template: ChatTemplate
) -> dict[str, list[Any]]:
    """Columns `TOKENS` and `note` (why the template refuses a row, whose tokens are none then).

    An answer begins where a model has to write it and ends with the token that ends its turn: what a
    template puts behind that (a line end) is nobody's answer, and would count as a token of it.

    Args:
        tokenizer: of transformers, a fast one.
        rows: columns of `DPORow`.
        template: by which they are rendered.
    """
    finder = AnswerFinder(Renderer(tokenizer, template.plain))
    columns: dict[str, list[Any]] = {name: [] for name in (*TOKENS, "note")}
    for values in zip(*(rows[name] for name in rows), strict=True):
        row = dict(zip(rows, values, strict=True))
        try:
            made = encode_preference(tokenizer, row, finder)
            note = ""
        except RefusedError as error:
            made, note = ([], [], []), str(error)
        for name, ids in zip(TOKENS, made, strict=True):
            columns[name].append(ids)
        columns["note"].append(note)
    return columns


def encode_preference(
    tokenizer: Any, row: Mapping[str, Any], finder: AnswerFinder
) -> tuple[list[int], list[int], list[int]]:
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
