"""Chats as tokens, which of them are learned, and what is odd about a chat.

The answers of a chat are found in its text (`answers.py`, or a training template's marks); the tokens
that lie in an answer, or reach into it, are learned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from olmes.trainers.templates.answers import AnswerFinder, Rendered
from olmes.trainers.templates.labels import labelled
from olmes.trainers.templates.marks import MarkFinder
from olmes.trainers.templates.pairs import ChatTemplate
from olmes.trainers.templates.rendering import Chat, RefusedError, Renderer, Tools

CHANGED = "an answer is rendered in other words: without its outer whitespace or a thought"
ENDLESS = "an answer has no special token behind it that would end it"
REACHING = "an answer begins within a token"


class LabelledChat(NamedTuple):
    """A chat as tokens."""

    ids: list[int]
    labels: list[int]
    """The id where the assistant speaks, else `labels.IGNORED`."""
    note: str = ""
    """What is odd about it: `CHANGED`, `ENDLESS`, `REACHING`, or why the template refuses it; then
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


def encoded(tokenizer: Any, texts: Sequence[str]) -> Sequence[Any]:
    """Texts as tokens with their places; none is added."""
    if not texts:
        return []
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    backend.encode_special_tokens = tokenizer.split_special_tokens
    found: Sequence[Any] = backend.encode_batch(list(texts), add_special_tokens=False)
    return found


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


def odd_chats(notes: Sequence[str]) -> list[str]:
    """Lines about chats with a note: how many have which; those that were refused come first."""
    counted = Counter(note for note in notes if note)
    mild = (ENDLESS, CHANGED, REACHING)
    ordered = sorted(counted, key=lambda note: (note in mild, -counted[note]))
    return [
        f"{counted[note]} of {len(notes)} chats"
        + (f": {note}" if note in mild else f" left out: {note.rstrip('.')}")
        for note in ordered
    ]
