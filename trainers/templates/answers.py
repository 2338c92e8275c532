"""Which part of a rendered chat an assistant says: what a model has to write itself.

A turn's part begins where the prompt for it ends, and ends with the token that ends the turn. Both
are read off what the template renders, so that any model's own template can be trained with:

- the prompt is the chat before the turn, rendered with the beginning of an answer;
- where the content stands is seen by rendering it as a character that is in no text;
- the end is what follows the content whatever comes next, up to its last special token.

A template may put more than the content there (an empty thought, a channel), or less (thoughts of
earlier turns left out, outer whitespace): what is rendered is what is learned.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from olmes.trainers.templates.matching import best_match, shared, special_tokens
from olmes.trainers.templates.rendering import (
    SENTINEL,
    Chat,
    RefusedError,
    Renderer,
    Span,
    Tools,
    Turn,
)
from olmes.trainers.templates.turns import check_tools, content_of, loses, plain, replaced

KEPT = 64
"""Surroundings of an answer that are remembered; templates have a few."""
LOST = "the chat template does not write the {what} of an assistant's turn"
PARTIAL = re.compile(r"<[^<>\s]*$")
"""The beginning of a mark at the end of a text."""
USER: Turn = {"role": "user", "content": "?"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What an assistant says in a rendered chat."""

    start: int
    end: int
    """Characters of the text: the first, and the one behind the end of the turn."""
    said: Span
    """Its content alone, or as much of it as can be told."""
    ended: bool
    """Whether a special token ends it."""
    changed: bool
    """Whether the template renders another text than the content."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A chat as text, and the answers in it."""

    text: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class Rim:
    """What a template puts round the content of an answer."""

    lead: str
    """Before it, behind the prompt."""
    tail: str
    """Behind it, up to the end of the turn."""
    rest: str | None
    """What follows the end of a chat's last answer; None for an answer that others follow."""
    added: str
    """The part of the tail that the template leaves out at the end of a chat."""


class AnswerFinder:
    """Finds the answers in what a template renders.

    Args:
        renderer: of the template.
    """

    def __init__(self, renderer: Renderer) -> None:
        self.renderer = renderer
        self.special = special_tokens(renderer.tokenizer)
        self.rims: dict[Rim, None] = {}

    def find(self, chat: Chat, tools: Tools | None = None) -> Rendered:
        """A chat as text, and its answers.

        Raises:
            RefusedError: the template does not take it.
        """
        turns = self.renderer.fitted(chat)
        text = self.renderer.text(turns, tools)
        check_tools(text, turns)
        found: list[Answer] = []
        behind = 0
        for index, turn in enumerate(turns):
            if turn["role"] == "assistant":
                text, answer = self.answer(text, turns, index, tools, behind)
                found.append(answer)
                behind = answer.end
        return Rendered(text, tuple(found))

    def answer(
        self, text: str, chat: Chat, index: int, tools: Tools | None, behind: int
    ) -> tuple[str, Answer]:
        """The answer of a turn, and the text, which is longer where its end was left out.

        Args:
            text: the whole chat.
            chat: its turns.
            index: of the turn.
            tools: functions that may be called.
            behind: where the answer before it ends.
        """
        try:
            prompt = self.renderer.text(chat[:index], tools, prompt=True) if index else ""
        except RefusedError:
            prompt = ""
        last = index == len(chat) - 1
        if prompt and text.startswith(prompt) and len(prompt) >= behind:
            quick = self.known(text, len(prompt), chat[index], last=last)
            if quick:
                return quick
        place = self.place(text, chat, index, tools)
        if place is None:
            raise RefusedError(
                LOST.format(what="calls" if chat[index].get("tool_calls") else "text")
            )
        said = place
        if last and (more := with_thought(text, prompt, chat[index], said)):
            text, said = more
        start = max(behind, self.start(text, prompt, chat, index, tools, said[0]))
        said = max(start, said[0]), max(start, said[1])
        tail, added = self.tail(text, said[1], chat, index, tools)
        rim = Rim(
            text[start : said[0]],
            tail + added,
            text[said[1] + len(tail) :] if last else None,
            added,
        )
        if added:
            text = text[: said[1]] + added
        end = said[1] + len(tail + added)
        ended = self.special.search(text, said[1], end) is not None
        if plain(chat[index]) and ended and len(self.rims) < KEPT:
            self.rims[rim] = None
        changed = loses(text[start:end], text[said[0] : said[1]], chat[index])
        return text, Answer(start, end, said, ended, changed)

    def known(self, text: str, start: int, turn: Turn, *, last: bool) -> tuple[str, Answer] | None:
        """The answer behind a prompt, when it stands in the text as others before it did."""
        if not plain(turn):
            return None
        content = content_of(turn)
        for body in dict.fromkeys((content, content.strip())):
            for rim in self.rims:
                if last != (rim.rest is not None):
                    continue
                kept = rim.tail.removesuffix(rim.added)
                whole = rim.lead + body + kept
                if not text.startswith(whole, start):
                    continue
                end = start + len(whole)
                if rim.rest is not None and text[end:] != rim.rest:
                    continue
                said = start + len(rim.lead), end - len(kept)
                if rim.added:
                    text = text[:end] + rim.added
                end += len(rim.added)
                return text, Answer(start, end, said, ended=True, changed=body != content)
        return None

    def place(self, text: str, chat: Chat, index: int, tools: Tools | None) -> Span | None:
        """Where the content of a turn stands in the text; None where it cannot be told.

        Of a turn with calls its last arguments count: there is nothing behind them but marks.
        """
        try:
            other = self.renderer.text(
                [*chat[:index], replaced(chat[index]), *chat[index + 1 :]], tools
            )
        except RefusedError:
            return None
        if SENTINEL not in other:
            return None
        start = shared(text, other[: other.index(SENTINEL)])
        end = len(text) - shared(text[::-1], other[other.rindex(SENTINEL) + 1 :][::-1])
        return start, max(start, end)

    def start(
        self, text: str, prompt: str, chat: Chat, index: int, tools: Tools | None, said: int
    ) -> int:
        """Where a model begins to write a turn.

        A prompt may end with more than the text has there (`<think>` before an answer without
        thoughts): then the answer begins where the two part. Where earlier turns are rendered
        differently, which some templates do once other turns follow, the place in the text is the one
        that has most of the prompt before it.
        """
        if not prompt:
            return said
        if text.startswith(prompt):
            return len(prompt)
        together = shared(prompt, text)
        try:
            before = self.renderer.text(chat[:index], tools)
        except RefusedError:
            before = ""
        asked = prompt[shared(prompt, before) :]
        if asked and (at := text.find(asked, together, said)) >= 0:
            return at + len(asked)  # there is more between two turns than before a prompt
        if together >= shared(prompt, before):
            # Two marks may begin alike: `<think>` and `<tool_call>`.
            partial = PARTIAL.search(prompt, 0, together)
            return min(partial.start() if partial else together, said)
        return best_match(text, prompt, said)

    def tail(
        self, text: str, said: int, chat: Chat, index: int, tools: Tools | None
    ) -> tuple[str, str]:
        """What ends a turn: text that follows its content, and text that the template leaves out.

        Args:
            text: the whole chat.
            said: where the content ends.
            chat: its turns.
            index: of the turn.
            tools: functions that may be called.
        """
        behind = text[said:]
        last = index == len(chat) - 1
        # The same turn where it ends the chat, or where it does not.
        others = [*chat, USER] if last else chat[: index + 1]
        elsewhere = self.behind_in(others, index, tools)
        common = behind if elsewhere is None else behind[: shared(behind, elsewhere)]
        if ends := [match.end() for match in self.special.finditer(common)]:
            return common[: ends[-1]], ""
        if last:
            if ends := [match.end() for match in self.special.finditer(behind)]:
                return behind[: ends[-1]], ""
            opening = self.special.match((elsewhere or "").lstrip())
            return behind if not opening else "", opening.group() if opening else ""
        limit = self.place(text, chat, index + 1, tools)
        opening = self.special.search(behind, 0, (limit[0] if limit else len(text)) - said)
        return behind[: opening.end()] if opening else "", ""

    def behind_in(self, chat: Chat, index: int, tools: Tools | None) -> str | None:
        """What follows the content of a turn in another chat; None where it cannot be told."""
        try:
            text = self.renderer.text(chat, tools)
        except RefusedError:
            return None
        place = self.place(text, chat, index, tools)
        return None if place is None else text[place[1] :]


def with_thought(text: str, prompt: str, turn: Turn, said: Span) -> tuple[str, Span] | None:
    """A chat whose last answer has the thought that its template left out, and where its content is.

    Templates of models that think leave thoughts out of earlier turns, and some (of the distilled
    DeepSeek R1) out of every turn, though they ask for an answer with `<think>` before it. A model
    must write that thought itself, behind what it is asked with. None where nothing is missing.
    """
    opening = prompt[shared(prompt, text) :]
    kept = text[said[0] : said[1]]
    if not opening.strip() or not plain(turn) or not content_of(turn).endswith(kept):
        return None
    missing = content_of(turn)[: len(content_of(turn)) - len(kept)]
    if not missing.strip():
        return None
    if missing.startswith(opening.strip()):  # the prompt says that already
        missing = missing.removeprefix(opening.strip()).removeprefix("\n" * opening.endswith("\n"))
    whole = prompt + missing + kept
    return whole + text[said[1] :], (len(prompt), len(whole))
