"""Chats as text, by a chat template, and what a template refuses."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from olmes.errors import OlmesError

Turn = Mapping[str, Any]
"""A turn of a chat: role, content, and what else a template reads (`tool_calls`, `thinking`)."""
Chat = Sequence[Turn]
Tools = Sequence[Mapping[str, Any]]
"""Functions that may be called, each as a JSON schema."""
Span = tuple[int, int]
"""Characters of a text: the first, and the one behind the last."""
SENTINEL = "\ue000\uf8ff\ue000"
"""Characters of private use, which stand for a content to see where a template puts it."""


class RefusedError(OlmesError):
    """A template does not take a chat."""


class Renderer:
    """A template and the tokenizer whose special tokens it writes.

    Args:
        tokenizer: of transformers.
        template: Jinja text.
    """

    def __init__(self, tokenizer: Any, template: str) -> None:
        from olmes.models.hf.encoding import FIXED_DATE

        self.tokenizer = tokenizer
        # As in evaluation: a training that is resumed tomorrow has the same tokens.
        self.template = (FIXED_DATE if "strftime_now" in template else "") + template

    @cached_property
    def takes_text(self) -> bool:
        """Whether the template writes a content that is text; one of images may want parts."""
        try:
            chat = self.tokenizer.apply_chat_template(
                [{"role": "user", "content": SENTINEL}],
                chat_template=self.template,
                tokenize=False,
            )
        # Whatever it does with a text: parts are tried then, and what is wrong is said of them.
        except Exception:
            return False
        return SENTINEL in chat

    @cached_property
    def takes_system(self) -> bool:
        """Whether the template writes what a system turn says."""
        chat = ({"role": "system", "content": SENTINEL}, {"role": "user", "content": "?"})
        try:
            return SENTINEL in self._rendered(chat, None, prompt=True)
        except RefusedError:
            return False

    def text(self, chat: Chat, tools: Tools | None = None, *, prompt: bool = False) -> str:
        """A chat as text.

        Args:
            chat: its turns. Where the template has no system turn, what a system turn says stands
                before what the user says first, as in Gemma 3's own template.
            tools: functions that may be called.
            prompt: whether the beginning of an answer follows.

        Raises:
            RefusedError: the template does not take it.
        """
        return self._rendered(self.fitted(chat), tools, prompt=prompt)

    def marked(self, chat: Chat, tools: Tools | None = None) -> tuple[str, list[Span]]:
        """A chat as text, and what the template's `{% generation %}` marks hold; touching ones are one.

        Raises:
            RefusedError: as `text`.
        """
        from transformers.utils.chat_template_utils import render_jinja_template

        with refusals():
            texts, marks = render_jinja_template(
                conversations=[[without_none(turn) for turn in self.shaped(self.fitted(chat))]],
                tools=list(tools) if tools else None,
                chat_template=self.template,
                return_assistant_tokens_mask=True,
                **self.tokenizer.special_tokens_map,
            )
        merged: list[Span] = []
        for start, end in marks[0]:
            if merged and merged[-1][1] >= start:
                merged[-1] = merged[-1][0], end
            elif end > start:
                merged.append((start, end))
        return texts[0], merged

    def fitted(self, chat: Chat) -> list[Turn]:
        """The chat, its system turn a part of the first user turn where the template has none."""
        turns = list(chat)
        alone = len(turns) < 2 or turns[0]["role"] != "system" or turns[1]["role"] != "user"
        if alone or self.takes_system:
            return turns
        both = f"{turns[0]['content']}\n\n{turns[1]['content']}"
        return [{**turns[1], "content": both}, *turns[2:]]

    def shaped(self, chat: Chat) -> list[Turn]:
        """The chat, each content a list of parts where the template wants that."""
        if self.takes_text:
            return list(chat)
        return [
            {**turn, "content": [{"type": "text", "text": turn["content"]}]}
            if isinstance(turn["content"], str)
            else turn
            for turn in chat
        ]

    def _rendered(self, chat: Chat, tools: Tools | None, *, prompt: bool) -> str:
        try:
            return self._applied(chat, tools, prompt=prompt)
        except RefusedError:
            other = with_text_arguments(chat)
            if other == list(chat):
                raise
        return self._applied(other, tools, prompt=prompt)

    def _applied(self, chat: Chat, tools: Tools | None, *, prompt: bool) -> str:
        with refusals():
            text: str = self.tokenizer.apply_chat_template(
                self.shaped(chat),
                tools=list(tools) if tools else None,
                chat_template=self.template,
                add_generation_prompt=prompt,
                tokenize=False,
            )
        return text


class refusals:  # noqa: N801 (read as a sentence: with refusals())
    """Whatever a template raises, as a `RefusedError`: its code may do anything to a chat."""

    def __enter__(self) -> None:
        """Nothing."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Raise what was raised as a refusal."""
        from jinja2 import TemplateError

        kinds = (TemplateError, TypeError, ValueError, KeyError, IndexError, AttributeError)
        if isinstance(error, kinds):
            reason = (str(error).strip() or type(error).__name__).split("\n")[0].rstrip(".")
            raise RefusedError(f"the chat template does not take the chat ({reason}).") from None


def with_text_arguments(chat: Chat) -> list[Turn]:
    """The chat with the arguments of calls as JSON text, which some templates want (DeepSeek V3)."""

    def call(one: Mapping[str, Any]) -> dict[str, Any]:
        function = one["function"]
        arguments = function["arguments"]
        if not isinstance(arguments, str):
            arguments = json.dumps(arguments, ensure_ascii=False)
        return {**one, "function": {**function, "arguments": arguments}}

    return [
        {**turn, "tool_calls": [call(one) for one in turn["tool_calls"]]}
        if turn.get("tool_calls")
        else turn
        for turn in chat
    ]


def without_none(turn: Turn) -> dict[str, Any]:
    """A turn without the keys that have no value, as `apply_chat_template` gives it to a template."""
    return {key: value for key, value in turn.items() if value is not None}
