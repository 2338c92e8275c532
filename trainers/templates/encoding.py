"""Chats as tokens, which of them are learned, and what is odd about a chat.

The answers of a chat are found in its text (`answers.py`, or a training template's marks); the tokens
that lie in an answer, or reach into it, are learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from olmes.trainers.templates.answers import AnswerFinder, Rendered
from olmes.trainers.templates.labels import encoded, labelled
from olmes.trainers.templates.marks import MarkFinder
from olmes.trainers.templates.odd import CHANGED, ENDLESS, REACHING
from olmes.trainers.templates.pairs import ChatTemplate
from olmes.trainers.templates.rendering import Chat, RefusedError, Renderer, Tools


class LabelledChat(NamedTuple):
    """A chat as tokens."""

    ids: list[int]
    labels: list[int]
    """The id where the assistant speaks, else `labels.IGNORED`."""
    note: str = ""
    """What is odd about it (`odd.py`), or why the template refuses it; then
    there are no tokens."""


def finder_of(tokenizer: Any, template: ChatTemplate) -> AnswerFinder | MarkFinder:
    """What finds the answers of chats: by the training template's marks where there are some.

    Raises:
        OlmesError: its marks are wrong.
    """
    finder = AnswerFinder(Renderer(tokenizer, template.plain))
    if not template.training:
        return finder
    return MarkFinder(Renderer(tokenizer, template.training), finder)


def label_chats(
    tokenizer: Any,
    chats: Sequence[Chat],
    template: ChatTemplate,
    tools: Sequence[Tools | None] | None = None,
) -> list[LabelledChat]:
    """Token ids and labels of some chats, in order.

    Args:
        tokenizer: of transformers, a fast one; special tokens come from the template alone.
        chats: of each its turns.
        template: by which they are rendered.
        tools: of each chat the functions that may be called.

    Raises:
        OlmesError: the marks of the training template are wrong.
    """
    finder = finder_of(tokenizer, template)
    found: list[Rendered | str] = []
    for index, chat in enumerate(chats):
        try:
            found.append(finder.find(chat, tools[index] if tools else None))
        except RefusedError as error:
            found.append(str(error))
    texts = [one.text for one in found if isinstance(one, Rendered)]
    encodings = iter(encoded(tokenizer, texts))
    return [
        labelled_chat(next(encodings), one)
        if isinstance(one, Rendered)
        else LabelledChat([], [], one)
        for one in found
    ]


def labelled_chat(encoding: Any, rendered: Rendered) -> LabelledChat:
    """Ids and labels of one rendered chat; `encoding` is of tokenizers."""
    spans = [(answer.start, answer.end) for answer in rendered.answers]
    ids, labels = labelled(encoding, spans, len(rendered.text))
    note = ""
    if not all(answer.ended for answer in rendered.answers):
        note = ENDLESS
    elif any(answer.changed for answer in rendered.answers):
        note = CHANGED
    elif any(begins_within_a_token(encoding, start) for start, end in spans if start < end):
        note = REACHING
    return LabelledChat(ids, labels, note)


def begins_within_a_token(encoding: Any, start: int) -> bool:
    """Whether the token at a character began before it."""
    first = encoding.char_to_token(start)
    return first is not None and encoding.token_to_chars(first)[0] < start
